#include "server/assets.h"

#include <gtest/gtest.h>

#include <map>

#include "server/audit_types.h"
#include "server/embedded_assets.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

TEST(Assets, TheSessionPageAnswersAtBothOfItsUrls) {
  Assets assets;
  const auto with = assets.find("/telehealth-webrtc.html");
  const auto without = assets.find("/telehealth-webrtc");
  ASSERT_TRUE(with && without);
  EXPECT_EQ(with->body, without->body);
  EXPECT_EQ(with->content_type, "text/html; charset=utf-8");
  EXPECT_NE(with->body.find("<html"), std::string_view::npos);
}

TEST(Assets, EveryEmbeddedFileHasAUrlATypeAndAHash) {
  Assets assets;
  std::map<std::string, std::string_view> by_etag;
  for (const EmbeddedAsset& file : embedded_assets()) {
    std::string url(file.source);
    for (const auto& [folder, prefix] :
         {std::pair<std::string, std::string>{"signaling/session-page/", "/session/"},
          {"admin-ui/", "/admin/"},
          {"server/landing-page/", "/landing/"}}) {
      if (url.starts_with(folder)) url.replace(0, folder.size(), prefix);
    }
    const auto asset = assets.find(url);
    ASSERT_TRUE(asset) << url;
    EXPECT_EQ(asset->body, file.body());
    EXPECT_FALSE(asset->body.empty()) << url;
    EXPECT_EQ(asset->etag.size(), 34U);
    // Two files share a hash only when they are the same file twice.
    EXPECT_EQ(by_etag.emplace(asset->etag, asset->body).first->second, asset->body);
  }
  EXPECT_GT(by_etag.size(), 10U);
}

TEST(Assets, TheLandingPageAndItsIconExist) {
  Assets assets;
  ASSERT_TRUE(assets.find("/"));
  EXPECT_EQ(assets.find("/favicon.ico")->content_type, "image/svg+xml");
  EXPECT_EQ(assets.find("/landing/landing.css")->content_type, "text/css; charset=utf-8");
}

// Otherwise an auditor reads a code where a sentence could be.
TEST(Assets, TheAdminPageHasWordsForEveryTypeOfRecord) {
  Assets assets;
  const auto words = assets.find("/admin/events.js");
  ASSERT_TRUE(words);
  for (const std::string_view type : audit_type::kAll) {
    EXPECT_NE(words->body.find("'" + std::string(type) + "': '"), std::string_view::npos) << type;
  }
}

TEST(Assets, UnknownPathsAndClimbingOnesFindNothing) {
  Assets assets;
  for (const char* path : {"", "/session", "/session/", "/session/nothing.js", "/admin",
                           "/session/../../server/config.h", "/etc/passwd", "//session/api.js"}) {
    EXPECT_FALSE(assets.find(path)) << path;
  }
  Assets tree{std::filesystem::path(BEDSIDE_SOURCE_DIR)};
  for (const char* path :
       {"/session/../../README.md", "/session/%2e%2e/x.js", "/admin/README.md"}) {
    EXPECT_FALSE(tree.find(path)) << path;
  }
}

TEST(Assets, ASourceTreeServesWhatItsFilesSayNow) {
  const ScratchFolder tree;
  std::filesystem::create_directories(tree.path() / "signaling/session-page");
  tree.write("signaling/session-page/x.js", "let a = 1;", 0644);
  Assets assets(tree.path());
  const auto first = assets.find("/session/x.js");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->body, "let a = 1;");
  EXPECT_EQ(first->content_type, "text/javascript; charset=utf-8");
  const std::string first_etag(first->etag);
  tree.write("signaling/session-page/x.js", "let a = 2;", 0644);
  const auto second = assets.find("/session/x.js");
  EXPECT_EQ(second->body, "let a = 2;");
  EXPECT_NE(second->etag, first_etag);
}

TEST(Assets, IfNoneMatchListsAreUnderstood) {
  EXPECT_TRUE(matches_etag("\"a\"", "\"a\""));
  EXPECT_TRUE(matches_etag("W/\"a\"", "\"a\""));
  EXPECT_TRUE(matches_etag("\"b\" , \"a\"", "\"a\""));
  EXPECT_TRUE(matches_etag("*", "\"a\""));
  EXPECT_FALSE(matches_etag("\"b\"", "\"a\""));
  EXPECT_FALSE(matches_etag("", "\"a\""));
  EXPECT_FALSE(matches_etag(",", "\"a\""));
  EXPECT_FALSE(matches_etag("a", "\"a\""));
}

TEST(Assets, TheFingerprintIsAHash) {
  EXPECT_EQ(Assets::fingerprint().size(), 64U);
  EXPECT_EQ(Assets::fingerprint(), Assets::fingerprint());
}

}  // namespace
}  // namespace bedside::server
