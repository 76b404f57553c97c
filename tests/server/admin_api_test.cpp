// Rooms, audit list and relay figures of the admin API.
#include <gmock/gmock.h>

#include "server/admin_audit_list.h"
#include "store/merkle.h"
#include "store/receipt.h"
#include "store/signed_note.h"
#include "store/verify.h"
#include "tests/server/admin_api_rig.h"

namespace bedside::server {
namespace {

using testing::HasSubstr;
using testing::Not;

class AdminApiTest : public AdminApiRig {
 protected:
  AdminApiTest() { EXPECT_EQ(set_up().status, 200); }
};

TEST_F(AdminApiTest, everything_but_the_doors_needs_a_session) {
  cookie_.clear();
  for (const char* path : {"rooms", "audit", "audit/checkpoint", "relay"})
    EXPECT_EQ(get(path).status, 401) << path;
  for (const char* path : {"rooms/create", "rooms/end"}) {
    EXPECT_EQ(post(path, {{"roomId", "r"}, {"appointmentId", 1}}).status, 401) << path;
  }
  EXPECT_EQ(get("state").status, 200);
}

TEST_F(AdminApiTest, unknown_paths_and_methods_have_their_answers) {
  EXPECT_EQ(get("nothing").status, 404);
  EXPECT_EQ(get("rooms/").status, 404);
  const AdminAnswer wrong = post("rooms", {});
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "GET");
  EXPECT_EQ(get("login").status, 405);
}

TEST_F(AdminApiTest, rooms_are_shown_with_their_people) {
  AdminRoom room;
  room.room = "appointment-42";
  room.appointment_json = "42";
  room.link = "/telehealth-webrtc.html?room=appointment-42";
  room.created = std::chrono::milliseconds(1'700'000'000'000);
  room.people.push_back({"p1", "host", std::chrono::milliseconds(1'700'000'000'500), true,
                         AdminPerson::Path::relayed});
  room.people.push_back(
      {"p2", "", std::chrono::milliseconds(1'700'000'001'000), false, AdminPerson::Path::unknown});
  backend_.open = {room};
  const nlohmann::json shown = get("rooms").body["rooms"];
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown[0]["appointmentId"], 42);
  EXPECT_EQ(shown[0]["createdAt"], 1'700'000'000'000);
  EXPECT_EQ(shown[0]["people"][0], nlohmann::json({{"id", "p1"},
                                                   {"role", "host"},
                                                   {"since", 1'700'000'000'500},
                                                   {"connected", true},
                                                   {"path", "relayed"}}));
  EXPECT_EQ(shown[0]["people"][1]["path"], "unknown");
}

TEST_F(AdminApiTest, a_room_is_created_in_the_name_of_the_account) {
  backend_.created = {"appointment-a 1", "/telehealth-webrtc.html?room=x", "", false};
  const AdminAnswer answer = post("rooms/create", {{"appointmentId", "a 1"}, {"roomName", "x"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body["link"], "/telehealth-webrtc.html?room=x");
  EXPECT_FALSE(answer.body.contains("hostLink"));
  EXPECT_EQ(backend_.wished.appointment_json, "\"a 1\"");
  EXPECT_EQ(backend_.wished.room_name, "x");
  EXPECT_EQ(backend_.actor, "anna");
}

TEST_F(AdminApiTest, an_appointment_id_is_a_number_or_text_and_not_empty) {
  for (const nlohmann::json& missing :
       {nlohmann::json(), nlohmann::json(""), nlohmann::json(0), nlohmann::json(false)}) {
    EXPECT_EQ(post("rooms/create", {{"appointmentId", missing}}).body["error"],
              "appointmentId is required");
  }
  EXPECT_EQ(post("rooms/create", {{"appointmentId", {1, 2}}}).status, 400);
  EXPECT_EQ(post("rooms/create", {{"appointmentId", 7}}).status, 200);
  EXPECT_EQ(backend_.wished.appointment_json, "7");
}

TEST_F(AdminApiTest, a_room_is_ended_and_a_refusal_is_passed_on) {
  EXPECT_EQ(post("rooms/end", {{"roomId", "r1"}}).status, 200);
  EXPECT_EQ(backend_.ended, "r1");
  EXPECT_EQ(post("rooms/end", {{"roomId", ""}}).status, 400);
  backend_.refusal = AdminRefusal{404, "Room not found"};
  const AdminAnswer answer = post("rooms/end", {{"roomId", "r2"}});
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body["error"], "Room not found");
  EXPECT_EQ(answer.header("Retry-After"), "");
}

TEST_F(AdminApiTest, a_refusal_says_when_to_ask_again) {
  backend_.refusal = AdminRefusal{503, "The disk is full", std::chrono::seconds(60)};
  EXPECT_EQ(post("rooms/create", {{"appointmentId", 7}}).header("Retry-After"), "60");
  EXPECT_EQ(post("rooms/end", {{"roomId", "r"}}).header("Retry-After"), "60");
}

TEST_F(AdminApiTest, relay_figures_are_counters) {
  backend_.figures.allocations = 3;
  backend_.figures.bytes_to_clients = std::uint64_t{1} << 40U;
  const nlohmann::json body = get("relay").body;
  EXPECT_EQ(body["allocations"], 3);
  EXPECT_EQ(body["bytesToClients"], std::uint64_t{1} << 40U);
}

TEST_F(AdminApiTest, the_audit_list_shows_the_newest_first_as_stored) {
  const nlohmann::json rows = get("audit").body["rows"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["type"], "auth.login");
  EXPECT_EQ(rows[1]["type"], "user.created");
  EXPECT_EQ(rows[0]["body"], records("auth.login")[0].body);
}

TEST_F(AdminApiTest, every_look_at_the_audit_list_is_recorded_with_its_filters) {
  get("audit?type=auth.&outcome=ok&room=appointment-42");
  const auto looks = records("audit.viewed");
  ASSERT_EQ(looks.size(), 1U);
  EXPECT_EQ(looks[0].actor, "staff:anna");
  EXPECT_THAT(looks[0].body, HasSubstr("auth."));
  EXPECT_THAT(looks[0].body, Not(HasSubstr("appointment-42")));
  EXPECT_EQ(get("audit").body["rows"][0]["type"], "audit.viewed");
}

TEST_F(AdminApiTest, no_row_leaves_when_the_look_cannot_be_recorded) {
  store_->close();
  const AdminAnswer answer = get("audit");
  EXPECT_EQ(answer.status, 503);
  EXPECT_FALSE(answer.body.contains("rows"));
}

TEST_F(AdminApiTest, filters_restrict_by_type_group_outcome_and_room) {
  write("room.created", store::Outcome::ok, "r1");
  write("room.ended", store::Outcome::ok, "r1");
  write("room.created", store::Outcome::failed, "r2");
  const auto count = [&](const std::string& query) {
    return get("audit?" + query).body["rows"].size();
  };
  EXPECT_EQ(count("type=room."), 3U);
  EXPECT_EQ(count("type=room.created"), 2U);
  EXPECT_EQ(count("outcome=failed"), 1U);
  EXPECT_EQ(count("room=r1"), 2U);
  EXPECT_EQ(count("room=" + trail_.room_pseudonym("r1")), 2U);
  EXPECT_EQ(count("room=r1&type=room.ended"), 1U);
  EXPECT_EQ(count("to=1000000"), 0U);
  EXPECT_EQ(count("from=1000000&type=room."), 3U);
}

// A records system may name rooms by 32 hexadecimal digits: these are names, not pseudonyms.
TEST_F(AdminApiTest, a_room_whose_name_looks_like_a_pseudonym_is_found_and_its_name_not_kept) {
  const std::string name = "0123456789abcdef0123456789abcdef";
  const std::string unknown = "fedcba9876543210fedcba9876543210";
  write("room.created", store::Outcome::ok, name);
  const auto found = [&](const std::string& room) {
    return get("audit?room=" + room).body["rows"].size();
  };
  EXPECT_EQ(found(name), 1U);
  EXPECT_EQ(found(trail_.room_pseudonym(name)), 1U);
  EXPECT_EQ(found(unknown), 0U);
  const auto looks = records("audit.viewed");
  ASSERT_EQ(looks.size(), 3U);
  for (const store::AuditRow& look : looks) {
    EXPECT_THAT(look.body, Not(HasSubstr(name)));
    EXPECT_THAT(look.body, Not(HasSubstr(unknown)));
  }
  EXPECT_THAT(looks[0].body, HasSubstr(trail_.room_pseudonym(name)));
  EXPECT_THAT(looks[1].body, HasSubstr(trail_.room_pseudonym(name)));
}

TEST_F(AdminApiTest, pages_follow_each_other_by_key_without_gap_or_overlap) {
  write("room.join", store::Outcome::ok, "r1", 25);
  std::vector<std::uint64_t> seen;
  std::string before;
  for (int page = 0; page < 3; ++page) {
    const nlohmann::json body = get("audit?type=room.&limit=10" + before).body;
    for (const nlohmann::json& row : body["rows"]) seen.push_back(row["seq"]);
    if (body["next"].is_null()) {
      EXPECT_EQ(page, 2);
      break;
    }
    before = "&before=" + std::to_string(body["next"].get<std::uint64_t>());
    write("room.join", store::Outcome::ok, "r1");  // newer records do not move the pages
  }
  ASSERT_EQ(seen.size(), 25U);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i], seen[i - 1] - 1);
}

TEST_F(AdminApiTest, filters_that_make_no_sense_are_named) {
  for (const char* query :
       {"from=yesterday", "to=-1", "type=room%27--", "type=margaret", "outcome=maybe", "before=x",
        "before=0", "limit=99999", "from=20&to=10"}) {
    const AdminAnswer answer = get(std::string("audit?") + query);
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_EQ(answer.body["code"], "bad-filter");
  }
  EXPECT_TRUE(records("audit.viewed").empty());
}

class SealedAdminApiTest : public AdminApiRig {
 protected:
  SealedAdminApiTest() : AdminApiRig(true) {}
};

store::Hash hash_of(const nlohmann::json& text) {
  const auto bytes = store::from_base64(text.get<std::string>());
  store::Hash hash{};
  if (bytes && bytes->size() == hash.size()) std::copy(bytes->begin(), bytes->end(), hash.begin());
  return hash;
}

TEST_F(SealedAdminApiTest, a_browser_gets_the_proof_that_the_log_it_saw_is_the_beginning_of_this) {
  ASSERT_EQ(set_up().status, 200);
  const nlohmann::json first = get("audit/checkpoint").body;
  const auto seen = first["size"].get<std::uint64_t>();
  ASSERT_GT(seen, 0U);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(get("audit").status, 200);  // five records more
  const nlohmann::json now = get("audit/checkpoint?size=" + std::to_string(seen)).body;
  EXPECT_EQ(now["origin"], first["origin"]);
  EXPECT_EQ(now["size"].get<std::uint64_t>(), seen + 5);
  EXPECT_EQ(now["oldRoot"], first["root"]);
  std::vector<store::Hash> proof;
  for (const auto& each : now["proof"]) proof.push_back(hash_of(each));
  EXPECT_TRUE(store::verify_consistency(seen, hash_of(first["root"]), seen + 5,
                                        hash_of(now["root"]), proof));
}

TEST_F(SealedAdminApiTest, the_first_account_comes_with_a_receipt_of_its_record) {
  const AdminAnswer made = set_up();
  ASSERT_EQ(made.status, 200);
  store::VerifyOptions options;
  options.path = database();
  options.receipts = {made.body.value("receipt", "")};
  EXPECT_TRUE(store::check_receipt(options.receipts[0]));
  const auto report = store::verify_log(options);
  EXPECT_EQ(report->problem, "");
  EXPECT_EQ(report->receipts, 1U);
  const auto receipt = store::Receipt::parse(options.receipts[0]);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(records("user.created").at(0).body, receipt->body);
  EXPECT_FALSE(log_in().body.contains("receipt")) << "it changes nothing";
}

TEST_F(SealedAdminApiTest, a_log_that_is_shorter_than_the_browser_knows_has_no_proof) {
  ASSERT_EQ(set_up().status, 200);
  const nlohmann::json now = get("audit/checkpoint?size=1000").body;
  EXPECT_LT(now["size"].get<std::uint64_t>(), 1000U);
  EXPECT_FALSE(now.contains("oldRoot"));
  EXPECT_EQ(get("audit/checkpoint?size=ten").status, 400);
}

TEST_F(AdminApiTest, a_log_without_a_seal_says_so_and_anchors_are_listed) {
  backend_.figures.anchors = {
      {"file /mnt/anchor", 12, std::chrono::seconds(1'700'000'000), "", false},
      {"witness w", 3, {}, "it does not answer", true}};
  const nlohmann::json body = get("audit/checkpoint").body;
  EXPECT_EQ(body["origin"], nullptr);
  EXPECT_EQ(body["anchors"][0], nlohmann::json({{"place", "file /mnt/anchor"},
                                                {"records", 12},
                                                {"keptAt", 1'700'000'000'000},
                                                {"problem", ""},
                                                {"contradiction", false}}));
  EXPECT_EQ(body["anchors"][1]["contradiction"], true);
}

}  // namespace
}  // namespace bedside::server
