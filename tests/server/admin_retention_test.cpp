// People, holds and purges as the admin page asks for them.
#include <gmock/gmock.h>

#include <fstream>

#include "admin_api_rig.h"
#include "server/backup_box.h"
#include "server/backup_key.h"
#include "server/draft.h"
#include "store/audit_bundle.h"
#include "store/receipt.h"
#include "store/verify.h"
#include "tests/server/old_log.h"

namespace bedside::server {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class AdminRetentionTest : public AdminApiRig {
 protected:
  AdminRetentionTest() : AdminApiRig(true, write_old_log) {
    set_up();
    anna_ = cookie_;
  }
  std::filesystem::path archives() const { return folder_.path() / "archives"; }
  std::filesystem::path private_key() const { return folder_.path() / "private.pem"; }
  // Made once: it takes seconds.
  static const BackupKey& pair() {
    static const BackupKey made = BackupKey::generate().value();
    return made;
  }
  // A server that can write archives; everybody has to log in again.
  void configure_archives() {
    std::filesystem::create_directory(archives());
    ASSERT_TRUE(pair().save(private_key(), folder_.path() / "public.pem", false));
    AdminApiOptions options;
    options.has_account = true;
    options.backup = {archives(), folder_.path() / "public.pem", 30, {}};
    options.scratch = folder_.path() / "scratch";
    start(options);
    cookie_.clear();
    ASSERT_EQ(log_in("anna").status, 200);
    anna_ = cookie_;
  }
  // The code of an invitation that anna made.
  std::string invite(const std::string& name) {
    cookie_ = anna_;
    const std::string link = post("people/invite", {{"name", name}}).body.value("link", "");
    EXPECT_THAT(link, HasSubstr("/admin/#code="));
    EXPECT_THAT(link, HasSubstr("&name=" + name));
    return link.substr(link.find('=') + 1, link.find('&') - link.find('=') - 1);
  }
  AdminAnswer accept(const std::string& code, const std::string& name) {
    cookie_.clear();
    return post("setup", {{"code", code}, {"name", name}, {"password", kPassword}});
  }
  void add_berta() {
    ASSERT_EQ(accept(invite("berta"), "berta").status, 200);
    berta_ = cookie_;
  }
  AdminAnswer as(const std::string& cookie, const std::string& path,
                 const nlohmann::json& body = nlohmann::json::object()) {
    cookie_ = cookie;
    return post(path, body);
  }
  nlohmann::json retention() {
    cookie_ = anna_;
    return get("retention").body;
  }
  store::VerifyReport verdict() {
    store::VerifyOptions options;
    options.path = database();
    return store::verify_log(options).value();
  }

  std::string anna_;
  std::string berta_;
};

TEST_F(AdminRetentionTest, an_invited_person_makes_an_account_once) {
  const std::string code = invite("berta");
  EXPECT_THAT(records("user.invited").back().body, Not(HasSubstr(code)));
  EXPECT_EQ(records("user.invited").back().actor, "staff:anna");
  EXPECT_EQ(accept(code, "carla").status, 401) << "for another name";
  EXPECT_EQ(accept("0000-0000-0000-0000-0000", "berta").status, 401);
  const AdminAnswer accepted = accept(code, "berta");
  EXPECT_EQ(accepted.body.value("account", ""), "berta");
  const auto receipt = store::Receipt::parse(accepted.body.value("receipt", ""));
  ASSERT_TRUE(receipt);
  EXPECT_THAT(receipt->body, HasSubstr("\"type\":\"user.created\""));
  EXPECT_THAT(receipt->body, HasSubstr("\"object\":\"berta\""));
  EXPECT_THAT(records("user.created").back().body, HasSubstr("\"auth\":\"invitation\""));
  EXPECT_EQ(records("user.created").size(), 2U);
  EXPECT_EQ(accept(code, "berta").status, 401) << "it was used";
  EXPECT_EQ(log_in("berta").status, 200);
  cookie_ = anna_;
  EXPECT_THAT(get("people").body["accounts"], SizeIs(2));
  EXPECT_EQ(as(anna_, "people/invite", {{"name", "berta"}}).status, 409) << "taken";
  EXPECT_TRUE(store::check_receipt(
      as(anna_, "people/invite", {{"name", "carla"}}).body.value("receipt", "")));
  EXPECT_EQ(as(anna_, "people/invite", {{"name", "not a name"}}).status, 400);
}

TEST_F(AdminRetentionTest, a_disabled_account_is_out_at_once_and_never_the_last_one) {
  EXPECT_EQ(as(anna_, "people/disable", {{"name", "anna"}}).status, 409) << "one's own";
  add_berta();
  EXPECT_EQ(get("rooms").status, 200);
  const AdminAnswer disabled = as(anna_, "people/disable", {{"name", "berta"}});
  EXPECT_EQ(disabled.status, 200);
  EXPECT_TRUE(store::check_receipt(disabled.body.value("receipt", "")));
  EXPECT_EQ(records("user.disabled").back().actor, "staff:anna");
  cookie_ = berta_;
  EXPECT_EQ(get("rooms").status, 401) << "its session has ended";
  const auto ended = api_->take_timeouts();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].records.at(0).type, "auth.session_revoked");
  EXPECT_EQ(ended[0].records[0].reason, "account-disabled");
  EXPECT_EQ(ended[0].records[0].actor.id, "berta");
  const AdminAnswer again = log_in("berta");
  EXPECT_EQ(again.status, 401);
  EXPECT_EQ(again.body["code"], "wrong-credentials");
  EXPECT_EQ(as(anna_, "people/disable", {{"name", "berta"}}).status, 409) << "it is already";
}

TEST_F(AdminRetentionTest, who_came_after_a_proposal_does_not_approve_it) {
  configure_archives();
  ASSERT_EQ(as(anna_, "retention/propose").status, 200);
  add_berta();
  EXPECT_EQ(as(berta_, "retention/approve", {{"through", 512}}).body["code"], "young-account");
  ASSERT_EQ(as(berta_, "retention/withdraw").status, 200);
  ASSERT_EQ(as(anna_, "retention/propose").status, 200);
  EXPECT_EQ(as(berta_, "retention/approve", {{"through", 512}}).status, 200);
}

TEST_F(AdminRetentionTest, nothing_is_proposed_while_no_archive_can_be_made) {
  EXPECT_THAT(retention()["noArchive"], HasSubstr("bedside backup key"));
  EXPECT_EQ(retention()["plan"]["through"], 512);
  const AdminAnswer refused = as(anna_, "retention/propose");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body.value("error", ""), HasSubstr("public_key under [backup]"));
}

TEST_F(AdminRetentionTest, a_purge_takes_two_persons_and_an_archive_that_opens) {
  configure_archives();
  add_berta();
  const AdminAnswer proposed = as(anna_, "retention/propose");
  ASSERT_EQ(proposed.status, 200);
  EXPECT_TRUE(store::check_receipt(proposed.body.value("receipt", "")));
  EXPECT_EQ(as(berta_, "retention/propose").status, 409) << "there is one";
  const nlohmann::json proposal = retention()["proposal"];
  EXPECT_EQ(proposal["by"], "anna");
  EXPECT_EQ(proposal["plan"]["records"], 511);
  EXPECT_THAT(records("audit.purge_proposed").back().body, HasSubstr("\"records\":511"));

  const nlohmann::json seen = {{"through", 512}};
  EXPECT_EQ(as(anna_, "retention/approve", seen).body["code"], "same-person");
  EXPECT_EQ(as(berta_, "retention/approve", {{"through", 256}}).body["code"], "no-proposal");
  EXPECT_EQ(as(berta_, "retention/approve").status, 400);
  EXPECT_TRUE(std::filesystem::is_empty(archives())) << "refused before anything was written";

  const AdminAnswer done = as(berta_, "retention/approve", seen);
  const auto receipt = store::Receipt::parse(done.body.value("receipt", ""));
  ASSERT_TRUE(receipt);
  EXPECT_THAT(receipt->body, HasSubstr("\"type\":\"audit.purged\""));
  ASSERT_EQ(done.status, 200) << done.raw.body;
  EXPECT_EQ(done.body["removed"], 511);
  EXPECT_EQ(done.body["more"], false);
  const store::VerifyReport report = verdict();
  EXPECT_EQ(report.problem, "");
  ASSERT_THAT(report.purges, SizeIs(1));
  EXPECT_EQ(report.purges[0].approved_by, "berta");
  EXPECT_EQ(retention()["proposal"], nullptr);
  EXPECT_EQ(retention()["purges"][0]["removed"], 511);

  const std::filesystem::path file = archives() / done.body.value("archive", "");
  EXPECT_EQ(report.purges[0].archive_digest, digest_of_file(file).value());
  auto box = BoxReader::open(file.string());
  ASSERT_TRUE(box && box->unlock(BackupKey::load_private(private_key()).value()));
  const std::string tar = (folder_.path() / "archive.tar").string();
  std::ofstream out(tar, std::ios::binary);
  for (auto piece = box->next(); piece && !piece->empty(); piece = box->next()) out << *piece;
  out.close();
  store::VerifyOptions options;
  options.path = tar;
  const auto archived = store::verify_bundle(options);
  ASSERT_TRUE(archived);
  EXPECT_EQ(archived->problem, "");
  // What the verifier said of it is in the record of the purge.
  EXPECT_THAT(receipt->body, HasSubstr("\"archive_records\":" + std::to_string(archived->records)));
  EXPECT_THAT(receipt->body, HasSubstr("\"archive_root\":\"" + store::to_hex(archived->root)));
  EXPECT_EQ(archived->records, 512U) << "whatever there was up to there";
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "scratch")) << "no plain copy is left";
}

TEST_F(AdminRetentionTest, what_is_held_stays_and_a_hold_is_cleared_with_a_reason) {
  configure_archives();
  add_berta();
  const nlohmann::json wish = {{"room", "0123456789abcdef0123456789abcdef"},
                               {"reason", "complaint"},
                               {"reference", "2026/17"}};
  const AdminAnswer set = as(anna_, "retention/hold", wish);
  EXPECT_TRUE(store::check_receipt(set.body.value("receipt", "")));
  const std::string id = set.body.value("id", "");
  ASSERT_NE(id, "");
  EXPECT_EQ(records("audit.hold_set").back().reason, "complaint");
  EXPECT_THAT(records("audit.hold_set").back().body, HasSubstr("\"reference\":\""));
  EXPECT_THAT(records("audit.hold_set").back().body, Not(HasSubstr("2026/17"))) << "encrypted";
  EXPECT_EQ(retention()["plan"]["held"], 6);
  ASSERT_EQ(as(anna_, "retention/propose").status, 200);
  ASSERT_EQ(as(berta_, "retention/approve", {{"through", 512}}).status, 200);
  EXPECT_EQ(verdict().problem, "");
  EXPECT_EQ(store::Reader::open(database())->audit_row(9)->has_value(), true);

  EXPECT_EQ(as(anna_, "retention/clear", {{"id", id}}).status, 400) << "no reason";
  EXPECT_EQ(as(anna_, "retention/clear", {{"id", "x"}, {"reason", "closed"}}).status, 409);
  EXPECT_EQ(as(berta_, "retention/clear", {{"id", id}, {"reason", "closed"}}).status, 200);
  EXPECT_EQ(records("audit.hold_cleared").back().reason, "closed");
  EXPECT_THAT(retention()["holds"], SizeIs(0));
  EXPECT_EQ(verdict().problem, "");
}

TEST_F(AdminRetentionTest, holds_say_what_and_why_and_take_no_free_text) {
  for (const nlohmann::json& wish : std::vector<nlohmann::json>{
           nlohmann::json::array(),
           {{"reason", "complaint"}},
           {{"person", "eve"}},
           {{"person", "eve"}, {"reason", "because"}},
           {{"person", "eve"}, {"reason", "other"}, {"reference", "Mrs. Miller"}},
           {{"person", "Mrs. Miller"}, {"reason", "other"}},
           {{"person", "Miller"}, {"reason", "other"}},  // the log knows nobody of that id
           {{"person", std::string(200, 'x')}, {"reason", "other"}},
           {{"from", 5000}, {"to", 5000}, {"reason", "other"}},
           {{"from", -1}, {"reason", "other"}}}) {
    EXPECT_EQ(as(anna_, "retention/hold", wish).status, 400) << wish;
  }
  EXPECT_TRUE(records("audit.hold").empty());
  EXPECT_EQ(as(anna_, "retention/hold", {{"room", "a-room"}, {"reason", "other"}}).status, 400)
      << "no record is about it";
  write("room.created", store::Outcome::ok, "a-room");
  const auto held = as(anna_, "retention/hold",
                       {{"room", "a-room"}, {"from", 0}, {"to", 1}, {"reason", "other"}});
  EXPECT_EQ(held.status, 200);
  EXPECT_THAT(records("audit.hold_set").back().body, Not(HasSubstr("a-room"))) << "a pseudonym";
}

TEST_F(AdminRetentionTest, a_room_whose_name_looks_like_a_pseudonym_is_held_by_its_pseudonym) {
  const std::string name = "fedcba9876543210fedcba9876543210";
  write("room.created", store::Outcome::ok, name);
  EXPECT_EQ(as(anna_, "retention/hold", {{"room", name}, {"reason", "other"}}).status, 200);
  EXPECT_EQ(retention()["holds"][0]["room"], trail_.room_pseudonym(name));
  EXPECT_THAT(records("audit.hold_set").back().body, Not(HasSubstr(name)));
}

TEST_F(AdminRetentionTest, a_withdrawn_proposal_is_not_approved) {
  configure_archives();
  add_berta();
  ASSERT_EQ(as(anna_, "retention/propose").status, 200);
  EXPECT_EQ(as(berta_, "retention/withdraw").status, 200);
  EXPECT_EQ(as(berta_, "retention/approve", {{"through", 512}}).body["code"], "no-proposal");
  EXPECT_EQ(records("audit.purge_withdrawn").back().actor, "staff:berta");
  EXPECT_EQ(verdict().problem, "");
}

}  // namespace
}  // namespace bedside::server
