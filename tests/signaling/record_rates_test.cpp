// What a participant may repeat and is a record each time has a rate of its own, whatever the
// transport: nobody fills the audit log by coming, going and locking.
#include "signaling/close_codes.h"
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::IsEmpty;

class RecordRates : public testing::Test {
 protected:
  void SetUp() override {
    t.create("r");
    ann = t.join("r", "Ann");
    b = t.attach(t.join("r", "Ben"));
    t.heard(b);
  }
  int come_and_go() {
    const int status = t.reply(t.poll(ann, 0, 0)).status;
    if (status != 200) return status;
    return t
        .ask({{"action", "leave-room"},
              {"roomId", "r"},
              {"participantId", ann.id},
              {"token", ann.token},
              {"returning", true}})
        .status;
  }

  static constexpr milliseconds kPace{70};  // slower than messages may be

  HubUnderTest t;
  HubUnderTest::Person ann;
  SocketId b = 0;
};

TEST_F(RecordRates, OfComingAnewWithASocket) {
  int came = 0;
  while (came < 2'000 && !t.closed(t.attach(ann)).has_value()) {
    ++came;
    t.advance(kPace);
  }
  EXPECT_GE(came, 1'000);
  EXPECT_LE(came, 1'010) << "one more in ten seconds";
  const std::size_t commits = t.commits.size();
  t.heard(b);
  t.misuse = 0;
  const SocketId refused = t.attach(ann);
  ASSERT_TRUE(t.closed(refused).has_value());
  EXPECT_EQ(t.closed(refused)->code, close_codes::kRateLimited);
  EXPECT_EQ(t.heard(refused).back()["code"], "rate-limited");
  EXPECT_EQ(t.commits.size(), commits);
  EXPECT_THAT(t.heard(b), IsEmpty());
  EXPECT_EQ(t.misuse, 1);
  EXPECT_FALSE(t.closed(t.attach(ann, 1)).has_value()) << "it may resume what it has";
  t.advance(seconds{10});
  EXPECT_FALSE(t.closed(t.attach(ann)).has_value());
  EXPECT_TRUE(t.closed(t.attach(ann)).has_value());
}

TEST_F(RecordRates, OfComingAndGoingWithPolls) {
  int came = 0;
  while (came < 2'000 && come_and_go() == 200) {
    ++came;
    t.advance(kPace);
  }
  EXPECT_GE(came, 1'000);
  EXPECT_LE(came, 1'010);
  const std::size_t commits = t.commits.size();
  t.misuse = 0;
  const Reply refused = t.reply(t.poll(ann, 0, 0));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.retry_after, seconds{10});
  const Json joins{{"type", "join"}, {"roomId", "r"}, {"peerId", ann.id}};
  EXPECT_EQ(t.signal(ann, joins).status, 429) << "by whichever message";
  EXPECT_EQ(t.commits.size(), commits);
  EXPECT_EQ(t.misuse, 2);
  t.advance(seconds{10});
  EXPECT_EQ(come_and_go(), 200);
}

TEST_F(RecordRates, LetAnHourOfTryingLeaveFewRecords) {
  const std::size_t before = t.commits.size();
  for (int i = 0; i < 3600; ++i) {
    come_and_go();
    t.attach(ann);
    t.advance(seconds{1});
  }
  const std::size_t comings = 1'000 + 360;
  const std::size_t credentials = 3600 / 480;
  EXPECT_LE(t.commits.size() - before, 2 * comings + 1 + credentials) << "and what ends each";
}

TEST(RecordRatesOfAHost, OfLocking) {
  HubUnderTest t(Limits{}, Access::invite);
  const Reply made =
      t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "visit"}});
  const std::string link = made.body.value("hostLink", "");
  const Reply joined = t.ask({{"action", "join-room"},
                              {"roomId", "visit"},
                              {"participantName", "Dr. Okafor"},
                              {"token", link.substr(link.find('#') + 1)}});
  const HubUnderTest::Person doctor{"visit", joined.body.value("participantId", ""),
                                    joined.body.value("participantToken", "")};
  const SocketId socket = t.attach(doctor);
  const auto lock = [](int i) { return Json{{"type", "lock"}, {"locked", i % 2 == 0}}; };
  for (int i = 0; i < 30; ++i) t.say(socket, lock(i));
  EXPECT_EQ(t.heard(socket).back()["locked"], false);
  const std::size_t commits = t.commits.size();
  t.say(socket, lock(0));
  EXPECT_EQ(t.heard(socket).back()["code"], "rate-limited");
  EXPECT_EQ(t.signal(doctor, lock(0)).status, 429);
  EXPECT_EQ(t.signal(doctor, lock(1)).status, 200) << "it is so already";
  EXPECT_EQ(t.commits.size(), commits);
  EXPECT_FALSE(t.closed(socket).has_value()) << "the visit goes on";
  t.advance(seconds{10});
  t.say(socket, lock(0));
  EXPECT_EQ(t.heard(socket).back()["locked"], true);
}

// Each time somebody new: the rates of a participant do not meet that.
TEST(RecordRatesOfALink, OfJoiningWithIt) {
  HubUnderTest t(Limits{}, Access::invite);
  const Reply made =
      t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "visit"}});
  const auto join = [&](const char* which) {
    const std::string link = made.body.value(which, "");
    return t.ask({{"action", "join-room"},
                  {"roomId", "visit"},
                  {"participantName", "Ann"},
                  {"token", link.substr(link.find('#') + 1)}});
  };
  int joined = 0;
  for (Reply reply = join("link"); joined < 2'000 && reply.status == 200; reply = join("link")) {
    ++joined;
    EXPECT_EQ(t.ask({{"action", "leave-room"},
                     {"roomId", "visit"},
                     {"participantId", reply.body.value("participantId", "")},
                     {"token", reply.body.value("participantToken", "")}})
                  .status,
              200);
    t.advance(milliseconds{70});
  }
  EXPECT_GE(joined, 1'000);
  EXPECT_LE(joined, 1'010) << "one more in ten seconds";
  const std::size_t commits = t.commits.size();
  t.misuse = 0;
  const Reply refused = join("link");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.retry_after, seconds{10});
  EXPECT_EQ(t.commits.size(), commits);
  EXPECT_EQ(t.misuse, 1);
  EXPECT_EQ(join("hostLink").status, 200) << "the clinician comes in all the same";
  t.advance(seconds{10});
  EXPECT_EQ(join("link").status, 200);
}

}  // namespace
}  // namespace bedside::signaling
