#include "server/net/http_message.h"

#include <gtest/gtest.h>

namespace bedside::net {
namespace {

TEST(HttpResponse, IsWrittenWithItsLengthAndDate) {
  HttpResponse response = HttpResponse::json(404, R"({"success":false})");
  EXPECT_TRUE(response.set("Cache-Control", "no-store"));
  WriteOptions options;
  options.wall_seconds = 784111777;  // the example date of RFC 9110
  EXPECT_EQ(to_bytes(response, options),
            "HTTP/1.1 404 Not Found\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: application/json\r\n"
            "Cache-Control: no-store\r\n"
            "Content-Length: 17\r\n"
            "\r\n"
            "{\"success\":false}");
}

TEST(HttpResponse, TellsTheLengthButSendsNoBodyForHead) {
  WriteOptions options;
  options.head_only = true;
  options.close = true;
  EXPECT_EQ(to_bytes(HttpResponse::text(200, "hello"), options),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
            "Connection: close\r\n\r\n");
}

TEST(HttpResponse, HasNeitherBodyNorLengthWhenTheStatusForbidsThem) {
  for (const int status : {101, 204, 304}) {
    HttpResponse response;
    response.status = status;
    response.body = "must not appear";
    const std::string bytes = to_bytes(response, {});
    EXPECT_EQ(bytes.find("Content-Length"), std::string::npos) << status;
    EXPECT_EQ(bytes.find("must not"), std::string::npos) << status;
  }
}

TEST(HttpResponse, CannotBeSplitByAHeaderValue) {
  HttpResponse response;
  EXPECT_FALSE(response.set("Location", "/x\r\nSet-Cookie: a=b"));
  EXPECT_FALSE(response.add("X", "a\nb"));
  EXPECT_FALSE(response.set("Bad Name", "x"));
  EXPECT_TRUE(response.headers.empty());
  response.headers.emplace_back("Sneaky", "a\r\nInjected: 1");
  EXPECT_EQ(to_bytes(response, {}).find("Injected"), std::string::npos);
}

TEST(HttpResponse, ReplacesOrAddsFields) {
  HttpResponse response = HttpResponse::json(200, "{}");
  response.set("content-TYPE", "text/html");
  response.add("Set-Cookie", "a=1");
  response.add("Set-Cookie", "b=2");
  ASSERT_EQ(response.headers.size(), 3U);
  EXPECT_EQ(response.headers[0].second, "text/html");
}

TEST(PercentDecode, RefusesWhatIsMalformedOrAControlCharacter) {
  EXPECT_EQ(percent_decode("a%41%c3%a4"), "aA\xc3\xa4");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  for (const char* bad : {"%", "%4", "%4g", "%0a", "%7F", "a\n"}) {
    EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
  }
}

TEST(HasToken, ComparesListItemsWithoutCase) {
  EXPECT_TRUE(has_token("keep-alive, Upgrade", "upgrade"));
  EXPECT_TRUE(has_token("UPGRADE", "upgrade"));
  EXPECT_FALSE(has_token("upgraded, not-upgrade", "upgrade"));
  EXPECT_FALSE(has_token("", "upgrade"));
}

}  // namespace
}  // namespace bedside::net
