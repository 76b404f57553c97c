// The download button of the audit page.
#include <gmock/gmock.h>

#include <fstream>

#include "admin_api_rig.h"
#include "server/admin_audit_export.h"
#include "store/audit_bundle.h"

namespace bedside::server {
namespace {

using testing::HasSubstr;
using testing::Not;

class AdminExportTest : public AdminApiRig {
 protected:
  AdminExportTest() : AdminApiRig(true) {
    context_.client.address = *stun::IpAddress::parse("192.0.2.77");
    set_up();
  }
  store::VerifyReport verdict(const AdminAnswer& answer) {
    store::VerifyOptions options;
    options.path = (folder_.path() / "export.tar").string();
    std::ofstream(options.path, std::ios::binary) << answer.raw.body;
    return store::verify_bundle(options).value();
  }
  store::AuditRow exported() { return records("audit.exported").back(); }
};

TEST_F(AdminExportTest, a_download_proves_itself_and_is_recorded_before_it_leaves) {
  for (const char* format : {"ndjson", "csv", "fhir"}) {
    const AdminAnswer answer = post(std::string("audit/export?format=") + format, {});
    ASSERT_EQ(answer.status, 200) << answer.raw.body;
    EXPECT_EQ(answer.header("Content-Type"), "application/x-tar");
    const store::VerifyReport report = verdict(answer);
    EXPECT_EQ(report.problem, "") << format;
    EXPECT_GE(report.records, 3U);
    EXPECT_THAT(exported().body, HasSubstr(std::string("\"format\":\"") + format + "\""));
    EXPECT_THAT(exported().body, HasSubstr("\"root\":\""));
    EXPECT_EQ(exported().actor, "staff:anna");
  }
}

TEST_F(AdminExportTest, full_addresses_leave_only_when_asked_for_and_that_is_recorded) {
  log_in();
  EXPECT_THAT(post("audit/export", {}).raw.body, Not(HasSubstr("\"value\":\"192.0.2.77\"")));
  EXPECT_THAT(exported().body, Not(HasSubstr("disclosed")));
  const AdminAnswer answer = post("audit/export?disclose=ip", {});
  EXPECT_THAT(answer.raw.body, HasSubstr("\"value\":\"192.0.2.77\""));
  EXPECT_EQ(verdict(answer).problem, "");
  EXPECT_THAT(exported().body, HasSubstr("\"disclosed\":\"ip\""));
  EXPECT_EQ(verdict(post("audit/export?disclose=display,ip", {})).problem, "");
  EXPECT_THAT(exported().body, HasSubstr("\"disclosed\":\"display ip\""));
}

TEST_F(AdminExportTest, filters_restrict_what_leaves_and_are_recorded) {
  const AdminAnswer answer = post("audit/export?person=anna&from=1000", {});
  EXPECT_EQ(verdict(answer).records, records("user.created").size() + records("auth.login").size());
  EXPECT_THAT(exported().body, HasSubstr("\"filter\":{\"from_us\":1000000,\"person\":\"anna\"}"));
  for (const char* bad : {"format=pdf", "disclose=name", "disclose=ip,name", "from=x"}) {
    EXPECT_EQ(post(std::string("audit/export?") + bad, {}).status, 400) << bad;
  }
}

TEST_F(AdminExportTest, a_room_whose_name_looks_like_a_pseudonym_is_found_and_its_name_not_kept) {
  const std::string name = "0123456789abcdef0123456789abcdef";
  write("room.created", store::Outcome::ok, name);
  EXPECT_EQ(verdict(post("audit/export?room=" + name, {})).records, 1U);
  EXPECT_THAT(exported().body, HasSubstr(trail_.room_pseudonym(name)));
  EXPECT_THAT(exported().body, Not(HasSubstr(name)));
}

// The filter is recorded, and nobody is kept from typing a patient's name there.
TEST_F(AdminExportTest, a_person_whom_the_log_does_not_know_is_neither_exported_nor_recorded) {
  const AdminAnswer answer = post("audit/export?person=Margaret", {});
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.raw.body, Not(HasSubstr("Margaret")));
  EXPECT_TRUE(records("audit.exported").empty());
}

TEST_F(AdminExportTest, nothing_leaves_when_it_cannot_be_recorded) {
  store_->close();
  const AdminAnswer answer = post("audit/export", {});
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body["code"], "not-recorded");
}

TEST_F(AdminExportTest, nobody_without_a_session_exports) {
  cookie_.clear();
  EXPECT_EQ(post("audit/export", {}).status, 401);
}

}  // namespace
}  // namespace bedside::server
