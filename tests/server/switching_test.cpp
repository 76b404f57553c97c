// People who change between WebSocket and long poll over real connections, which end at any moment
// with messages in flight both ways: nothing is lost, doubled or reordered.
//
//   BEDSIDE_SEED=17 BEDSIDE_MESSAGES=10000 contract_test --gtest_filter='Switching.*'
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "tests/server/control_rig.h"

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using tests::SocketClient;

// Thirty messages a second are allowed: the clock goes on by a little more with each.
class MessageClock {
 public:
  void tick() { passed_ += 34; }
  signaling::Now now() const {
    return {milliseconds{1'000'000 + passed_}, milliseconds{1'704'067'200'000 + passed_}};
  }

 private:
  std::atomic<std::int64_t> passed_{0};
};

ControlOptions timed_by(const MessageClock& clock) {
  ControlOptions options;
  options.clock = [&clock] { return clock.now(); };
  return options;
}

class Roamer {
 public:
  Roamer(const ControlRig& rig, MessageClock& clock, std::mt19937& random, Json me)
      : rig_(rig), clock_(clock), random_(random), me_(std::move(me)), http_(rig.http()) {
    http_.set_keep_alive(true);
    http_.set_tcp_nodelay(true);
    socket_ = std::make_unique<SocketClient>(rig_.port(), "/api/webrtc-ws");
    socket_->send(join());
    take(socket_->next());
  }

  std::string id() const { return me_["participantId"]; }
  const std::map<std::string, std::vector<int>>& heard() const { return heard_; }
  const std::vector<int>& said_to(const std::string& other) { return said_[other]; }
  unsigned changes() const { return changes_; }

  void say(const std::string& target) {
    const int number = static_cast<int>(next_seq_);
    said_[target].push_back(number);
    outgoing_.push_back(
        {next_seq_++, {{"type", "offer"}, {"targetPeerId", target}, {"offer", number}}});
    if (socket_) return send_by_socket(outgoing_.back());
    send_by_signal();
  }

  // What is on its way to the old connection, and in it, is lost.
  void change() {
    ++changes_;
    // One in three leaves the old socket open: the server has to find out that it is superseded.
    if (socket_ && below(3) == 0) left_open_ = std::move(socket_);
    socket_.reset();
    if (below(2) == 0) {
      poll();
    } else {
      resume();
    }
  }

  // Some of what has come, which is less than what was sent.
  void hear_some() {
    for (std::size_t i = socket_ ? below(4) : 0; i > 0 && unheard_ > 0; --i) take(socket_->next());
  }

  // Until all we said is known to have arrived.
  void arrive() {
    while (!outgoing_.empty() && !testing::Test::HasFailure()) {
      if (below(2) == 0) {
        socket_.reset();
        poll();
        send_by_signal();
      } else {
        resume();
      }
    }
  }

  void expect_more(std::size_t messages) { unheard_ += messages; }
  void hear_all() {
    while (unheard_ > 0 && !testing::Test::HasFailure()) {
      if (socket_) {
        take(socket_->next());
      } else {
        poll();
      }
    }
  }

 private:
  struct Outgoing {
    std::uint64_t seq = 0;
    Json message;
  };

  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  Json join() const {
    return {{"type", "join"},
            {"roomId", "r"},
            {"peerId", me_["participantId"]},
            {"token", me_["participantToken"]}};
  }
  Json request(const char* action) const {
    return {{"action", action},
            {"roomId", "r"},
            {"participantId", me_["participantId"]},
            {"token", me_["participantToken"]}};
  }
  Json post(const Json& body) {
    const auto answer = http_.Post("/api/webrtc-signaling", body.dump(), "application/json");
    EXPECT_TRUE(answer) << "no answer";
    EXPECT_TRUE(!answer || answer->status == 200) << answer->body;
    return answer ? Json::parse(answer->body) : Json::object();
  }

  void resume() {
    socket_ = std::make_unique<SocketClient>(rig_.port(), "/api/webrtc-ws");
    Json message = join();
    message["after"] = after_;
    socket_->send(message);
    resumed_ = false;
    while (!resumed_ && !testing::Test::HasFailure()) take(socket_->next());
    for (const Outgoing& unknown : outgoing_) send_by_socket(unknown);
  }

  void send_by_socket(const Outgoing& outgoing) {
    clock_.tick();
    Json message = outgoing.message;
    message["clientSeq"] = outgoing.seq;
    socket_->send(message);
  }

  // One after the other from the first that is not known to have arrived.
  void send_by_signal() {
    while (!outgoing_.empty()) {
      clock_.tick();
      Json signal = request("signal");
      signal["clientSeq"] = outgoing_.front().seq;
      signal["message"] = outgoing_.front().message;
      post(signal);
      if (below(4) == 0) return;  // the answer is lost
      outgoing_.pop_front();
    }
  }

  void poll() {
    clock_.tick();
    Json poll = request("poll");
    poll["after"] = after_;
    poll["wait"] = 0;
    const Json answer = post(poll);
    if (below(4) == 0) return;  // lost
    for (const Json& message : answer["messages"]) take(message);
    acknowledge(answer["clientSeq"]);
  }

  void acknowledge(std::uint64_t seq) {
    while (!outgoing_.empty() && outgoing_.front().seq <= seq) outgoing_.pop_front();
  }

  void take(const Json& message) {
    if (!message.is_object() || !message.contains("seq")) {
      ADD_FAILURE() << id() << " waits in vain, or is told " << message;
      return;
    }
    EXPECT_EQ(message["seq"], after_ + 1) << id() << " " << message;
    after_ = message["seq"];
    const std::string type = message["type"];
    if (type == "offer") {
      heard_[message["fromPeerId"]].push_back(message["offer"]);
      --unheard_;
    } else if (type == "resumed") {
      resumed_ = true;
      acknowledge(message["clientSeq"]);
    } else {
      // Whoever changes the transport has not gone, and has missed nothing.
      EXPECT_TRUE(type == "peer-joined" || (type == "existing-peers" && after_ == 1)) << message;
    }
  }

  const ControlRig& rig_;
  MessageClock& clock_;
  std::mt19937& random_;
  const Json me_;
  httplib::Client http_;
  std::unique_ptr<SocketClient> socket_;  // null: by long poll
  std::unique_ptr<SocketClient> left_open_;
  std::uint64_t after_ = 0;
  std::uint64_t next_seq_ = 1;
  std::deque<Outgoing> outgoing_;  // not known to have arrived
  std::map<std::string, std::vector<int>> said_;
  std::map<std::string, std::vector<int>> heard_;
  std::size_t unheard_ = 0;  // offers that are owed to us
  bool resumed_ = false;
  unsigned changes_ = 0;
};

class Crowd {
 public:
  explicit Crowd(std::uint32_t seed) : random_(seed) {
    rig_.create("r");
    for (const char* name : {"Ann", "Ben", "Cleo"}) {
      people_.push_back(std::make_unique<Roamer>(rig_, clock_, random_, rig_.join("r", name)));
    }
  }

  void talk(std::size_t messages) {
    for (std::size_t said = 0; said < messages && !testing::Test::HasFailure();) {
      for (const auto& speaker : people_) {
        if (below(2) == 0) speaker->change();
        for (std::size_t burst = 1 + below(20); burst > 0; --burst, ++said) say(*speaker);
      }
      for (const auto& person : people_) person->arrive();
      for (const auto& person : people_) {
        person->hear_some();
        if (below(3) == 0) person->change();
        person->hear_all();
      }
    }
  }

  void check() const {
    unsigned changes = 0;
    for (const auto& receiver : people_) {
      changes += receiver->changes();
      for (const auto& sender : people_) {
        if (sender == receiver) continue;
        const auto heard = receiver->heard().find(sender->id());
        ASSERT_NE(heard, receiver->heard().end());
        EXPECT_EQ(heard->second, sender->said_to(receiver->id()));
      }
    }
    EXPECT_GT(changes, 100U) << "nobody changed the transport";
  }

 private:
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  void say(Roamer& speaker) {
    Roamer* target = nullptr;
    while (target == nullptr || target == &speaker) target = people_[below(people_.size())].get();
    target->expect_more(1);
    speaker.say(target->id());
    if (below(12) == 0) speaker.change();
  }

  std::mt19937 random_;
  MessageClock clock_;
  ControlRig rig_{timed_by(clock_)};
  std::vector<std::unique_ptr<Roamer>> people_;
};

TEST(Switching, OverRealConnectionsNothingIsLostDoubledOrReordered) {
  const char* fixed = std::getenv("BEDSIDE_SEED");
  const char* messages = std::getenv("BEDSIDE_MESSAGES");
  Crowd crowd(fixed != nullptr ? static_cast<std::uint32_t>(std::strtoul(fixed, nullptr, 10)) : 1);
  crowd.talk(messages != nullptr ? std::strtoul(messages, nullptr, 10) : 2'500);
  if (!testing::Test::HasFailure()) crowd.check();
}

}  // namespace
}  // namespace bedside::server
