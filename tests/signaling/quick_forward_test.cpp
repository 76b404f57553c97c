#include "signaling/quick_forward.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "signaling/limits.h"
#include "tests/support/seeded_random.h"

namespace bedside::signaling {
namespace {

const std::vector<std::string> kUsual{
    R"({"type":"offer","targetPeerId":"p-1","offer":{"type":"offer","sdp":"v=0\r\no=- 1 2 \"x\"\\\/"}})",
    R"({"targetPeerId":"p_2","answer":{"a":[1,-2.5,0,true,false,null,[],{}]},"type":"answer","clientSeq":7})",
    " { \"type\" : \"ice-candidate\" , \"targetPeerId\" : \"p\" ,\n\t\"candidate\" : { "
    "\"sdpMLineIndex\" : 0 } } ",
};

const Forward& forward_of(const ClientMessage& message) { return std::get<Forward>(message.body); }

TEST(QuickForward, TakesTheUsualMessagesAsTheyAreWritten) {
  const auto offer = quick_forward(kUsual[0]);
  ASSERT_TRUE(offer);
  EXPECT_EQ(forward_of(*offer).target, "p-1");
  EXPECT_EQ(forward_of(*offer).object, kUsual[0]);
  EXPECT_FALSE(offer->client_seq);
  const auto answer = quick_forward(kUsual[1]);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->client_seq, 7U);
  const auto candidate = quick_forward(kUsual[2]);
  ASSERT_TRUE(candidate);
  EXPECT_EQ(forward_of(*candidate).object, kUsual[2].substr(1, kUsual[2].size() - 2))
      << "without the space around";
}

TEST(QuickForward, LeavesTheUnusualToTheLongWay) {
  const std::string rest = R"(,"targetPeerId":"p"})";
  for (const std::string& text :
       std::vector<std::string>{"",
                                "{}",
                                "[]",
                                "\"offer\"",
                                R"({"type":"offer"})",
                                R"({"targetPeerId":"p"})",
                                R"({"type":"leave")" + rest,
                                R"({"type":"of\u0066er")" + rest,
                                R"({"type":1)" + rest,
                                R"({"type":"offer","targetPeerId":""})",
                                R"({"type":"offer","targetPeerId":"\u0070"})",
                                R"({"type":"offer","type":"answer")" + rest,
                                R"({"type":"offer","targetPeerId":"q")" + rest,
                                R"({"type":"offer","fromPeerId":"x")" + rest,
                                R"({"type":"offer","seq":1)" + rest,
                                R"({"type":"offer","s\u0065q":1)" + rest,
                                R"({"type":"offer","requestId":"r")" + rest,
                                R"({"type":"offer","clientSeq":-1)" + rest,
                                R"({"type":"offer","clientSeq":1.5)" + rest,
                                R"({"type":"offer","clientSeq":"1")" + rest,
                                R"({"type":"offer","x":"\u00e4")" + rest,
                                "{\"type\":\"offer\",\"x\":\"\xc3\xa4\"" + rest,
                                "{\"type\":\"offer\",\"x\":\"\n\"" + rest,
                                R"({"type":"offer","x":01)" + rest,
                                R"({"type":"offer","x":1e999)" + rest,
                                R"({"type":"offer","x":12345678901234567890)" + rest,
                                R"({"type":"offer","x":.5)" + rest,
                                R"({"type":"offer","x":1.)" + rest,
                                R"({"type":"offer","x":+1)" + rest,
                                R"({"type":"offer","x":tru)" + rest,
                                R"({"type":"offer","x":'y')" + rest,
                                R"({"type":"offer","x":[1,])" + rest,
                                R"({"type":"offer","x":{"a"})" + rest,
                                R"({"type":"offer",)" + rest.substr(1) + "}",
                                R"({"type":"offer","targetPeerId":"p",})",
                                R"({"type":"offer","targetPeerId":"p"}x)"}) {
    EXPECT_FALSE(quick_forward(text)) << text;
  }
}

TEST(QuickForward, GoesAsDeepAsTheLimit) {
  const auto nested = [](std::size_t levels) {
    return R"({"type":"offer","targetPeerId":"p","x":)" + std::string(levels, '[') +
           std::string(levels, ']') + "}";
  };
  EXPECT_TRUE(quick_forward(nested(kMaxJsonDepth - 1)));
  EXPECT_FALSE(quick_forward(nested(kMaxJsonDepth)));
}

// Whatever it accepts, a JSON reader that is not ours accepts and understands in the same way.
TEST(QuickForward, AcceptsNothingButStrictJsonAndMeansTheSame) {
  testing_support::SeededRandom random(0xF0A4D);
  constexpr std::string_view kAlphabet = "{}[]\",:\\/ \n0123456789-+.eEtrufalsn\x01\x7f\xc3ptd";
  std::size_t accepted = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::string text = kUsual[random.below(kUsual.size())];
    for (std::size_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(text.size());
      const char with = kAlphabet[random.below(kAlphabet.size())];
      if (const auto kind = random.below(3); kind == 0) {
        text[at] = with;
      } else if (kind == 1) {
        text.insert(at, 1, with);
      } else {
        text.erase(at, 1);
      }
    }
    const auto message = quick_forward(text);
    if (!message) continue;
    ++accepted;
    const nlohmann::json read = nlohmann::json::parse(text, nullptr, false);
    ASSERT_TRUE(read.is_object()) << text;
    EXPECT_EQ(read["targetPeerId"], forward_of(*message).target) << text;
    EXPECT_EQ(read, nlohmann::json::parse(forward_of(*message).object, nullptr, false)) << text;
    EXPECT_EQ(read.contains("clientSeq"), message->client_seq.has_value()) << text;
    EXPECT_FALSE(read.contains("fromPeerId") || read.contains("seq")) << text;
  }
  EXPECT_GT(accepted, 500U) << "most changes inside of strings do no harm";
}

}  // namespace
}  // namespace bedside::signaling
