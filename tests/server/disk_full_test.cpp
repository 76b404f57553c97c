// A disk that is really full under the real binary: what grants something is refused, what flows
// goes on, and it recovers without a restart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/mount.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/bench/turn_session.h"
#include "tests/server/bedside_process.h"

namespace bedside::server {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

// Unmounts itself, also after a failed assertion.
class SmallDisk {
 public:
  explicit SmallDisk(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=4m,mode=0700") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path path_;
  bool mounted_ = false;
};

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

  // 0 for success, else the code the relay refused with.
  std::string allocate(const json& joined) {
    const json& turn = joined["iceServers"][1];
    bench::TurnSession session({stun::IpAddress::v4(127, 0, 0, 1), server_.turn()},
                               {turn["username"], turn["credential"]});
    try {
      session.allocate();
      return "granted";
    } catch (const std::runtime_error& refused) {
      return refused.what();
    }
  }

  bool until(const std::function<bool()>& holds) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (steady_clock::now() < deadline) {
      if (holds()) return true;
    }
    return false;
  }

  TestServer server_;
  int status_ = 0;
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
  EXPECT_EQ(allocate(joined), "granted");

  const auto filler = server_.data_dir() / "filler";
  std::ofstream(filler, std::ios::binary) << std::string(std::size_t{8} << 20, 'f');
  int made = 1;
  EXPECT_TRUE(until([&] {
    post({{"action", "create-room"}, {"appointmentId", ++made}}, 0);
    return status_ == 503;
  }));
  const json refused = post(join, 503);
  EXPECT_EQ(refused["success"], false);
  EXPECT_THAT(refused["error"].get<std::string>(), testing::Not(testing::IsEmpty()));
  EXPECT_TRUE(until([&] { return allocate(joined) == "the server refused with 508"; }));
  const auto health = httplib::Client("127.0.0.1", server_.operator_port()).Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 503);

  std::filesystem::remove(filler);
  // Somebody new: the first one may have used up the quota until the relay heard of the full disk.
  json later;
  EXPECT_TRUE(until([&] {
    later = post(join, 0);
    return status_ == 200;
  }));
  EXPECT_TRUE(until([&] { return allocate(later) == "granted"; }));
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
