// Every endpoint of the server's own socket to every outcome: done, from a sender who does not say
// who it is, and while the disk is full. The log has exactly the records that the endpoint's line
// declares, with the person at the machine as their actor.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <thread>

#include "server/local_socket.h"
#include "server/local_user.h"
#include "store/reader.h"
#include "tests/server/control_rig.h"
#include "tests/store/faulty_vfs.h"

namespace bedside::server {
namespace {

using testing::IsEmpty;
using testing::Not;

ControlOptions where_links_are_needed() {
  ControlOptions options;
  options.access = signaling::Access::invite;
  return options;
}

struct DiskBelow {
  store::FaultyVfs vfs;
};

class LocalContract : protected DiskBelow,
                      public ControlRig,
                      public testing::TestWithParam<LocalRoute> {
 protected:
  LocalContract() : ControlRig(where_links_are_needed(), nullptr, false, vfs.name()) {
    auto opened = LocalSocket::open(file(), database(), control(), [this](const auto& task) {
      on_control(task);
      return true;
    });
    EXPECT_TRUE(opened) << opened.error();
    socket_ = std::move(*opened);
    socket_->start();
    prepare();
    seen_ = newest();
  }
  ~LocalContract() override { socket_.reset(); }

  std::filesystem::path file() const {
    return std::filesystem::path(database()).parent_path() / "socket";
  }

  // ---- requests

  httplib::Result send(std::string_view method, const std::string& path, const std::string& body,
                       const char* user = "anna root") const {
    httplib::Client client(file().string(), 80);
    client.set_address_family(AF_UNIX);
    client.set_read_timeout(30);
    httplib::Headers headers;
    if (user != nullptr) headers.emplace(kLocalUserField, user);
    if (method == "GET") return client.Get(path, headers);
    if (method == "DELETE") return client.Delete(path, headers);
    return client.Post(path, headers, body, "application/json");
  }
  httplib::Result asked(const char* user = "anna root") const {
    std::string path(GetParam().path);
    if (GetParam().method == "DELETE") path += path == "/tokens" ? "?id=" + id_ : "?roomId=old";
    return send(GetParam().method, path, body_for(path), user);
  }
  // What makes it succeed.
  void prepare() {
    const std::string path(GetParam().path);
    const std::string method(GetParam().method);
    const auto answer = [&](const char* of, const Json& body) {
      return Json::parse(send("POST", of, body.dump())->body);
    };
    if (method == "DELETE" && path == "/tokens") {
      id_ = answer("/tokens", {{"name", "EHR"}, {"scopes", {"rooms.read"}}}).value("id", "");
    }
    if (method == "DELETE" && path == "/rooms") {
      answer("/rooms", {{"appointmentId", "1"}, {"roomName", "old"}});
    }
    if (path.starts_with("/audit/holds")) {
      answer("/rooms", {{"appointmentId", "1"}, {"roomName", "a-room"}});
    }
    if (path == "/audit/holds/cleared") {
      id_ = answer("/audit/holds", {{"room", "a-room"}, {"reason", "other"}}).value("id", "");
    }
    if (path == "/accounts/disabled") {
      for (const char* name : {"anna", "berta"}) {
        store::Commit commit;
        commit.changes.emplace_back(store::AccountCreated{{name, "hash", "admin", {}, {}}});
        store().submit(std::move(commit), {});
      }
    }
  }
  std::string body_for(const std::string& path) const {
    const std::string hash(64, 'a');
    const std::map<std::string, Json> bodies{
        {"/tokens", {{"name", "EHR"}, {"scopes", {"rooms.read"}}}},
        {"/rooms", {{"appointmentId", "1"}, {"roomName", "new"}}},
        {"/audit/verified",
         {{"ok", true}, {"records", 1}, {"root", hash}, {"firstBad", 0}, {"intact", 1}}},
        {"/audit/holds", {{"room", "a-room"}, {"reason", "other"}, {"reference", "2026/17"}}},
        {"/audit/holds/cleared", {{"id", id_}, {"reason", "closed"}}},
        {"/accounts/invited",
         {{"name", "carla"}, {"codeHash", hash}, {"expiresAt", 4'000'000'000'000}}},
        {"/accounts/disabled", {{"name", "berta"}}},
        {"/credentials", {{"subject", "desk-phone"}, {"expiresAt", 4'000'000'000'000}}},
        {"/backups",
         {{"ok", true},
          {"records", 1},
          {"root", hash},
          {"digest", hash},
          {"bytes", 1},
          {"restoreMs", 1}}}};
    const auto body = bodies.find(path);
    return body == bodies.end() ? "{}" : body->second.dump();
  }

  // ---- the log

  std::vector<store::AuditRow> rows() const {
    store::AuditQuery query;
    query.limit = store::kMaxAuditPage;
    auto all = *store::Reader::open(database())->audit(query);
    std::reverse(all.begin(), all.end());
    return all;
  }
  std::uint64_t newest() const { return rows().empty() ? 0 : rows().back().seq; }
  std::vector<store::AuditRow> new_records() const {
    std::vector<store::AuditRow> fresh = rows();
    std::erase_if(fresh, [this](const store::AuditRow& row) { return row.seq <= seen_; });
    return fresh;
  }
  std::vector<std::string> new_types() const {
    std::vector<std::string> types;
    for (const store::AuditRow& row : new_records()) types.push_back(row.type);
    return types;
  }
  static std::int64_t request_of(const store::AuditRow& row) {
    return Json::parse(row.body).value("request_id", std::int64_t{0});
  }
  static std::vector<std::string> declared() {
    std::istringstream words{std::string(GetParam().record)};
    std::vector<std::string> types;
    for (std::string word; words >> word;) types.push_back(word);
    return types;
  }

  std::unique_ptr<LocalSocket> socket_;
  std::string id_;
  std::uint64_t seen_ = 0;
};

TEST_P(LocalContract, RecordsWhatWasDoneAndByWhom) {
  const auto answer = asked();
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_EQ(new_types(), declared());
  for (const store::AuditRow& row : new_records()) {
    EXPECT_EQ(row.actor, "operator:anna") << row.type;
    EXPECT_THAT(row.body,
                testing::HasSubstr(
                    R"("actor":{"auth":"local","id":"anna","kind":"operator","role":"root"})"));
    EXPECT_THAT(row.body, testing::HasSubstr(R"("where":{"listener":"local"})")) << row.type;
    EXPECT_GT(request_of(row), 0) << row.type;
  }
}

TEST_P(LocalContract, NumbersItsRequests) {
  EXPECT_EQ(asked()->status, 200);
  std::set<std::int64_t> numbers;
  for (const store::AuditRow& row : new_records()) numbers.insert(request_of(row));
  EXPECT_EQ(numbers.size(), declared().empty() ? 0U : 1U) << "the records of one request";
  const auto next = send("POST", "/tokens", R"({"name":"EHR","scopes":["rooms.read"]})");
  EXPECT_EQ(next->status, 200);
  EXPECT_THAT(numbers, Not(testing::Contains(request_of(rows().back()))));
}

TEST_P(LocalContract, AsksWhoItIs) {
  for (const char* nobody :
       {static_cast<const char*>(nullptr), "", "anna", "Mrs. Miller (ward 3)", "a \x01"}) {
    const auto answer = asked(nobody);
    EXPECT_EQ(answer ? answer->status : 400, 400);
  }
  EXPECT_THAT(new_types(), IsEmpty());
}

TEST_P(LocalContract, HoldsWhenTheDiskIsFull) {
  vfs.set_capacity(store::kNoSpace);
  const auto answer = asked();
  // The end of a visit has happened; its record waits for space.
  const bool goes_on = declared().empty() || declared().front() == "room.ended";
  EXPECT_EQ(answer->status, goes_on ? 200 : 503) << answer->body;
  const Json said = Json::parse(answer->body);
  EXPECT_EQ(said.value("error", "").empty(), answer->status == 200);
  EXPECT_THAT(new_types(), IsEmpty());
  const bool late = goes_on && !declared().empty();
  const std::size_t waiting = declared().empty() ? 0 : late ? 2 : 1;  // and that the disk is full
  while (store().stats().deferred < waiting) std::this_thread::yield();
  vfs.set_capacity(0);
  ASSERT_TRUE(store().submit({}, {}));
  while (store().stats().deferred > 0) std::this_thread::yield();
  std::vector<std::string> expected;
  if (late) expected = declared();
  if (waiting > 0) expected.insert(expected.end(), {"storage.full", "storage.recovered"});
  EXPECT_EQ(new_types(), expected);
}

INSTANTIATE_TEST_SUITE_P(All, LocalContract,
                         testing::ValuesIn(std::vector<LocalRoute>(local_routes().begin(),
                                                                   local_routes().end())),
                         [](const auto& test) {
                           std::string name =
                               std::string(test.param.method) + std::string(test.param.path);
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(LocalUser, IsTwoNamesOrNothing) {
  const LocalUser user = this_user();
  EXPECT_EQ(parse_local_user(spelled(user)), user);
  EXPECT_EQ(parse_local_user("anna root"), (LocalUser{"anna", "root"}));
  for (const char* text : {"", " ", "anna", "anna ", " root", "anna root x", "a\nb root"}) {
    EXPECT_FALSE(parse_local_user(text)) << text;
  }
}

}  // namespace
}  // namespace bedside::server
