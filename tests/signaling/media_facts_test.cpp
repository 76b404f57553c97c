// What clients declare about their own media is noted once per change, however often it is said.
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using What = MediaDeclared::What;

class MediaFacts : public HubUnderTest, public testing::Test {
 protected:
  MediaFacts() {
    create("r");
    who_ = join("r", "A");
    socket_ = attach(who_);
  }
  // What is noted because of this message.
  std::vector<std::pair<What, bool>> declare(Json facts) {
    facts["type"] = "media-state";
    noted.clear();
    say(socket_, facts);
    std::vector<std::pair<What, bool>> result;
    for (const Noted& each : noted) {
      const auto& fact = std::get<MediaDeclared>(each.change);
      EXPECT_EQ(fact.room, "r");
      EXPECT_EQ(fact.participant, who_.id);
      result.emplace_back(fact.what, fact.on);
    }
    return result;
  }

  Person who_;
  SocketId socket_ = 0;
};

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST_F(MediaFacts, AreNotedWhenTheyChange) {
  EXPECT_THAT(declare({{"audio", true}, {"video", true}}), IsEmpty());
  EXPECT_THAT(declare({{"screen", true}}), ElementsAre(Pair(What::screen, true)));
  EXPECT_THAT(declare({{"screen", true}, {"audio", true}}), IsEmpty());
  EXPECT_THAT(declare({{"recording", true}}),
              ElementsAre(Pair(What::screen, false), Pair(What::recording, true)));
  EXPECT_THAT(declare({{"recording", true}, {"path", "relay"}}),
              ElementsAre(Pair(What::relay, true)));
  EXPECT_THAT(declare({{"recording", true}}), IsEmpty()) << "no path is no news";
  EXPECT_THAT(declare({{"recording", true}, {"path", "direct"}}),
              ElementsAre(Pair(What::relay, false)));
}

TEST_F(MediaFacts, CannotFloodTheLog) {
  std::size_t notes = 0;
  bool screen = false;
  for (int i = 0; i < 300; ++i) {
    screen = !screen;
    notes += declare({{"screen", screen}}).size();
    advance(milliseconds{100});
  }
  EXPECT_LE(notes, 20U + 3U);
  EXPECT_GE(notes, 20U);
  advance(seconds{20});
  // What was passed over is made good: the next message says how it is by now.
  const bool last =
      !declare({{"screen", !screen}}).empty() || !declare({{"screen", screen}}).empty();
  EXPECT_TRUE(last);
}

}  // namespace
}  // namespace bedside::signaling
