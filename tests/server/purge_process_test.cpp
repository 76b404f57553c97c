// Two people purge an old log, from their invitations to the verifiers' verdicts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "server/keys.h"
#include "tests/server/bedside_process.h"
#include "tests/server/old_log.h"

namespace bedside::server {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PurgeProcessTest : public testing::Test {
 protected:
  PurgeProcessTest() {
    fs::create_directory(server_.folder().path() / "archives");
    EXPECT_EQ(run_bedside({"backup", "key", "--private", path("private.pem"), "--public",
                           path("public.pem")})
                  .exit_code,
              0);
    server_.configure("", "[backup]\nfolder = \"archives\"\npublic_key = \"public.pem\"\n");
    fs::create_directories(server_.data_dir());
    fs::permissions(server_.data_dir(), fs::perms::owner_all);
    EXPECT_TRUE(open_keys(server_.data_dir() / "keys", MissingKeys::make));
    store::Options options;
    options.path = (server_.data_dir() / "bedside.db").string();
    options.keys = (server_.data_dir() / "keys").string();
    write_old_log(std::move(options));
    server_.start();
  }
  std::string path(const std::string& name) const {
    return (server_.folder().path() / name).string();
  }
  Ended run(std::vector<std::string> words) const {
    words.insert(words.end(), {"--config", server_.config_file().string()});
    return run_bedside(words);
  }
  json post(const std::string& name, const json& body, const std::string& cookie) const {
    const std::string origin = "http://127.0.0.1:" + std::to_string(server_.http());
    httplib::Client client("127.0.0.1", server_.http());
    client.set_read_timeout(30);
    httplib::Headers headers{{"X-Bedside-Admin", "1"}, {"Origin", origin}};
    if (!cookie.empty()) headers.emplace("Cookie", cookie);
    const auto answer = client.Post("/admin/api/" + name, headers, body.dump(), "application/json");
    if (!answer) return {};
    json said = json::parse(answer->body, nullptr, false);
    const std::string set = answer->get_header_value("Set-Cookie");
    said["status"] = answer->status;
    said["cookie"] = set.substr(0, set.find(';'));
    return said;
  }
  // By the command's link, as a browser takes it apart. The cookie.
  std::string join(const std::string& name) const {
    const Ended invited = run({"admin", "add", name});
    EXPECT_EQ(invited.exit_code, 0) << invited.errors;
    const std::string& link = invited.output;
    const std::size_t begin = link.find("#code=") + 6;
    const std::string code = link.substr(begin, link.find('&') - begin);
    const json made =
        post("setup", {{"code", code}, {"name", name}, {"password", "correct horse battery"}}, "");
    EXPECT_EQ(made["status"], 200) << made;
    return made.value("cookie", "");
  }

  TestServer server_;
};

TEST_F(PurgeProcessTest, TwoPeoplePurgeWhatNobodyHolds) {
  EXPECT_THAT(run({"audit", "purge", "status"}).output, HasSubstr("records 1 to 512"));
  const std::string anna = join("anna");
  const std::string berta = join("berta");
  EXPECT_THAT(run({"admin", "list"}).output, AllOf(HasSubstr("anna"), HasSubstr("berta")));
  EXPECT_THAT(run({"admin", "add", "anna"}).errors, HasSubstr("there is an account of this name"));

  const Ended held = run({"audit", "hold", "set", "--person", "ben", "--reason", "complaint"});
  ASSERT_EQ(held.exit_code, 0) << held.errors;
  const std::string hold = held.output.substr(0, held.output.size() - 1);
  EXPECT_THAT(run({"audit", "hold", "list"}).output, HasSubstr(hold));
  EXPECT_THAT(run({"audit", "hold", "set", "--reason", "other"}).errors,
              HasSubstr("Say what to hold"));
  EXPECT_THAT(run({"audit", "purge", "status"}).output, HasSubstr("6 stay because of holds"));

  EXPECT_EQ(post("retention/propose", json::object(), anna)["status"], 200);
  EXPECT_THAT(run({"audit", "purge", "status"}).output, HasSubstr("by anna"));
  EXPECT_EQ(post("retention/approve", {{"through", 512}}, anna)["status"], 409);
  const json done = post("retention/approve", {{"through", 512}}, berta);
  ASSERT_EQ(done["status"], 200) << done;
  EXPECT_EQ(done["removed"], 505);
  const std::string archive = path("archives") + "/" + done.value("archive", "");
  const Ended opened = run_bedside({"backup", "open", "--archive", archive, "--key",
                                    path("private.pem"), "--out", path("old.tar")});
  EXPECT_EQ(opened.exit_code, 0) << opened.errors;
  EXPECT_THAT(run_bedside({"audit", "verify", "--bundle", path("old.tar")}).output,
              HasSubstr("PASS: 512 records"));

  const auto told = HasSubstr("proposed by anna, approved by berta");
  EXPECT_THAT(run({"audit", "verify"}).output, AllOf(HasSubstr("PASS"), told));
  const Ended exported = run({"audit", "export", "--out", path("log.tar")});
  EXPECT_EQ(exported.exit_code, 0) << exported.errors;
  EXPECT_THAT(run_bedside({"audit", "verify", "--bundle", path("log.tar")}).output,
              AllOf(HasSubstr("PASS"), told, HasSubstr("has only what was kept")));
  const Ended backup = run({"backup", "make"});
  EXPECT_EQ(backup.exit_code, 0) << "its trial restore verifies the log: " << backup.errors;

  EXPECT_EQ(run({"audit", "hold", "clear", hold, "--reason", "closed"}).exit_code, 0);
  EXPECT_THAT(run({"audit", "hold", "clear", hold, "--reason", "closed"}).errors,
              HasSubstr("there is no hold with this id"));
  EXPECT_EQ(run({"admin", "disable", "berta"}).exit_code, 0);
  EXPECT_EQ(post("retention/withdraw", json::object(), berta)["status"], 401) << "at once";
  EXPECT_THAT(run({"admin", "disable", "anna"}).errors, HasSubstr("the last one"));

  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  const Ended again = run({"audit", "hold", "set", "--person", "ben", "--reason", "other"});
  EXPECT_EQ(again.exit_code, 0) << "of a stopped server: " << again.errors;
  std::string made;
  for (const auto& entry : fs::directory_iterator(path("archives"))) {
    if (entry.path().extension() == ".backup") made = entry.path().string();
  }
  const Ended restored =
      run({"restore", "--backup", made, "--key", path("private.pem"), "--replace"});
  EXPECT_EQ(restored.exit_code, 0) << "a backup of a purged log: " << restored.errors;
  server_.start();
  EXPECT_THAT(run({"audit", "verify"}).output, AllOf(HasSubstr("PASS WITH A DECLARED GAP"), told));
}

}  // namespace
}  // namespace bedside::server
