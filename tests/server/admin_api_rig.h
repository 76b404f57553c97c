#pragma once

// The admin API with a real store, audit trail and worker pool, a rest of the server that is made
// up, and a clock that is set by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/admin_api.h"
#include "server/audit_trail.h"
#include "server/worker_pool.h"
#include "store/reader.h"
#include "store/store.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {

// Rooms without a hub; answers at once.
class MadeUpBackend final : public AdminBackend {
 public:
  std::vector<AdminRoom> rooms() override { return open; }
  RelayFigures relay() override { return figures; }
  void create_room(const RoomWish& wish, const AdminActor& by, const RequestContext&,
                   Created done) override {
    actor = by.account;
    wished = wish;
    if (refusal) return done(tl::unexpected(*refusal));
    done(created);
  }
  void end_room(const std::string& room, const AdminActor& by, const RequestContext&,
                Ended done) override {
    actor = by.account;
    ended = room;
    if (refusal) return done(tl::unexpected(*refusal));
    done({});
  }

  std::vector<AdminRoom> open;
  RelayFigures figures;
  CreatedRoom created;
  std::optional<AdminRefusal> refusal;
  RoomWish wished;
  std::string ended;
  std::string actor;
};

struct AdminAnswer {
  int status = 0;
  nlohmann::json body;
  net::HttpResponse raw;
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : raw.headers) {
      if (key == name) return value;
    }
    return {};
  }
};

class AdminApiRig : public testing::Test {
 protected:
  static constexpr const char* kPassword = "correct horse battery";

  // Runs before the server's store is opened, with the options it will have.
  using Before = void (*)(store::Options options);

  AdminApiRig() : AdminApiRig(false) {}
  // `vfs`: of SQLite, where a test's disk misbehaves.
  explicit AdminApiRig(bool sealed, Before before = nullptr, std::string vfs = {}) {
    store::Options options;
    options.path = database();
    if (sealed) {
      options.keys = (folder_.path() / "keys").string();
      std::filesystem::create_directories(options.keys);
    }
    options.build = "test";
    if (before != nullptr) before(options);
    options.vfs = std::move(vfs);
    auto opened = store::Store::open(std::move(options));
    EXPECT_TRUE(opened) << opened.error().text;
    store_ = std::move(*opened);
    start({});
  }
  ~AdminApiRig() override {
    workers_->stop();
    store_->close();
  }

  std::string database() const { return (folder_.path() / "bedside.db").string(); }

  void start(AdminApiOptions options) {
    options.database = database();
    options.cost = {4, 8, 1};
    options.steady_clock = [this] { return now_; };
    api_ =
        std::make_unique<AdminApi>(loop_, std::move(options), backend_, trail_, *store_, *workers_);
    code_ = api_->open_set_up();
  }

  // A request as our page sends it.
  net::HttpRequest request(const std::string& method, const std::string& path,
                           const nlohmann::json& body = nullptr) const {
    net::HttpRequest made;
    made.method = method;
    const std::size_t query = path.find('?');
    made.path = "/admin/api/" + path.substr(0, query);
    if (query != std::string::npos) made.query = path.substr(query + 1);
    made.headers = {{"x-bedside-admin", "1"}, {"sec-fetch-site", "same-origin"}};
    if (method == "POST") {
      made.headers.emplace_back("origin", "https://visit.example.org");
      made.headers.emplace_back("content-type", "application/json");
      made.body = body.dump();
    }
    if (!cookie_.empty()) made.headers.emplace_back("cookie", cookie_);
    return made;
  }

  AdminAnswer send(const net::HttpRequest& made) {
    std::optional<net::HttpResponse> got;
    int answers = 0;
    api_->handle(made, context_, [&](net::HttpResponse response) {
      got = std::move(response);
      ++answers;
    });
    EXPECT_TRUE(loop_.run_until([&] { return got.has_value(); }));
    EXPECT_EQ(answers, 1);
    AdminAnswer answer{got->status, nlohmann::json::parse(got->body, nullptr, false), *got};
    const std::string set = answer.header("Set-Cookie");
    if (!set.empty()) cookie_ = set.substr(0, set.find(';'));
    return answer;
  }
  AdminAnswer get(const std::string& path) { return send(request("GET", path)); }
  AdminAnswer post(const std::string& path, const nlohmann::json& body) {
    return send(request("POST", path, body));
  }

  AdminAnswer set_up() {
    return post("setup", {{"code", code_}, {"name", "anna"}, {"password", kPassword}});
  }
  AdminAnswer log_in(const std::string& name = "anna", const std::string& password = kPassword) {
    return post("login", {{"name", name}, {"password", password}});
  }

  // Records about a room, as others would write them.
  void write(const std::string& type, store::Outcome outcome, const std::string& room,
             int count = 1) {
    store::Commit commit;
    for (int i = 0; i < count; ++i) {
      store::AuditRecord record;
      record.type = type;
      record.outcome = outcome;
      record.room = room.empty() ? "" : trail_.room_pseudonym(room);
      commit.records.push_back(std::move(record));
    }
    std::atomic<bool> done = false;
    ASSERT_TRUE(store_->submit(std::move(commit),
                               [&](const store::CommitResult& result) { done = result.ok(); }));
    while (!done) loop_.run_once(std::chrono::milliseconds(1));
  }

  std::vector<store::AuditRow> records(const std::string& type = {}) const {
    store::AuditQuery query;
    query.type_prefix = type;
    query.limit = store::kMaxAuditPage;
    auto rows = store::Reader::open(database())->audit(query);
    std::reverse(rows->begin(), rows->end());
    return *rows;
  }

  ScratchFolder folder_;
  net::Loop loop_;
  std::unique_ptr<store::Store> store_;
  std::array<std::uint8_t, 32> pseudonym_key_{1};
  std::array<std::uint8_t, 32> field_key_{2};
  AuditTrail trail_{pseudonym_key_, field_key_};
  std::unique_ptr<WorkerPool> workers_ = std::make_unique<WorkerPool>(loop_, 2, 16);
  MadeUpBackend backend_;
  RequestContext context_{7, "https", *stun::Endpoint::parse("203.0.113.5:50000"), true,
                          "https://visit.example.org"};
  std::chrono::milliseconds now_ = std::chrono::hours(1);
  std::unique_ptr<AdminApi> api_;
  std::string code_;
  std::string cookie_;
};

}  // namespace bedside::server
