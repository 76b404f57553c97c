// A disk that is really full under the real binary: what grants something is refused, what flows
// goes on, and it recovers without a restart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>

#include "store/reader.h"
#include "tests/bench/turn_session.h"
#include "tests/server/bedside_process.h"
#include "tests/server/small_disk.h"

namespace bedside::server {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

constexpr const char* kDeskUser = "[[turn.user]]\nname = \"desk\"\npassword = \"desk-password\"\n";
const bench::Login kDeskLogin{"desk", "desk-password"};

class FullDisk : public testing::Test {
 protected:
  json post(const json& body, int expected) {
    httplib::Client client("127.0.0.1", server_.http());
    const auto answer = client.Post("/api/webrtc-signaling", body.dump(), "application/json");
    status_ = answer ? answer->status : 0;
    if (expected != 0) {
      EXPECT_EQ(status_, expected) << (answer ? answer->body : "no answer");
    }
    return answer ? json::parse(answer->body, nullptr, false) : json();
  }

  bench::TurnSession session(bench::Login login) const {
    return {{stun::IpAddress::v4(127, 0, 0, 1), server_.turn()}, std::move(login)};
  }
  bench::TurnSession session(const json& joined) const {
    const json& turn = joined["iceServers"][1];
    return session(bench::Login{turn["username"], turn["credential"]});
  }
  // "granted", else what the relay refused with.
  template <typename Ask>
  static std::string verdict(Ask ask) {
    try {
      ask();
      return "granted";
    } catch (const std::runtime_error& refused) {
      return refused.what();
    }
  }
  std::string allocate(const json& joined) const {
    return verdict([&] { session(joined).allocate(); });
  }

  std::size_t records(const std::string& type, const std::string& part = {}) const {
    const auto reader = store::Reader::open((server_.data_dir() / "bedside.db").string());
    store::AuditQuery query;
    query.type_prefix = type;
    if (!reader) return 0;
    const auto rows = reader->audit(query);
    if (!rows) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(*rows, [&](const store::AuditRow& row) {
      return row.body.find(part) != std::string::npos;
    }));
  }
  // A write that found no space has a record of its own, if there was one.
  std::size_t records_of_ballast() const { return records("storage.full", "ballast_mb"); }

  bool until(const std::function<bool()>& holds) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (steady_clock::now() < deadline) {
      if (holds()) return true;
    }
    return false;
  }

  // Those that are not there yet: a room that is needs no record.
  bool until_new_rooms_get(int status) {
    return until([&] {
      post({{"action", "create-room"}, {"appointmentId", ++made_}}, 0);
      return status_ == status;
    });
  }

  TestServer server_;
  int status_ = 0;
  int made_ = 1;
};

TEST_F(FullDisk, GrantsAreRefusedUntilThereIsSpaceAgain) {
  const SmallDisk disk(server_.data_dir());
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: a full disk under the server; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  server_.start();
  post({{"action", "create-room"}, {"appointmentId", 1}}, 200);
  const json join{{"action", "join-room"}, {"roomId", "appointment-1"}, {"participantName", "A"}};
  const json joined = post(join, 200);
  bench::TurnSession call = session(joined);
  EXPECT_EQ(verdict([&] { call.allocate(); }), "granted");

  disk.fill();
  EXPECT_TRUE(until_new_rooms_get(503));
  const json refused = post(join, 503);
  EXPECT_EQ(refused["success"], false);
  EXPECT_THAT(refused["error"].get<std::string>(), testing::Not(testing::IsEmpty()));
  EXPECT_TRUE(until([&] { return allocate(joined) == "the server refused with 508"; }));
  EXPECT_EQ(verdict([&] { call.refresh(); }), "granted") << "what flows goes on";
  EXPECT_EQ(verdict([&] { session(joined).probe(); }), "granted") << "of a Binding nothing is kept";
  const auto health = httplib::Client("127.0.0.1", server_.operator_port()).Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 503);

  disk.make_space();
  // Somebody new: the first one may have used up the quota until the relay heard of the full disk.
  json later;
  EXPECT_TRUE(until([&] {
    later = post(join, 0);
    return status_ == 200;
  }));
  EXPECT_TRUE(until([&] { return allocate(later) == "granted"; }));
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

TEST_F(FullDisk, AReloadChangesNothingUntilThereIsSpaceAgain) {
  const SmallDisk disk(server_.data_dir());
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: a reload on a full disk; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  server_.configure("", kDeskUser);
  server_.start();
  disk.fill();
  ASSERT_TRUE(until_new_rooms_get(503));
  server_.configure("", std::string("external_ip = [\"9.8.7.6\"]\n"
                                    "[turn.quotas]\nallocations_per_user = 2\n") +
                            kDeskUser);
  server_.process().signal(SIGHUP);
  ASSERT_TRUE(server_.process().wait_for_next_errors(
      "nothing was changed: the change cannot be recorded, free space on the disk"));

  disk.make_space();
  ASSERT_TRUE(until_new_rooms_get(200));
  bench::TurnSession first = session(kDeskLogin);
  EXPECT_TRUE(until([&] { return verdict([&] { first.allocate(); }) == "granted"; }));
  EXPECT_EQ(first.relayed()->address.to_string(), "127.0.0.1");
  bench::TurnSession second = session(kDeskLogin);
  EXPECT_EQ(verdict([&] { second.allocate(); }), "granted");
  EXPECT_EQ(second.relayed()->address.to_string(), "127.0.0.1");
  EXPECT_EQ(verdict([&] { session(kDeskLogin).allocate(); }), "granted")
      << "the quota is the old one";
  EXPECT_EQ(records("config.changed"), 0U);

  server_.process().signal(SIGHUP);
  ASSERT_TRUE(server_.process().wait_for_next_errors("configuration read again"));
  first.release();
  EXPECT_THAT(verdict([&] { first.allocate(); }), testing::HasSubstr("486"));
  second.release();
  EXPECT_EQ(verdict([&] { first.allocate(); }), "granted");
  EXPECT_EQ(first.relayed()->address.to_string(), "9.8.7.6");
  EXPECT_EQ(records("config.changed"), 1U);
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

// What the ballast is for: 8 MB of a disk of 40.
TEST_F(FullDisk, BallastCarriesWhatGoesOnAndAStart) {
  const SmallDisk disk(server_.data_dir(), 40);
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: a start on a full disk; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  const auto check_config = [&] {
    return run_bedside({"check-config", server_.config_file().string()});
  };
  EXPECT_THAT(check_config().errors, testing::HasSubstr("has no place for audit.ballast_mb = 64"));
  server_.configure("[audit]\nballast_mb = 8\n", "");
  EXPECT_THAT(check_config().errors, testing::Not(testing::HasSubstr("ballast")));
  const auto ballast = server_.data_dir() / "ballast";
  server_.start();
  EXPECT_TRUE(until([&] { return std::filesystem::exists(ballast); }));
  post({{"action", "create-room"}, {"appointmentId", 1}}, 200);

  disk.fill();
  EXPECT_TRUE(until([&] { return !std::filesystem::exists(ballast); }));
  post({{"action", "create-room"}, {"appointmentId", 2}}, 503);
  const json join{{"action", "join-room"}, {"roomId", "appointment-1"}, {"participantName", "A"}};
  EXPECT_TRUE(until([&] {
    post(join, 0);
    return status_ == 200;
  }));
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(records_of_ballast(), 1U);

  // Full to the last block, ballast and all, as a disk may be after a crash.
  disk.make_space();
  server_.start();
  EXPECT_TRUE(until([&] { return std::filesystem::exists(ballast); }));
  server_.stop(SIGKILL);
  disk.fill();
  server_.start();
  EXPECT_FALSE(std::filesystem::exists(ballast));
  EXPECT_TRUE(until([&] { return records_of_ballast() == 2; }));
  post(join, 200);
  EXPECT_EQ(run_bedside({"audit", "verify", "--config", server_.config_file().string()}).exit_code,
            0);
  disk.make_space();
  EXPECT_TRUE(until([&] { return std::filesystem::exists(ballast); }));
  EXPECT_TRUE(until([&] {
    post({{"action", "create-room"}, {"appointmentId", 3}}, 0);
    return status_ == 200;
  }));
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

// A call through the relay: a packet every few milliseconds, until it is asked how it went.
class Call {
 public:
  explicit Call(std::uint16_t turn)
      : session_({stun::IpAddress::v4(127, 0, 0, 1), turn}, kDeskLogin) {
    session_.allocate();
    session_.bind_channel(peer_.local());
    thread_ = std::thread([this] { talk(); });
  }
  ~Call() { end(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  struct Packets {
    std::uint64_t said = 0;
    std::uint64_t heard = 0;
  };
  Packets end() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
    return packets_;
  }

 private:
  static constexpr std::uint64_t kKeepAliveEvery = 10'000;  // packets: less than a minute

  void talk() {
    const std::array<std::uint8_t, 104> media{0x40, 0x01, 0x00, 100};
    std::array<std::uint8_t, 256> received{};
    while (!over_) {
      if (packets_.said % kKeepAliveEvery == kKeepAliveEvery - 1) {
        session_.keep_alive(peer_.local());
      }
      packets_.said += ::send(session_.socket().fd(), media.data(), media.size(), 0) == 104 ? 1 : 0;
      pollfd descriptor{peer_.fd(), POLLIN, 0};
      if (::poll(&descriptor, 1, 1000) <= 0) continue;
      packets_.heard += ::recv(peer_.fd(), received.data(), received.size(), 0) == 100 ? 1 : 0;
      ::poll(nullptr, 0, 2);
    }
  }

  bench::TurnSession session_;
  const bench::LoopbackSocket peer_{stun::IpAddress::v4(127, 250, 1, 1)};
  std::atomic<bool> over_ = false;
  Packets packets_;
  std::thread thread_;
};

// `./run disk-full` does 100.
int disk_full_cycles() {
  const char* text = std::getenv("BEDSIDE_DISK_FULL_CYCLES");
  return text == nullptr ? 2 : std::atoi(text);
}

TEST_F(FullDisk, TimeAndAgainCostsNoPacketOfACall) {
  const SmallDisk disk(server_.data_dir(), 64);  // a hundred times make some rooms
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: a disk that is full time and again; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  server_.configure("", std::string("allow_loopback_peers = true\n") + kDeskUser);
  server_.start();
  Call call(server_.turn());
  std::chrono::milliseconds slowest{0};
  for (int i = 0; i < disk_full_cycles(); ++i) {
    disk.fill();
    ASSERT_TRUE(until_new_rooms_get(503)) << i;
    disk.make_space();
    const auto freed = steady_clock::now();
    ASSERT_TRUE(until_new_rooms_get(200)) << i;
    slowest = std::max(slowest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                    steady_clock::now() - freed));
  }
  const Call::Packets packets = call.end();
  std::printf("%d times full; granted again within %lld ms; %llu of %llu packets of the call\n",
              disk_full_cycles(), static_cast<long long>(slowest.count()),
              static_cast<unsigned long long>(packets.heard),
              static_cast<unsigned long long>(packets.said));
  EXPECT_LT(slowest, std::chrono::seconds(5));
  EXPECT_GT(packets.said, 10U);
  EXPECT_EQ(packets.heard, packets.said);
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(run_bedside({"audit", "verify", "--config", server_.config_file().string()}).exit_code,
            0);
}

}  // namespace
}  // namespace bedside::server
