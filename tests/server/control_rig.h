#pragma once

// Control behind a real front door with a real store on a thread of its own: everything but the
// relay.

#include <gtest/gtest.h>
#include <httplib.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/assets.h"
#include "server/audit_trail.h"
#include "server/control.h"
#include "server/front_door.h"
#include "server/ice_servers.h"
#include "server/live_participants.h"
#include "server/net/mailbox.h"
#include "store/store.h"
#include "tests/server/scratch_folder.h"
#include "tests/server/socket_client.h"

namespace bedside::server {

using Json = nlohmann::json;

inline turn::Credentials test_credentials() {
  turn::CredentialsConfig config;
  config.realm = "test";
  config.participant_secrets = {std::string(32, 's')};
  return std::move(*turn::Credentials::make(std::move(config)));
}

inline AdvertisedRelay test_relay() {
  AdvertisedRelay relay;
  relay.udp = {*stun::Endpoint::parse("127.0.0.1:3478")};
  relay.tcp = {*stun::Endpoint::parse("127.0.0.1:3478")};
  return relay;
}

class ControlRig {
 public:
  // With `tls` there is a second listener, "https"; it outlives the rig.
  // `vfs`: of SQLite, where a test's disk misbehaves.
  explicit ControlRig(ControlOptions options = {}, const net::TlsContext* tls = nullptr,
                      bool sealed = false, std::string vfs = {})
      : options_(std::move(options)), tls_(tls), sealed_(sealed), vfs_(std::move(vfs)) {
    start();
  }
  ~ControlRig() { stop(); }

  // As after a crash or a stop: a new process on the same file.
  void restart() {
    stop();
    start();
  }

  void start() {
    store::Options store_options;
    store_options.path = (folder_.path() / "bedside.db").string();
    store_options.build = "test";
    store_options.vfs = vfs_;
    if (sealed_) {
      store_options.keys = (folder_.path() / "keys").string();
      std::filesystem::create_directories(store_options.keys);
    }
    auto opened = store::Store::open(std::move(store_options));
    ASSERT_TRUE(opened) << opened.error().text;
    store_ = std::move(*opened);
    loop_ = std::make_unique<net::Loop>();
    control_ = std::make_unique<Control>(
        *loop_, options_,
        ControlSeams{*store_, trail_, assets_, ice_, live_,
                     [this](const std::string& participant) {
                       const std::lock_guard lock(mutex_);
                       revoked_.push_back(participant);
                       return true;
                     },
                     [] { return RelayFigures{}; }, [this](bool accept) { accepts_ = accept; },
                     [this] { return has_space_.load(); }});
    tasks_ = std::make_unique<net::Mailbox<std::function<void()>>>(
        *loop_, 64, [](const std::function<void()>& task) { task(); });
    control_->restore(*store_->load());
    const stun::Endpoint any = *stun::Endpoint::parse("127.0.0.1:0");
    std::vector<ListenerSpec> listeners{{any, "http", net::TlsMode::off, true, false, false}};
    if (tls_ != nullptr) listeners.push_back({any, "https", net::TlsMode::on, false, true, false});
    auto door = FrontDoor::open(*loop_, listeners, tls_);
    ASSERT_TRUE(door) << door.error().message;
    door_ = std::move(*door);
    port_ = door_->listeners()[0].endpoint.port;
    tls_port_ = door_->listeners().back().endpoint.port;
    door_->start([](net::DetachedConnection, const ListenerSpec&) {},
                 [this](net::DetachedConnection connection, const ListenerSpec& spec) {
                   control_->adopt(std::move(connection), spec.name);
                 });
    thread_ = std::thread([this] { loop_->run(); });
  }

  void stop() {
    if (!thread_.joinable()) return;
    on_control([this] { door_->stop(); });
    loop_->stop();
    thread_.join();
    store_->close();
    door_.reset();
    tasks_.reset();
    control_.reset();
    loop_.reset();
    store_.reset();
  }

  // Runs on the control thread and waits for it.
  void on_control(const std::function<void()>& task) {
    std::promise<void> done;
    ASSERT_TRUE(tasks_->post([&] {
      task();
      done.set_value();
    }));
    done.get_future().wait();
  }

  std::uint16_t port() const { return port_; }
  std::uint16_t tls_port() const { return tls_port_; }
  Control& control() { return *control_; }
  net::Loop& loop() { return *loop_; }
  store::Store& store() { return *store_; }
  AuditTrail& trail() { return trail_; }
  // What strangers did since this was asked last: the records that a minute later would be written.
  std::vector<store::AuditRecord> counted() {
    std::optional<store::Commit> commit;
    on_control([&] { commit = trail_.take_all_counted(); });
    return commit ? commit->records : std::vector<store::AuditRecord>();
  }
  void fill_disk() { has_space_ = false; }
  std::vector<std::string> revoked() {
    const std::lock_guard lock(mutex_);
    return revoked_;
  }
  LiveParticipantSet& live() { return live_; }
  std::string database() const { return (folder_.path() / "bedside.db").string(); }

  httplib::Client http() const {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(30);
    return client;
  }
  httplib::Result post_text(const std::string& body, const httplib::Headers& headers = {}) const {
    return http().Post("/api/webrtc-signaling", headers, body, "application/json");
  }
  httplib::Result post(const Json& body, const httplib::Headers& headers = {}) const {
    return post_text(body.dump(), headers);
  }
  Json ask(const Json& body) const {
    const auto result = post(body);
    EXPECT_TRUE(result);
    return result ? Json::parse(result->body) : Json();
  }
  void create(const std::string& room) const {
    EXPECT_EQ(ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", room}})["success"],
              true);
  }
  // The whole answer to a join.
  Json join(const std::string& room, const std::string& name) const {
    return ask({{"action", "join-room"}, {"roomId", room}, {"participantName", name}});
  }
  std::size_t count(const std::string& room) const {
    const auto result = http().Get("/api/webrtc-signaling?roomId=" + room);
    return Json::parse(result->body)["room"]["participantCount"].get<std::size_t>();
  }

 private:
  static constexpr std::array<std::uint8_t, 32> kKey{1, 2, 3};

  ControlOptions options_;
  const net::TlsContext* tls_;
  bool sealed_ = false;
  std::string vfs_;
  ScratchFolder folder_;
  turn::Credentials credentials_ = test_credentials();
  AuditTrail trail_{kKey, kKey};
  Assets assets_;
  LiveParticipantSet live_;
  IceServers ice_{credentials_, test_relay(), &live_};
  std::mutex mutex_;
  std::atomic<bool> accepts_ = true;  // whether relays may grant allocations
  std::atomic<bool> has_space_ = true;
  std::vector<std::string> revoked_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<net::Mailbox<std::function<void()>>> tasks_;
  std::unique_ptr<FrontDoor> door_;
  std::uint16_t port_ = 0;
  std::uint16_t tls_port_ = 0;
  std::thread thread_;
};

}  // namespace bedside::server
