// Every endpoint of the admin API to every outcome: done, without a session, from a foreign page,
// and while the disk is full. The log has exactly the record that the endpoint's line declares.
// What the hub records instead is in audit_contract_admin_test: here the rest of the server is made
// up.

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "admin_api_rig.h"
#include "server/backup_key.h"
#include "tests/server/old_log.h"
#include "tests/store/faulty_vfs.h"

namespace bedside::server {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

struct OlderDisk {
  store::FaultyVfs vfs;
};

constexpr const char* kRoom = "0123456789abcdef0123456789abcdef";  // of the old log

class AdminContract : protected OlderDisk,
                      public AdminApiRig,
                      public testing::WithParamInterface<AdminRoute> {
 protected:
  AdminContract() : AdminApiRig(true, write_old_log, vfs.name()) {}

  // Made once: it takes seconds.
  static const BackupKey& pair() {
    static const BackupKey made = BackupKey::generate().value();
    return made;
  }
  void with_archives(bool has_account) {
    std::filesystem::create_directories(folder_.path() / "archives");
    if (!std::filesystem::exists(folder_.path() / "public.pem")) {
      ASSERT_TRUE(
          pair().save(folder_.path() / "private.pem", folder_.path() / "public.pem", false));
    }
    AdminApiOptions options;
    options.has_account = has_account;
    options.backup = {folder_.path() / "archives", folder_.path() / "public.pem", 30, {}};
    options.scratch = folder_.path() / "scratch";
    start(options);
  }
  // The world in which the endpoint has something to do, with anna's session; what to send.
  json prepare() {
    const std::string name(GetParam().name);
    if (name == "setup") {
      return {{"code", code_}, {"name", "anna"}, {"password", kPassword}};
    }
    EXPECT_EQ(set_up().status, 200);
    with_archives(true);
    cookie_.clear();
    EXPECT_EQ(log_in().status, 200);
    if (name == "login") {
      cookie_.clear();
      return {{"name", "anna"}, {"password", kPassword}};
    }
    if (name == "people/disable" || name == "retention/approve") add_berta();
    if (name == "retention/clear") return {{"id", hold()}, {"reason", "closed"}};
    if (name == "retention/withdraw" || name == "retention/approve") {
      EXPECT_EQ(post("retention/propose", json::object()).status, 200);
    }
    if (name == "retention/approve") cookie_ = berta_;
    return body_for(name);
  }
  json body_for(const std::string& name) const {
    if (name == "people/invite") return {{"name", "carla"}};
    if (name == "people/disable") return {{"name", "berta"}};
    if (name == "retention/hold") return {{"room", kRoom}, {"reason", "other"}};
    if (name == "retention/approve") return {{"through", 512}};
    return json::object();
  }
  std::string hold() {
    return post("retention/hold", {{"room", kRoom}, {"reason", "other"}}).body.value("id", "");
  }
  void add_berta() {
    const std::string anna = cookie_;
    const std::string link = post("people/invite", {{"name", "berta"}}).body.value("link", "");
    const std::string code = link.substr(link.find('=') + 1, link.find('&') - link.find('=') - 1);
    cookie_.clear();
    EXPECT_EQ(post("setup", {{"code", code}, {"name", "berta"}, {"password", kPassword}}).status,
              200);
    berta_ = cookie_;
    cookie_ = anna;
  }
  net::HttpRequest request_with(const json& body) const {
    return request(std::string(GetParam().method), std::string(GetParam().name), body);
  }
  std::vector<std::string> since(std::uint64_t seen) const {
    std::vector<std::string> types;
    for (const store::AuditRow& row : records()) {
      if (row.seq > seen) types.push_back(row.type);
    }
    return types;
  }
  void find_the_disk_full() {
    store::Commit commit;
    commit.records.emplace_back().type = "room.created";
    ASSERT_TRUE(store_->submit(std::move(commit), {}));
    while (!store_->stats().full) std::this_thread::yield();
  }
  std::uint64_t newest() const { return records().back().seq; }
  std::vector<std::string> counted() {
    std::vector<std::string> types;
    if (const auto commit = trail_.take_all_counted()) {
      for (const store::AuditRecord& record : commit->records) types.push_back(record.type);
    }
    return types;
  }
  static std::vector<std::string> declared() {
    std::vector<std::string> types;
    std::istringstream words{std::string(GetParam().record)};
    for (std::string word; words >> word;) types.push_back(word);
    return types;
  }

  std::string berta_;
};

TEST_P(AdminContract, RecordsWhatWasDone) {
  const json body = prepare();
  const std::uint64_t seen = newest();
  const AdminAnswer answer = send(request_with(body));
  EXPECT_EQ(answer.status, 200) << answer.raw.body.substr(0, 300);
  EXPECT_EQ(since(seen), declared());
  EXPECT_THAT(counted(), IsEmpty());
}

class AdminContractInside : public AdminContract {};

TEST_P(AdminContractInside, RecordsNothingWithoutASession) {
  const json body = prepare();
  const std::uint64_t seen = newest();
  cookie_.clear();
  EXPECT_EQ(send(request_with(body)).status, 401);
  EXPECT_THAT(since(seen), IsEmpty());
}

TEST_P(AdminContract, CountsForeignPages) {
  const json body = prepare();
  const std::uint64_t seen = newest();
  net::HttpRequest foreign = request_with(body);
  foreign.headers.erase(foreign.headers.begin());  // x-bedside-admin
  EXPECT_EQ(send(foreign).status, 403);
  EXPECT_THAT(since(seen), IsEmpty());
  EXPECT_THAT(counted(), ElementsAre("abuse.csrf_rejected"));
}

TEST_P(AdminContract, HoldsWhenTheDiskIsFull) {
  const json body = prepare();
  const std::uint64_t seen = newest();
  vfs.set_capacity(store::kNoSpace);
  // What is only looked at is refused once it is known that nothing can be recorded.
  const bool looks = GetParam().needs_session && GetParam().record.empty();
  if (looks) find_the_disk_full();
  const AdminAnswer answer = send(request_with(body));
  const bool happens = GetParam().name == "logout";  // the session is gone whatever the disk says
  EXPECT_EQ(answer.status, (!GetParam().record.empty() || looks) && !happens ? 503 : 200)
      << answer.raw.body.substr(0, 300);
  EXPECT_EQ(answer.header("Retry-After") != "", answer.status == 503);
  EXPECT_THAT(since(seen), IsEmpty());
  vfs.set_capacity(0);
  if (!happens) return;
  while (store_->stats().deferred == 0) std::this_thread::yield();
  ASSERT_TRUE(store_->submit({}, {}));
  while (store_->stats().deferred > 0) std::this_thread::yield();
  EXPECT_THAT(since(seen), ElementsAre("auth.logout", "storage.recovered"));
}

std::string test_name(const testing::TestParamInfo<AdminRoute>& test) {
  std::string name(test.param.name);
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

std::vector<AdminRoute> recorded_here() {
  std::vector<AdminRoute> routes = admin_routes();
  std::erase_if(routes, [](const AdminRoute& route) { return route.record == "by hub"; });
  return routes;
}

std::vector<AdminRoute> inside() {
  std::vector<AdminRoute> routes = recorded_here();
  std::erase_if(routes, [](const AdminRoute& route) { return !route.needs_session; });
  return routes;
}

INSTANTIATE_TEST_SUITE_P(All, AdminContract, testing::ValuesIn(recorded_here()), test_name);
INSTANTIATE_TEST_SUITE_P(All, AdminContractInside, testing::ValuesIn(inside()), test_name);

}  // namespace
}  // namespace bedside::server
