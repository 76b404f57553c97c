#include "server/net/http_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "stun/bytes.h"

namespace bedside::net {
namespace {

using State = HttpReader::State;

std::size_t feed(HttpReader& reader, std::string_view text) {
  return reader.feed(stun::as_bytes(text));
}

// The status the reader refuses `text` with; 0 when it does not.
int refusal_of(std::string_view text, const HttpLimits& limits = {}) {
  HttpReader reader(limits);
  feed(reader, text);
  return reader.state() == State::refused ? reader.refusal().status : 0;
}

HttpRequest read(std::string_view text) {
  HttpReader reader;
  const std::size_t taken = feed(reader, text);
  EXPECT_EQ(taken, text.size());
  EXPECT_EQ(reader.state(), State::complete) << reader.refusal().reason;
  return reader.state() == State::complete ? reader.take() : HttpRequest{};
}

std::string with_field(std::string_view field) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + std::string(field) + "\r\n\r\n";
}

constexpr std::string_view kPost =
    "POST /api/webrtc-signaling?roomId=a%20b&x=1+2 HTTP/1.1\r\n"
    "Host: visit.example.org:443\r\n"
    "Content-Type: application/json\r\n"
    "Cookie: theme=dark; session=abc=\r\n"
    "Content-Length: 13\r\n"
    "\r\n"
    "{\"action\":42}";

TEST(HttpReader, ReadsARequestWithEverythingInIt) {
  const HttpRequest request = read(kPost);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/api/webrtc-signaling");
  EXPECT_EQ(request.query_value("roomId"), "a b");
  EXPECT_EQ(request.query_value("x"), "1 2");
  EXPECT_EQ(request.query_value("y"), std::nullopt);
  EXPECT_EQ(request.header("content-type"), "application/json");
  EXPECT_EQ(request.cookie("session"), "abc=");
  EXPECT_EQ(request.cookie("them"), std::nullopt);
  EXPECT_EQ(request.body, "{\"action\":42}");
  EXPECT_TRUE(request.keep_alive);
}

TEST(HttpReader, GivesTheSameResultForOneByteAtATimeAndForEverySplit) {
  const HttpRequest whole = read(kPost);
  for (std::size_t split = 0; split <= kPost.size(); ++split) {
    HttpReader reader;
    // The first part at once, the rest byte by byte.
    ASSERT_EQ(feed(reader, kPost.substr(0, split)), split);
    for (std::size_t i = split; i < kPost.size(); ++i) {
      ASSERT_EQ(reader.state(), i < kPost.size() - 13 ? State::head : State::body) << i;
      ASSERT_EQ(feed(reader, kPost.substr(i, 1)), 1U);
    }
    ASSERT_EQ(reader.state(), State::complete);
    const HttpRequest request = reader.take();
    EXPECT_EQ(request.path, whole.path);
    EXPECT_EQ(request.target, whole.target);
    EXPECT_EQ(request.query, whole.query);
    EXPECT_EQ(request.headers, whole.headers);
    EXPECT_EQ(request.body, whole.body);
  }
}

TEST(HttpReader, LeavesPipelinedRequestsForTheirTurn) {
  const std::string two = std::string(kPost) + "GET /next HTTP/1.1\r\nHost: b\r\n\r\n";
  HttpReader reader;
  const std::size_t taken = feed(reader, two);
  EXPECT_EQ(taken, kPost.size());
  EXPECT_EQ(feed(reader, "more"), 0U) << "nothing is taken before take()";
  EXPECT_EQ(reader.take().method, "POST");
  EXPECT_FALSE(reader.started());
  EXPECT_EQ(feed(reader, std::string_view(two).substr(taken)), two.size() - taken);
  EXPECT_EQ(reader.take().path, "/next");
}

TEST(HttpReader, SkipsOneEmptyLineBeforeARequestAndRefusesTwo) {
  EXPECT_EQ(read("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
  EXPECT_EQ(refusal_of("\r\n\r\n"), 400);
}

TEST(HttpReader, ClosesAfterHttp10AndAfterConnectionClose) {
  EXPECT_FALSE(read("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_FALSE(read("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n").keep_alive);
}

TEST(HttpReader, RefusesABareLineFeed) {
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
  EXPECT_EQ(refusal_of("\n"), 400);
}

TEST(HttpReader, RefusesABareCarriageReturn) {
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), 400);
}

TEST(HttpReader, RefusesFoldedFields) {
  EXPECT_EQ(refusal_of(with_field("X: a\r\n b: c")), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400);
}

TEST(HttpReader, RefusesASpaceBeforeTheColonAndFieldsWithoutOne) {
  EXPECT_EQ(refusal_of(with_field("Content-Length : 3")), 400);
  EXPECT_EQ(refusal_of(with_field("NoColon")), 400);
  EXPECT_EQ(refusal_of(with_field(": value")), 400);
}

TEST(HttpReader, RefusesContentLengthTwiceEvenWhenEqual) {
  EXPECT_EQ(refusal_of(with_field("Content-Length: 3\r\nContent-Length: 3")), 400);
  EXPECT_EQ(refusal_of(with_field("Content-Length: 3, 3")), 400);
}

TEST(HttpReader, RefusesContentLengthThatIsNoPlainNumber) {
  for (const char* value : {"+3", "-1", "0x3", "3 ", "", "3a", "99999999999999999999999"}) {
    const int status = refusal_of(with_field(std::string("Content-Length: ") + value));
    if (std::string_view(value) == "3 ") {
      EXPECT_EQ(status, 0) << "surrounding space is no part of a value";
    } else {
      EXPECT_TRUE(status == 400 || status == 413) << value << " gave " << status;
    }
  }
}

TEST(HttpReader, RefusesTransferEncodingInEveryShape) {
  EXPECT_EQ(refusal_of(with_field("Transfer-Encoding: chunked")), 411);
  EXPECT_EQ(refusal_of(with_field("Transfer-Encoding: identity")), 411);
  EXPECT_EQ(refusal_of(with_field("Transfer-Encoding: xchunked\r\nContent-Length: 3")), 400);
  EXPECT_EQ(refusal_of(with_field("Content-Length: 3\r\nTransfer-Encoding: chunked")), 400);
  EXPECT_EQ(refusal_of(with_field("Transfer-Encoding : chunked")), 400);
  EXPECT_EQ(refusal_of(with_field("Transfer-Encoding:\x0b"
                                  "chunked")),
            400);
  EXPECT_EQ(refusal_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(HttpReader, RefusesHostMissingTwiceOrMalformed) {
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400);
}

TEST(HttpReader, RefusesControlCharactersPlainAndEscaped) {
  EXPECT_EQ(refusal_of(std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 36)), 400);
  EXPECT_EQ(refusal_of(with_field("X: a\x7f")), 400);
  EXPECT_EQ(refusal_of("GET /a%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET /?a=%0D%0Ab HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(HttpReader, RefusesMalformedEscapesAndAmbiguousPaths) {
  for (const char* target : {"/%", "/%4", "/%zz", "/a%2fb", "/a%5Cb", "/../x", "/a/..", "/./x",
                             "/%2e%2e/x", "/a#b", "/a\\b", "/\xc3\xa4", "/a<b"}) {
    EXPECT_EQ(refusal_of(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
        << target;
  }
  EXPECT_EQ(read("GET /%C3%A4/..a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/\xc3\xa4/..a");
}

TEST(HttpReader, KeepsTheTargetAsItWasSent) {
  for (const char* target : {"/", "/a%3Fb", "/%2520", "/%C3%A4%20b?x=%3F&y", "//a?", "/?"}) {
    EXPECT_EQ(read(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n").target, target);
  }
  EXPECT_EQ(read("GET http://a/x%3F?y=1 HTTP/1.1\r\nHost: a\r\n\r\n").target, "/x%3F?y=1");
  EXPECT_EQ(read("GET http://a?y=1 HTTP/1.1\r\nHost: a\r\n\r\n").target, "/?y=1");
  EXPECT_EQ(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target, "*");
}

TEST(HttpReader, TakesAbsoluteFormOnlyWhenItNamesTheHost) {
  EXPECT_EQ(read("GET http://a:80/x?y=1 HTTP/1.1\r\nHost: A:80\r\n\r\n").path, "/x");
  EXPECT_EQ(read("GET https://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
  EXPECT_EQ(refusal_of("GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(HttpReader, TakesTheAsteriskForOptionsOnly) {
  EXPECT_EQ(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
  EXPECT_EQ(refusal_of("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(HttpReader, RefusesBrokenRequestLines) {
  for (const char* line :
       {"GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / http/1.1", "GET / HTTP/1.1x",
        "G@T / HTTP/1.1", " GET / HTTP/1.1", "GET\t/\tHTTP/1.1"}) {
    EXPECT_EQ(refusal_of(std::string(line) + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
}

TEST(HttpReader, RefusesOtherVersionsAndTheHttp2Preface) {
  EXPECT_EQ(refusal_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refusal_of("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refusal_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

TEST(HttpReader, RefusesAMethodThatIsTooLong) {
  EXPECT_EQ(refusal_of(std::string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(read(std::string(32, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
}

TEST(HttpReader, RefusesATargetThatIsTooLongBeforeItEnds) {
  const std::string longest = "/" + std::string(8 * 1024 - 1, 'a');
  EXPECT_EQ(read("GET " + longest + " HTTP/1.1\r\nHost: a\r\n\r\n").path, longest);
  EXPECT_EQ(refusal_of("GET " + longest + "a HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(refusal_of("GET /" + std::string(9 * 1024, 'a')), 414);
}

TEST(HttpReader, RefusesTooManyFieldsAndAHeadThatIsTooLarge) {
  std::string fields;
  for (int i = 0; i < 63; ++i) fields += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"), 0);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "One: more\r\n\r\n"), 431);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(17 * 1024, 'y')), 431);
}

TEST(HttpReader, RefusesABodyThatIsTooLargeWithoutWaitingForIt) {
  EXPECT_EQ(refusal_of(with_field("Content-Length: 65537")), 413);
  EXPECT_EQ(refusal_of(with_field("Content-Length: 65536")), 0);
}

TEST(HttpReader, TakesNothingAfterARefusal) {
  HttpReader reader;
  feed(reader, "GET / HTTP/9.9\r\n");
  ASSERT_EQ(reader.state(), State::refused);
  EXPECT_EQ(feed(reader, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0U);
  EXPECT_EQ(reader.refusal().status, 505);
}

TEST(HttpReader, AsksForTheBodyOnceWhenTheClientWaitsForIt) {
  HttpReader reader;
  feed(reader, with_field("Content-Length: 2\r\nExpect: 100-Continue"));
  EXPECT_TRUE(reader.take_continue());
  EXPECT_FALSE(reader.take_continue());
  feed(reader, "hi");
  EXPECT_EQ(reader.take().body, "hi");

  feed(reader, with_field("Content-Length: 2\r\nExpect: 100-continue") + "h");
  EXPECT_FALSE(reader.take_continue()) << "the body is on its way already";
  EXPECT_EQ(refusal_of(with_field("Expect: 200-ok")), 417);
}

TEST(HttpReader, KnowsWhetherARequestHasBegun) {
  HttpReader reader;
  EXPECT_FALSE(reader.started());
  feed(reader, "G");
  EXPECT_TRUE(reader.started());
}

}  // namespace
}  // namespace bedside::net
