// HTTP/1.1 as nobody should speak it (RFC 9112), sent to a running front door: what two readers of
// the same bytes could take for different requests is refused, and nothing behind it is answered.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/server/control_rig.h"
#include "tests/server/wire_client.h"

namespace bedside::server {
namespace {

using std::string_literals::operator""s;

enum class After : std::uint8_t { goes_on, closed };

struct WireCase {
  const char* name;
  std::string bytes;
  std::vector<int> statuses;  // of all answers
  After after;
};

std::string head(const std::string& line, const std::string& fields = "") {
  return line + "\r\nHost: a\r\n" + fields + "\r\n";
}
std::string get(const std::string& target, const std::string& fields = "") {
  return head("GET " + target + " HTTP/1.1", fields);
}
std::string post(const std::string& fields, const std::string& body = "") {
  return head("POST /api/webrtc-signaling HTTP/1.1", fields) + body;
}
// What a smuggler wants answered, a 404 of its own.
const std::string kHidden = get("/hidden");

std::vector<WireCase> smuggling() {
  const auto n = [](std::size_t size) {
    return "Content-Length: " + std::to_string(size) + "\r\n";
  };
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const std::string chunks = "0\r\n\r\n" + kHidden;
  return {
      {"LengthThenChunked", post(n(5) + chunked, chunks), {400}, After::closed},
      {"ChunkedThenLength", post(chunked + n(5), chunks), {400}, After::closed},
      {"Chunked", post(chunked, chunks), {411}, After::closed},
      {"ChunkedTwice", post(chunked + chunked, chunks), {400}, After::closed},
      {"ChunkedWithSpaceBeforeColon",
       post("Transfer-Encoding : chunked\r\n", chunks),
       {400},
       After::closed},
      {"ChunkedAfterATab", post("Transfer-Encoding:\tchunked\r\n", chunks), {411}, After::closed},
      {"ChunkedAfterAVerticalTab",
       post("Transfer-Encoding: \vchunked\r\n", chunks),
       {400},
       After::closed},
      {"ChunkedInCapitals", post("TRANSFER-ENCODING: CHUNKED\r\n", chunks), {411}, After::closed},
      {"ChunkedMisspelt",
       post(n(5) + "Transfer-Encoding: xchunked\r\n", chunks),
       {400},
       After::closed},
      {"ChunkedAndIdentity",
       post("Transfer-Encoding: chunked, identity\r\n", chunks),
       {411},
       After::closed},
      {"ChunkedFolded",
       post("X: y\r\n Transfer-Encoding: chunked\r\n", chunks),
       {400},
       After::closed},
      {"ChunkedBehindABareLineFeed",
       post("X: y\nTransfer-Encoding: chunked\r\n", chunks),
       {400},
       After::closed},
      {"ChunkedInHttp10", head("POST / HTTP/1.0", chunked) + chunks, {400}, After::closed},
      {"LengthTwiceTheSame", post(n(2) + n(2), "{}" + kHidden), {400}, After::closed},
      {"LengthTwiceDifferent", post(n(2) + n(40), "{}" + kHidden), {400}, After::closed},
      {"LengthList", post("Content-Length: 2, 2\r\n", "{}"), {400}, After::closed},
      {"LengthSigned", post("Content-Length: +2\r\n", "{}"), {400}, After::closed},
      {"LengthNegative", post("Content-Length: -1\r\n", "{}"), {400}, After::closed},
      {"LengthHexadecimal", post("Content-Length: 0x2\r\n", "{}"), {400}, After::closed},
      {"LengthEmpty", post("Content-Length:\r\n", "{}"), {400}, After::closed},
      {"LengthOverflowing",
       post("Content-Length: 18446744073709551618\r\n", "{}"),
       {413},
       After::closed},
      {"LengthWithSpaceBeforeColon", post("Content-Length : 2\r\n", "{}"), {400}, After::closed},
      {"LengthWithNul", post("Content-Length: 2\0\r\n"s, "{}"), {400}, After::closed},
      // A body is a body, also where a method gives it no meaning, and whatever it looks like.
      {"RequestAsTheBodyOfGet", get("/seen", n(kHidden.size())) + kHidden, {404}, After::goes_on},
      {"RequestAsTheBodyOfPost", post(n(kHidden.size()), kHidden), {400}, After::goes_on},
      {"NoLengthIsNoBody", post("", kHidden), {400, 404}, After::goes_on},
  };
}

std::vector<WireCase> lines() {
  return {
      {"BareLineFeeds", "GET / HTTP/1.1\nHost: a\n\n" + kHidden, {400}, After::closed},
      {"BareLineFeedAtTheEnd", "GET / HTTP/1.1\r\nHost: a\r\n\n" + kHidden, {400}, After::closed},
      {"BareCarriageReturn", get("/", "X: a\rY: b\r\n"), {400}, After::closed},
      {"TwoCarriageReturns", get("/", "X: a\r\r\n"), {400}, After::closed},
      {"NulInAField", get("/", "X: a\0b\r\n"s), {400}, After::closed},
      {"NulInTheTarget", get("/\0"s), {400}, After::closed},
      {"NulFirst", "G\0ET / HTTP/1.1\r\n\r\n"s, {400}, After::closed},
      {"DeleteInAField", get("/", "X: \x7f\r\n"), {400}, After::closed},
      {"FoldedField", get("/", "X: a\r\n b\r\n"), {400}, After::closed},
      {"FoldedByTab", get("/", "X: a\r\n\tb\r\n"), {400}, After::closed},
      {"FoldedFirstField", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", {400}, After::closed},
      {"FieldWithoutColon", get("/", "Nothing\r\n"), {400}, After::closed},
      {"FieldWithoutName", get("/", ": a\r\n"), {400}, After::closed},
      {"FieldNameWithSpace", get("/", "X Y: a\r\n"), {400}, After::closed},
      {"HostTwice", get("/", "Host: a\r\n"), {400}, After::closed},
      {"HostMissing", "GET / HTTP/1.1\r\n\r\n", {400}, After::closed},
      {"HostEmpty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", {400}, After::closed},
      {"HostWithAPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}, After::closed},
      {"CookieTwice", get("/", "Cookie: a=1\r\nCookie: a=2\r\n"), {400}, After::closed},
      {"EmptyLineFirst", "\r\n" + get("/seen"), {}, After::closed},  // no letter: no HTTP
      {"EmptyLineBetween", get("/a") + "\r\n" + get("/b"), {404, 404}, After::goes_on},
      {"EmptyLinesBetween", get("/a") + "\r\n\r\n" + get("/b"), {404, 400}, After::closed},
      {"Http09", "GET /\r\n", {400}, After::closed},
      {"Http10", "GET /seen HTTP/1.0\r\n\r\n" + kHidden, {404}, After::closed},
      {"Http12", head("GET / HTTP/1.2"), {505}, After::closed},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {505}, After::closed},
      {"VersionInSmallLetters", head("GET / http/1.1"), {400}, After::closed},
      {"TwoSpaces", head("GET  / HTTP/1.1"), {400}, After::closed},
      {"TabsForSpaces", head("GET\t/\tHTTP/1.1"), {400}, After::closed},
      {"MethodInSmallLetters", head("get /telehealth-webrtc HTTP/1.1"), {405}, After::goes_on},
      {"MethodUnknown", head("BREW /telehealth-webrtc HTTP/1.1"), {405}, After::goes_on},
      {"TraceIsNotEchoed", head("TRACE / HTTP/1.1", "X-Secret: a\r\n"), {405}, After::goes_on},
      {"AbsoluteUri", get("http://a/seen"), {404}, After::goes_on},
      {"AbsoluteUriOfAnotherHost", get("http://b/seen"), {400}, After::closed},
      {"AbsoluteUriWithAUser", get("http://u@a/seen"), {400}, After::closed},
      {"AbsoluteUriOfAnotherScheme", get("ftp://a/seen"), {400}, After::closed},
      {"Connect", head("CONNECT a:443 HTTP/1.1"), {400}, After::closed},
      {"Asterisk", head("OPTIONS * HTTP/1.1"), {404}, After::goes_on},
      {"AsteriskOfGet", get("*"), {400}, After::closed},
      {"EscapedLineBreak", get("/a%0d%0aSet-Cookie:b"), {400}, After::closed},
      {"EscapedLineBreakInTheQuery", get("/a?b=%0d%0aX:1"), {400}, After::closed},
      {"EscapedNul", get("/%00"), {400}, After::closed},
      {"EscapedSlash", get("/session%2fmain.js"), {400}, After::closed},
      {"EscapedDots", get("/session/%2e%2e/admin/"), {400}, After::closed},
      {"DotSegments", get("/session/../admin/"), {400}, After::closed},
      {"Backslash", get("/session\\main.js"), {400}, After::closed},
      {"Fragment", get("/a#b"), {400}, After::closed},
      {"BytesBeyondAscii", get("/\xc3\xa4"), {400}, After::closed},
      {"UpgradeToSomethingElse",
       get("/seen", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
       {404},
       After::goes_on},
  };
}

std::vector<WireCase> conversations() {
  const std::string closing = get("/seen", "Connection: close\r\n");
  return {
      {"Pipelined",
       get("/a") + get("/b") + get("/telehealth-webrtc") + get("/c"),
       {404, 404, 200, 404},
       After::goes_on},
      {"PipelinedBehindAPost",
       post("Content-Length: 2\r\n", "{}") + get("/a"),
       {400, 404},
       After::goes_on},
      {"PipelinedBehindARefusal",
       get("/a") + "GET / HTTP/1.1\nHost: a\r\n\r\n" + kHidden,
       {404, 400},
       After::closed},
      {"PipelinedBehindAClose", closing + kHidden, {404}, After::closed},
      {"CloseAmongOthers",
       get("/seen", "Connection: keep-alive, Close\r\n") + kHidden,
       {404},
       After::closed},
      {"ExpectSomethingElse",
       post("Expect: 200-ok\r\nContent-Length: 2\r\n", "{}"),
       {417},
       After::closed},
      {"ExpectWithoutABody", get("/seen", "Expect: 100-continue\r\n"), {404}, After::goes_on},
      {"RangeIsNotServed",
       get("/telehealth-webrtc", "Range: bytes=0-0,1-1,2-2\r\n"),
       {200},
       After::goes_on},
      {"NothingIsCompressed",
       get("/telehealth-webrtc", "Accept-Encoding: gzip\r\n"),
       {200},
       After::goes_on},
  };
}

class HttpWire : public testing::TestWithParam<Over> {
 protected:
  // One server for all; every case has a connection of its own, sometimes two.
  static void SetUpTestSuite() {
    ControlOptions options;
    options.origins.strict_transport = true;
    options.max_connections_per_source = 10'000;
    rig = std::make_unique<ControlRig>(options, &test_tls());
  }
  static void TearDownTestSuite() { rig.reset(); }
  static bool secure() { return GetParam() != Over::tcp; }
  static std::unique_ptr<WireClient> connect() {
    return std::make_unique<WireClient>(secure() ? rig->tls_port() : rig->port(), GetParam());
  }

  static void run(const WireCase& tested, bool byte_by_byte) {
    SCOPED_TRACE(std::string(tested.name) + (byte_by_byte ? " byte by byte" : ""));
    const auto client = connect();
    const auto send = [&](std::string_view bytes) {
      byte_by_byte ? client->send_byte_by_byte(bytes) : client->send(bytes);
    };
    send(tested.bytes);
    std::vector<int> expected = tested.statuses;
    if (tested.after == After::goes_on) {
      // The fence: whatever else would be answered has been answered before this.
      send(head("GET /fence HTTP/1.1", "Connection: close\r\n"));
      expected.push_back(404);
    }
    EXPECT_TRUE(client->wait_for_end());
    std::vector<int> found;
    for (const WireAnswer& answer : client->answers()) {
      found.push_back(answer.status);
      EXPECT_EQ(wrong_headers(answer, secure()), "");
      EXPECT_EQ(answer.header("set-cookie"), "");
      EXPECT_EQ(answer.header("content-encoding"), "");
      EXPECT_EQ(answer.body.find("X-Secret"), std::string::npos);
    }
    EXPECT_EQ(found, expected) << client->received();
  }

  static std::unique_ptr<ControlRig> rig;
};
std::unique_ptr<ControlRig> HttpWire::rig;

INSTANTIATE_TEST_SUITE_P(Over, HttpWire,
                         testing::Values(Over::tcp, Over::tls, Over::tls_with_turn_alpn),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST_P(HttpWire, SmugglesNothing) {
  for (const WireCase& tested : smuggling()) {
    run(tested, false);
    run(tested, true);
  }
}

TEST_P(HttpWire, TakesNoLineThatTwoReadersCouldReadDifferently) {
  for (const WireCase& tested : lines()) {
    run(tested, false);
    run(tested, true);
  }
}

TEST_P(HttpWire, AnswersInOrderUntilItCloses) {
  for (const WireCase& tested : conversations()) {
    run(tested, false);
    run(tested, true);
  }
}

TEST_P(HttpWire, AsksForABodyThatIsHeldBackAndOnlyForOneItWants) {
  const auto client = connect();
  client->send(post("Expect: 100-continue\r\nContent-Length: 2\r\n"));
  ASSERT_TRUE(client->until([&] { return !client->answers().empty(); }));
  EXPECT_EQ(client->received(), "HTTP/1.1 100 Continue\r\n\r\n");
  client->send("{}");
  ASSERT_TRUE(client->until([&] { return client->answers().size() == 2; }));
  EXPECT_EQ(client->answers()[1].status, 400) << "an action is missing";

  const auto large = connect();
  large->send(post("Expect: 100-continue\r\nContent-Length: 65537\r\n"));
  EXPECT_TRUE(large->wait_for_end());
  ASSERT_EQ(large->answers().size(), 1U);
  EXPECT_EQ(large->answers()[0].status, 413);
}

TEST_P(HttpWire, AnswersAHalfClosedClientAndNobodyWhoLeftInARequest) {
  const auto whole = connect();
  whole->send(get("/a") + get("/b"));
  whole->half_close();
  EXPECT_TRUE(whole->wait_for_end());
  EXPECT_EQ(whole->answers().size(), 2U);

  for (const std::string& part : {get("/a").substr(0, 20), post("Content-Length: 9\r\n", "{}")}) {
    const auto cut = connect();
    cut->send(part);
    cut->half_close();
    EXPECT_TRUE(cut->wait_for_end());
    EXPECT_EQ(cut->received(), "");
  }
}

TEST_P(HttpWire, SendsNoBodyToHead) {
  const auto client = connect();
  const WireAnswer answer =
      client->ask(head("HEAD /telehealth-webrtc HTTP/1.1", "Connection: close\r\n"), true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_GT(std::stoi(answer.header("content-length")), 0);
  EXPECT_TRUE(client->wait_for_end());
  EXPECT_TRUE(client->received().ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace bedside::server
