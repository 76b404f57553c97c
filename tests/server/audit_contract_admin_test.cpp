// Rooms as staff make and end them, through the admin API and the hub behind it, to every outcome:
// done, without a session, from a foreign page, and while the disk is full. The log has exactly the
// records that audit_contract.h says of the same wish of a program, with the account as the actor.
// What the admin API records by itself is in admin_contract_test.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "server/admin_api.h"
#include "server/worker_pool.h"
#include "tests/server/audit_contract_rig.h"

namespace bedside::server {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class StaffRoomsContract : public AuditContractVisit, public testing::TestWithParam<Way> {
 protected:
  StaffRoomsContract() {
    asked(as(host_, "poll"));
    asked(as(guest_, "poll"));
    on_control([this] {
      workers_ = std::make_unique<WorkerPool>(loop(), 1, 16);
      AdminApiOptions options;
      options.database = database();
      options.cost = {4, 8, 1};
      admin_ = std::make_unique<AdminApi>(loop(), std::move(options), control(), trail(), store(),
                                          *workers_);
      code_ = admin_->open_set_up();
      control().set_admin(admin_.get());
    });
    log_in();
    forget_records();
  }
  ~StaffRoomsContract() override {
    settle();
    on_control([this] {
      control().set_admin(nullptr);
      workers_->stop();
      admin_.reset();
      workers_.reset();
    });
  }

  // As a script of the admin page.
  httplib::Headers ours() const {
    httplib::Headers headers{{"X-Bedside-Admin", "1"},
                             {"Origin", "http://127.0.0.1:" + std::to_string(port())}};
    if (!cookie_.empty()) headers.emplace("Cookie", cookie_);
    return headers;
  }
  void log_in() {
    const Json wish{{"code", code_}, {"name", "anna"}, {"password", "correct horse battery"}};
    const auto made = http().Post("/admin/api/setup", ours(), wish.dump(), "application/json");
    ASSERT_EQ(made->status, 200) << made->body;
    const std::string set = made->get_header_value("Set-Cookie");
    cookie_ = set.substr(0, set.find(';'));
  }
  static bool creates() { return GetParam().what == "rooms/create"; }
  httplib::Result wish(const httplib::Headers& headers) const {
    const Json body = creates() ? Json{{"appointmentId", 5}, {"roomName", "by-staff"}}
                                : Json{{"roomId", "visit"}};
    return http().Post(GetParam().route, headers, body.dump(), "application/json");
  }
  static AuditLine line() {
    return creates() ? LineOfAction{}(signaling::CreateRoom{})
                     : LineOfAction{}(signaling::EndRoom{});
  }
  std::set<std::string> open_rooms() {
    std::set<std::string> names;
    on_control([&] {
      for (const AdminRoom& room : control().rooms()) names.insert(room.room);
    });
    return names;
  }
  void expect_nothing_happened() {
    EXPECT_THAT(new_records(), IsEmpty());
    EXPECT_THAT(open_rooms(), ElementsAre("visit"));
  }
  // Of the records of the wish itself.
  void expect_by_anna(const store::AuditRow& row) const {
    EXPECT_EQ(row.actor, "staff:anna") << row.type;
    EXPECT_THAT(row.body, HasSubstr(R"("listener":"http")")) << row.type;
    EXPECT_THAT(row.body, HasSubstr(R"("request_id":)")) << row.type;
  }

  std::string cookie_;

 private:
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<AdminApi> admin_;
  std::string code_;
};

TEST_P(StaffRoomsContract, RecordsWhatWasDoneAndByWhom) {
  const auto answer = wish(ours());
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_THAT(new_records(), ElementsAreArray(line().records));
  for (const store::AuditRow& row : new_rows()) expect_by_anna(row);
  EXPECT_THAT(counted_types(), IsEmpty());
  if (creates()) {
    EXPECT_THAT(open_rooms(), ElementsAre("by-staff", "visit"));
  } else {
    EXPECT_THAT(open_rooms(), IsEmpty());
  }
}

TEST_P(StaffRoomsContract, DoesNothingWithoutASession) {
  cookie_.clear();
  EXPECT_EQ(wish(ours())->status, 401);
  expect_nothing_happened();
}

TEST_P(StaffRoomsContract, CountsForeignPages) {
  httplib::Headers foreign = ours();
  foreign.erase("X-Bedside-Admin");
  EXPECT_EQ(wish(foreign)->status, 403);
  expect_nothing_happened();
  EXPECT_THAT(counted_types(), ElementsAre("abuse.csrf_rejected"));
}

TEST_P(StaffRoomsContract, HoldsWhenTheDiskIsFull) {
  vfs.set_capacity(store::kNoSpace);
  const auto answer = wish(ours());
  EXPECT_THAT(new_records(), IsEmpty());
  if (creates()) {
    EXPECT_EQ(answer->status, 503) << answer->body;
    EXPECT_TRUE(answer->has_header("Retry-After"));
    EXPECT_FALSE(Json::parse(answer->body).contains("link"));
    expect_nothing_happened();
  } else {
    EXPECT_EQ(answer->status, 200) << answer->body;
    EXPECT_THAT(open_rooms(), IsEmpty());
  }
  expect_when_there_is_space_again(line());
  EXPECT_THAT(open_rooms(), Not(Contains("by-staff")));
  for (const store::AuditRow& row : new_rows()) {
    if (row.type == "room.ended") expect_by_anna(row);
  }
}

// Whatever of the admin API leaves its record to the hub: a new one is driven too.
std::vector<Way> ways_of_staff() {
  std::vector<Way> ways;
  for (const AdminRoute& route : admin_routes()) {
    const std::string name(route.name);
    if (route.record == "by hub") ways.push_back({"/admin/api/" + name, name});
  }
  return ways;
}

INSTANTIATE_TEST_SUITE_P(All, StaffRoomsContract, testing::ValuesIn(ways_of_staff()), name_of_way);

TEST(StaffRoomsContractItself, KnowsWhatThereIs) { EXPECT_EQ(ways_of_staff().size(), 2U); }

}  // namespace
}  // namespace bedside::server
