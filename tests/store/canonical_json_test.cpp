#include "store/canonical_json.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace bedside::store {
namespace {

TEST(CanonicalJson, SortsKeysWhateverTheOrderOfSetting) {
  JsonObject one;
  one.set("b", 1).set("a", "x").set("aa", JsonObject().set("z", 0).set("y", "1"));
  JsonObject two;
  two.set("aa", JsonObject().set("y", "1").set("z", 0)).set("a", "x").set("b", 1);
  EXPECT_EQ(one.text(), R"({"a":"x","aa":{"y":"1","z":0},"b":1})");
  EXPECT_EQ(one.text(), two.text());
}

TEST(CanonicalJson, WritesIntegersExactlyAndKeepsTooLargeOnesAsText) {
  JsonObject object;
  object.set("low", std::numeric_limits<std::int64_t>::min());
  object.set("high", std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(object.text(), R"({"high":"18446744073709551615","low":-9223372036854775808})");
}

TEST(CanonicalJson, EscapesWhatCouldBreakALineOrTheText) {
  const std::string nasty("a\"b\\c\n\r\t\0\x1b\x7f", 11);
  EXPECT_EQ(JsonObject().set("k", nasty).text(),
            R"({"k":"a\"b\\c\u000a\u000d\u0009\u0000\u001b\u007f"})");
}

TEST(CanonicalJson, KeepsUtf8AndReplacesEveryByteThatIsNone) {
  EXPECT_EQ(JsonObject().set("k", "é€😀").text(), "{\"k\":\"é€😀\"}");
  const std::string bad[] = {"\x80",              // a continuation alone
                             "\xC0\xAF",          // overlong
                             "\xED\xA0\x80",      // a surrogate
                             "\xF4\x90\x80\x80",  // above U+10FFFF
                             "\xE2\x82"};         // cut short
  for (const std::string& bytes : bad) {
    std::string expected = "{\"k\":\"";
    for (std::size_t i = 0; i < bytes.size(); ++i) expected += "\xEF\xBF\xBD";
    EXPECT_EQ(JsonObject().set("k", bytes).text(), expected + "\"}");
  }
}

TEST(CanonicalJson, LeavesOutWhatIsEmptyOnlyWhenAsked) {
  EXPECT_EQ(JsonObject().set_if("a", "").set("b", "").text(), R"({"b":""})");
  EXPECT_EQ(JsonObject().text(), "{}");
}

TEST(OrderedJson, WritesWhatAJsonObjectWrites) {
  const JsonObject inner = JsonObject().set("x", 1);
  JsonObject model;
  model.set("a", "1\"\n").set("c", inner).set("d", JsonObject().set("k", "v")).set("e", -7);
  model.set("f", std::numeric_limits<std::uint64_t>::max());
  std::string out = "before ";
  OrderedJson json(out);
  json.text("a", "1\"\n");
  json.text("b", "");
  json.object("c", inner);
  OrderedJson nested(json.begin("d"));
  nested.text("k", "v");
  nested.end();
  json.number("e", -7);
  json.number("f", std::numeric_limits<std::uint64_t>::max());
  json.end();
  EXPECT_EQ(out, "before " + model.text());
}

}  // namespace
}  // namespace bedside::store
