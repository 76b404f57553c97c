// "Within one second nothing of theirs is relayed": rooms of the real hub whose guests have
// allocations on real relay shards, ended and kicked; a thousand at once, and some in the middle of
// media that never stops.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "server/bearer_secret.h"
#include "server/prepare.h"
#include "signaling/hub.h"
#include "tests/bench/turn_session.h"
#include "tests/server/shard_rig.h"
#include "tests/support/sanitized.h"

namespace bedside::server::testing {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

using testing_support::kSanitized;

constexpr int kRooms = 1000;
// Held against the clock without sanitizers; with them the packets are counted.
constexpr milliseconds kPromise{1000};

signaling::Now now() {
  using std::chrono::duration_cast;
  return {duration_cast<milliseconds>(Clock::now().time_since_epoch()),
          duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())};
}

class Secrets final : public signaling::Issuer {
 public:
  std::string participant_id() override { return new_name(); }
  std::string token() override { return new_secret(); }
  signaling::TokenHash hash(std::string_view token) const override { return hash_of(token); }
  signaling::IceGrant ice_grant(std::string_view, std::string_view,
                                const signaling::Now& at) override {
    return {"[]", at.wall + std::chrono::minutes{10}};
  }
};

// What Control does with the hub's outputs, without sockets and disk.
class Visits {
 public:
  explicit Visits(ShardRig& rig, std::size_t shards = 1) : rig_(rig), shards_(shards) {}

  Json ask(const Json& body) {
    hub_.request(++requests_, *signaling::parse_action(body.dump()), {}, now());
    pump();
    return Json::parse(last_answer_);
  }
  signaling::SocketId attach(const std::string& room, const Json& who) {
    const signaling::SocketId socket = ++sockets_;
    hub_.socket_opened(socket, {}, now());
    say(socket, {{"type", "join"},
                 {"roomId", room},
                 {"peerId", who["participantId"]},
                 {"token", who["participantToken"]}});
    return socket;
  }
  void say(signaling::SocketId socket, const Json& message) {
    hub_.socket_message(socket, message.dump(), now());
    pump();
  }
  // A full queue of the shard is tried again, as Control's timer does.
  void retry() {
    for (std::size_t i = again_.size(); i > 0; --i) {
      const std::string participant = std::move(again_.front());
      again_.pop_front();
      revoke(participant);
    }
  }

 private:
  void pump() {
    while (true) {
      const auto outputs = hub_.outputs();
      if (outputs.empty()) return;
      for (const signaling::Output& output : outputs) {
        if (const auto* commit = std::get_if<signaling::CommitNeeded>(&output)) {
          hub_.committed(commit->id, true, now());
        } else if (const auto* answer = std::get_if<signaling::Answer>(&output)) {
          last_answer_ = answer->body;
        } else if (const auto* live = std::get_if<signaling::ParticipantLive>(&output)) {
          rig_.participants().add(live->participant);
        } else if (const auto* gone = std::get_if<signaling::ParticipantGone>(&output)) {
          rig_.participants().remove(gone->participant);
          revoke(gone->participant);
        }
      }
    }
  }
  void revoke(const std::string& participant) {
    bool told = true;
    for (std::size_t i = 0; i < shards_; ++i) told &= rig_.shard(i).revoke_participant(participant);
    if (!told) again_.push_back(participant);
  }

  static signaling::Limits limits() {
    signaling::Limits limits;
    limits.waiting_room = false;
    return limits;
  }

  ShardRig& rig_;
  const std::size_t shards_;
  Secrets secrets_;
  signaling::Hub hub_{limits(), signaling::Access::invite, secrets_};
  std::string last_answer_;
  std::deque<std::string> again_;
  signaling::RequestId requests_ = 0;
  signaling::SocketId sockets_ = 0;
};

struct OneRoom {
  std::string name;
  signaling::SocketId host = 0;
  std::string guest;
  std::optional<turn::IssuedCredential> credential;  // the guest's
  std::unique_ptr<UdpTurnEnd> turn;
};

OneRoom open_room(Visits& visits, const ShardRig& rig, int number) {
  OneRoom room;
  room.name = "room-" + std::to_string(number);
  const Json made = visits.ask(
      {{"action", "create-room"}, {"appointmentId", number + 1}, {"roomName", room.name}});
  const auto join = [&](const std::string& link, const std::string& name) {
    return visits.ask({{"action", "join-room"},
                       {"roomId", room.name},
                       {"participantName", name},
                       {"token", link.substr(link.find('#') + 1)}});
  };
  room.host = visits.attach(room.name, join(made["hostLink"], "Doctor"));
  const Json guest = join(made["link"], "Guest");
  visits.attach(room.name, guest);
  room.guest = guest["participantId"];
  const turn::Now at{now().mono, std::chrono::duration_cast<std::chrono::seconds>(now().wall)};
  room.credential =
      rig.credentials().issue_for_participant(room.name, room.guest, at, std::chrono::seconds{600});
  return room;
}

// Every client has a network of its own: limits for strangers are per address.
void allocate(ShardRig& rig, OneRoom& room, int number) {
  room.turn = std::make_unique<UdpTurnEnd>(rig, "127." + std::to_string(1 + number / 250) + "." +
                                                    std::to_string(1 + number % 250) + ".1:0");
  room.turn->signer = Signer(room.credential->username, kRealm, room.credential->password);
  room.turn->allocate();
}

// One half is ended, the other loses its guest.
void throw_out(Visits& visits, const OneRoom& room, std::size_t number) {
  if (number % 2 == 0) {
    visits.say(room.host, {{"type", "end-room"}});
  } else {
    visits.say(room.host, {{"type", "kick"}, {"peerId", room.guest}});
  }
}

TEST(Revocation, OfAThousandRoomsAtOnceEndsEveryAllocationWithinASecond) {
  raise_file_limit();
  RigOptions options;
  options.event_queue = 8192;
  ShardRig rig(options);
  Visits visits(rig);
  std::vector<OneRoom> rooms;
  for (int i = 0; i < kRooms; ++i) {
    rooms.push_back(open_room(visits, rig, i));
    allocate(rig, rooms.back(), i);
    if (::testing::Test::HasFatalFailure() || ::testing::Test::HasNonfatalFailure()) return;
  }
  ASSERT_TRUE(rig.run_until(
      [&] { return rig.shard().stats().read().allocations == std::uint64_t{kRooms}; }));

  const Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < rooms.size(); ++i) throw_out(visits, rooms[i], i);
  const milliseconds told = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  EXPECT_TRUE(rig.run_until([&] {
    visits.retry();
    return rig.shard().stats().read().allocations == 0;
  }));
  const milliseconds took = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  std::printf("1000 rooms ended or kicked: hub %lld ms, last allocation gone after %lld ms\n",
              static_cast<long long>(told.count()), static_cast<long long>(took.count()));
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  if (!kSanitized) {
    EXPECT_LT(took, kPromise);
  }

  // And the credentials are dead: nobody comes back with what they had.
  for (std::size_t i = 0; i < rooms.size(); i += 97) {
    EXPECT_FALSE(rooms[i].turn->ask(stun::Method::refresh).ok()) << rooms[i].name;
    EXPECT_FALSE(rooms[i].turn->ask(stun::Method::allocate, udp_transport()).ok()) << rooms[i].name;
  }
}

TEST(Revocation, EndsTheConnectionOfWhoeverLostTheAllocation) {
  ShardRig rig;
  rig.open_door();
  Visits visits(rig);
  const OneRoom room = open_room(visits, rig, 0);
  DoorTurnEnd tls(rig, turn::ClientTransport::tls);
  DoorTurnEnd tcp(rig, turn::ClientTransport::tcp);
  DtlsTurnEnd dtls(rig);
  for (TurnEnd* end : std::array<TurnEnd*, 3>{&tls, &tcp, &dtls}) {
    end->signer = Signer(room.credential->username, kRealm, room.credential->password);
    end->allocate();
  }
  DoorTurnEnd neighbour(rig, turn::ClientTransport::tls);
  neighbour.allocate();

  const Clock::time_point start = Clock::now();
  throw_out(visits, room, 1);
  EXPECT_TRUE(rig.run_until(
      [&] { return tls.tcp->ended() && tcp.tcp->ended() && dtls.dtls.pump().ended(); }));
  if (!kSanitized) {
    EXPECT_LT(Clock::now() - start, kPromise);
  }
  EXPECT_TRUE(neighbour.ask(stun::Method::refresh).ok());
  EXPECT_FALSE(neighbour.tcp->ended());
}

// --- media that never stops ---

// One direction of a call: what one socket sends and another hears of it. Each packet carries the
// round it was sent in. Sends and hears on the media thread; figures for any thread.
class Flow {
 public:
  Flow(int from, bool framed, int at, bool theirs)
      : from_(from), framed_(framed), at_(at), theirs_(theirs) {}

  void send(std::uint64_t round) const {
    std::array<std::uint8_t, 12> packet{};
    stun::store_u16(packet, 0, bench::TurnSession::kChannel);
    stun::store_u16(packet, 2, sizeof round);
    std::memcpy(packet.data() + 4, &round, sizeof round);
    const stun::Bytes bytes = stun::Bytes(packet).subspan(framed_ ? 0 : 4);
    (void)::send(from_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  }
  void hear() {
    std::array<std::uint8_t, 64> packet{};
    for (;;) {
      const ssize_t size = ::recv(at_, packet.data(), packet.size(), MSG_DONTWAIT);
      if (size < 0) return;
      // A client may also hear of the ICMP error about what it sent to a port that is closed now.
      const bool media = size == 8 || (size == 12 && packet[0] == 0x40);
      if (!media) continue;
      std::uint64_t round = 0;
      std::memcpy(&round, packet.data() + size - sizeof round, sizeof round);
      if (round > told_at_) ++late_;
      last_round_ = round;
      heard_at_ = Clock::now().time_since_epoch();
    }
  }

  bool theirs() const { return theirs_; }  // of a guest who is thrown out
  void told_at(std::uint64_t round) { told_at_ = round; }
  std::uint64_t late() const { return late_; }  // heard, though sent after told_at()
  std::uint64_t last_round() const { return last_round_; }
  Clock::time_point heard_at() const { return Clock::time_point(heard_at_); }

 private:
  const int from_;
  const bool framed_;  // a client's ChannelData, or a peer's datagram
  const int at_;
  const bool theirs_;
  std::atomic<std::uint64_t> told_at_{~std::uint64_t{0}};
  std::atomic<std::uint64_t> late_{0};
  std::atomic<std::uint64_t> last_round_{0};
  std::atomic<Clock::duration> heard_at_{Clock::duration::zero()};
};

// All flows at once, as fast as this machine goes, until it is destroyed.
class Media {
 public:
  explicit Media(std::deque<Flow>& flows) : thread_([this, &flows] { run(flows); }) {}
  ~Media() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t round() const { return round_; }

 private:
  void run(std::deque<Flow>& flows) {
    while (!stop_) {
      const std::uint64_t round = ++round_;
      for (const Flow& flow : flows) flow.send(round);
      for (Flow& flow : flows) flow.hear();
    }
  }

  std::atomic<std::uint64_t> round_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

bool wait_until(const std::function<bool()>& done) {
  const Clock::time_point limit = Clock::now() + std::chrono::seconds(60);
  while (!done()) {
    if (Clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

// A guest who talks to somebody on the network, through whichever shard the kernel chose.
struct Call {
  OneRoom room;
  bench::TurnSession session;
  bench::LoopbackSocket peer;
  std::size_t shard = 0;
};

class Calls {
 public:
  Calls(Visits& visits, ShardRig& rig) : visits_(visits), rig_(rig) {}

  std::uint64_t allocations(std::size_t shard) {
    return rig_.shard(shard).stats().read().allocations;
  }
  std::uint64_t allocations() { return allocations(0) + allocations(1); }

  Call& add() {
    OneRoom room = open_room(visits_, rig_, static_cast<int>(calls_.size()));
    const bench::Login login{room.credential->username, room.credential->password};
    Call& call = calls_.emplace_back(
        Call{std::move(room), bench::TurnSession(rig_.server(), login), bench::LoopbackSocket()});
    const std::uint64_t before = allocations(1);
    call.session.allocate();
    EXPECT_TRUE(wait_until([&] { return allocations() == calls_.size(); }));
    call.shard = allocations(1) == before ? 0 : 1;
    return call;
  }
  const std::deque<Call>& all() const { return calls_; }

 private:
  Visits& visits_;
  ShardRig& rig_;
  std::deque<Call> calls_;
};

// After the hub has taken the command, a shard may be within a round of its loop and gets to the
// command in the next: from each socket a bounded number of packets in each.
constexpr std::uint64_t kPacketsInFlight = 4 * 256;

// Calls with the network and between relay ports of ours, some of which will be ended.
class Scene {
 public:
  Scene() {
    rig_.add_shard();
    rig_.shard(0).start();
    rig_.shard(1).start();
    // Every other call is to be ended, until both shards have some of each.
    std::array<int, 2> on_shard{};
    while (on_shard[0] < 4 || on_shard[1] < 4) {
      Call& call = calls.add();
      const bool theirs = on_shard[call.shard]++ % 2 == 0;
      call.session.bind_channel(call.peer.local());
      call.peer.connect(*call.session.relayed());
      flows.emplace_back(call.session.socket().fd(), true, call.peer.fd(), theirs);
      flows.emplace_back(call.peer.fd(), false, call.session.socket().fd(), theirs);
      if (theirs) thrown_out.push_back(&call.room);
    }
    for (int i = 0; i < 4; ++i) {  // one end is thrown out, the other stays
      Call& one = calls.add();
      Call& other = calls.add();
      one.session.bind_channel(*other.session.relayed());
      other.session.bind_channel(*one.session.relayed());
      flows.emplace_back(one.session.socket().fd(), true, other.session.socket().fd(), true);
      flows.emplace_back(other.session.socket().fd(), true, one.session.socket().fd(), true);
      thrown_out.push_back(&one.room);
    }
  }
  ~Scene() {
    rig_.shard(0).stop();
    rig_.shard(1).stop();
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  bool all_heard_since(std::uint64_t round) const {
    return std::all_of(flows.begin(), flows.end(),
                       [&](const Flow& flow) { return flow.last_round() > round; });
  }
  bool others_heard_since(std::uint64_t round) const {
    return std::all_of(flows.begin(), flows.end(), [&](const Flow& flow) {
      return flow.theirs() || flow.last_round() > round;
    });
  }
  bool theirs_are_gone() {
    visits.retry();
    return calls.allocations() == calls.all().size() - thrown_out.size();
  }
  void print(Clock::duration took) const {
    std::uint64_t late = 0;
    for (const Flow& flow : flows) {
      if (flow.theirs()) late = std::max(late, flow.late());
    }
    std::printf(
        "%zu of %zu calls ended: last packet of theirs after %lld us, at most %llu of one "
        "flow sent after the hub had been told\n",
        thrown_out.size(), calls.all().size(),
        static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()),
        static_cast<unsigned long long>(late));
  }

 private:
  static RigOptions options() {
    RigOptions options;
    options.event_queue = 8192;
    options.quotas.packets_per_second = 1'000'000'000;  // nothing else may stop a packet
    options.quotas.bits_per_second = 1'000'000'000'000;
    return options;
  }
  ShardRig rig_{options()};

 public:
  Visits visits{rig_, 2};
  Calls calls{visits, rig_};
  std::deque<Flow> flows;
  std::vector<const OneRoom*> thrown_out;
};

TEST(Revocation, OfSomeCallsInTheMiddleOfMediaStopsTheirsAndNobodyElses) {
  Scene scene;
  Clock::time_point told;
  {
    const Media media(scene.flows);
    ASSERT_TRUE(wait_until([&] { return scene.all_heard_since(100); })) << "all calls go on";
    for (std::size_t i = 0; i < scene.thrown_out.size(); ++i) {
      throw_out(scene.visits, *scene.thrown_out[i], i);
    }
    told = Clock::now();
    const std::uint64_t told_at = media.round();
    for (Flow& flow : scene.flows) flow.told_at(told_at);
    ASSERT_TRUE(wait_until([&] { return scene.theirs_are_gone(); }));
    // Until here packets may have been under way. Now not one more.
    const std::uint64_t gone_at = media.round();
    ASSERT_TRUE(wait_until([&] {
      return media.round() > gone_at + 4 * kPacketsInFlight && scene.others_heard_since(gone_at);
    }));
    for (const Flow& flow : scene.flows) {
      if (!flow.theirs()) continue;
      EXPECT_LE(flow.last_round(), gone_at) << "relayed for somebody who is gone";
      EXPECT_LE(flow.late(), kPacketsInFlight);
    }
    const std::uint64_t later = media.round();
    EXPECT_TRUE(wait_until([&] { return scene.others_heard_since(later); })) << "they talk on";
  }
  Clock::time_point last = told;
  for (const Flow& flow : scene.flows) {
    if (flow.theirs()) last = std::max(last, flow.heard_at());
  }
  scene.print(last - told);
  if (!kSanitized) {
    EXPECT_LT(last - told, kPromise);
  }
}

}  // namespace
}  // namespace bedside::server::testing
