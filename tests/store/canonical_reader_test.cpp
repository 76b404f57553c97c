#include "store/canonical_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "store/canonical_json.h"

namespace bedside::store {
namespace {

TEST(CanonicalObject, ReadsWhatIsWritten) {
  const std::string nasty("a\"b\\c\n\x7f\xC3\xA9", 9);
  JsonObject inner;
  inner.set("id", nasty).set("n", -7);
  const std::string text = JsonObject().set("actor", inner).set("seq", 12).set("t", "x").text();
  const auto read = CanonicalObject::parse(text);
  ASSERT_TRUE(read) << text;
  EXPECT_EQ(read->integer("seq"), 12);
  EXPECT_EQ(read->text("t"), "x");
  EXPECT_EQ(read->object("actor")->text("id"), nasty);
  EXPECT_EQ(read->object("actor")->integer("n"), -7);
  EXPECT_FALSE(read->text("seq"));
  EXPECT_FALSE(read->integer("t"));
  EXPECT_FALSE(read->object("t"));
  EXPECT_FALSE(read->text("nothing"));
}

TEST(CanonicalObject, EveryOtherSpellingIsRefused) {
  for (const std::string text : {"",
                                 "{",
                                 "}",
                                 "{}x",
                                 " {}",
                                 "{ }",
                                 R"({"a":1,})",
                                 R"({"a":01})",
                                 R"({"a":+1})",
                                 R"({"a":-0})",
                                 R"({"a":1.0})",
                                 R"({"a":1e3})",
                                 R"({"a":true})",
                                 R"({"a":null})",
                                 R"({"a":[1]})",
                                 R"({"b":1,"a":2})",
                                 R"({"a":1,"a":2})",
                                 R"({"a": 1})",
                                 R"({"a":"\n"})",
                                 R"({"a":"\u0041"})",
                                 R"({"a":"\u000A"})",
                                 R"({"a":"\/"})",
                                 "{\"a\":\"\x01\"}",
                                 "{\"a\":\"\xFF\"}",
                                 "{\"a\":\"\xC0\x80\"}",
                                 R"({"a":"x})",
                                 R"({"a":"x\)",
                                 R"({"a":{"b":1})",
                                 R"({"a":{"c":1,"b":1}})",
                                 R"({"a":99999999999999999999})",
                                 R"([])",
                                 R"("a")",
                                 R"({a:1})"}) {
    EXPECT_FALSE(CanonicalObject::parse(text)) << text;
  }
  EXPECT_TRUE(CanonicalObject::parse("{}"));
}

TEST(CanonicalObject, DeepTextIsRefusedNotFollowed) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += R"({"a":)";
  text += "1";
  for (int i = 0; i < 50'000; ++i) text += "}";
  EXPECT_FALSE(CanonicalObject::parse(text));
}

}  // namespace
}  // namespace bedside::store
