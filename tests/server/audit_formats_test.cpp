// What exports look like to spreadsheets and to health records systems.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "server/audit_csv.h"
#include "server/audit_fhir.h"
#include "server/audit_instant.h"
#include "server/audit_types.h"
#include "store/audit_record.h"
#include "store/signed_note.h"

namespace bedside::server {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

store::AuditRecord record_of(std::string_view type) {
  store::AuditRecord record;
  record.type = type;
  record.reason = "asked";
  record.actor = {"staff", "anna", "admin", "session"};
  record.where.ip_prefix = "203.0.113.7/32";
  record.where.ip_commitment = "ab";
  record.room = "0123456789abcdef0123456789abcdef";
  record.object = "p1";
  record.purpose = "TREAT";
  record.detail.set("rows", 3);
  return record;
}

std::string body_of(const store::AuditRecord& record) {
  store::Stamp stamp;
  stamp.seq = 7;
  stamp.wall = std::chrono::microseconds(1'700'000'000'000'123);
  return store::audit_body(record, stamp);
}

TEST(AuditCsv, ACellIsNeverAFormula) {
  for (const char* text : {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"}) {
    EXPECT_EQ(csv_cell(text), "\"'" + std::string(text) + "\"");
  }
  EXPECT_EQ(csv_cell("a=1"), "\"a=1\"");
  EXPECT_EQ(csv_cell(""), "\"\"");
}

TEST(AuditCsv, QuotesAndLineBreaksStayInTheirCell) {
  EXPECT_EQ(csv_cell("say \"no\",\r\nplease"), "\"say \"\"no\"\",\r\nplease\"");
}

TEST(AuditCsv, EveryRecordHasAllColumnsAndItsDetail) {
  const store::Rendering csv = audit_csv();
  const auto columns = [](const std::string& line) {
    return std::count(line.begin(), line.end(), '"') / 2;
  };
  store::AuditRecord plain = record_of("room.join");
  plain.detail = {};
  EXPECT_EQ(columns(csv.line(body_of(plain))), columns(csv.heading));
  const std::string line = csv.line(body_of(record_of("room.join")));
  EXPECT_THAT(line,
              StartsWith("\"7\",\"2023-11-14T22:13:20.000123Z\",\"room.join\",\"ok\",\"asked\","
                         "\"staff\",\"anna\",\"admin\","));
  EXPECT_THAT(line, HasSubstr("\"session\",\"TREAT\",\"\",\"{\"\"rows\"\":3}\"\r\n"));
}

TEST(AuditInstant, DaysAndInstantsAreReadInUtc) {
  EXPECT_EQ(parse_instant("2023-11-14"), std::chrono::seconds(1'699'920'000));
  EXPECT_EQ(parse_instant("2023-11-14T22:13:20Z"), std::chrono::seconds(1'700'000'000));
  for (const char* wrong :
       {"", "yesterday", "2023-11-14T22:13", "2023-13-01", "2023-11-14 22:13Z"}) {
    EXPECT_FALSE(parse_instant(wrong)) << wrong;
  }
}

// FHIR R4 AuditEvent: cardinalities, value types and the required value sets.
void expect_coding(const json& coding, const std::string& where) {
  ASSERT_TRUE(coding.is_object()) << where;
  const std::string system = coding.at("system");
  EXPECT_TRUE(system.starts_with("http://") || system.starts_with("https://profiles.ihe.net/") ||
              system.starts_with("urn:"))
      << where;
  EXPECT_TRUE(std::regex_match(coding.at("code").get<std::string>(), std::regex("\\S+"))) << where;
}

void expect_audit_event(const json& event) {
  EXPECT_EQ(event.at("resourceType"), "AuditEvent");
  EXPECT_TRUE(
      std::regex_match(event.at("id").get<std::string>(), std::regex("[A-Za-z0-9\\-.]{1,64}")));
  expect_coding(event.at("type"), "type");
  for (const json& each : event.at("subtype")) expect_coding(each, "subtype");
  EXPECT_TRUE((std::set<std::string>{"C", "R", "U", "D", "E"}.count(event.at("action")))) << event;
  EXPECT_TRUE(std::regex_match(event.at("recorded").get<std::string>(),
                               std::regex("\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z")));
  EXPECT_TRUE((std::set<std::string>{"0", "4", "8", "12"}.count(event.at("outcome"))));
  ASSERT_GE(event.at("agent").size(), 1U);
  for (const json& agent : event.at("agent")) {
    expect_coding(agent.at("type").at("coding").at(0), "agent.type");
    EXPECT_TRUE(agent.at("requestor").is_boolean());
    EXPECT_TRUE(agent.at("who").at("identifier").at("value").is_string());
    if (agent.contains("network")) {
      EXPECT_EQ(agent.at("network").at("type"), "2");
    }
  }
  EXPECT_TRUE(event.at("source").at("observer").at("identifier").at("value").is_string());
  for (const json& type : event.at("source").at("type")) expect_coding(type, "source.type");
  for (const json& entity : event.at("entity")) {
    EXPECT_NE(entity.contains("what"), entity.contains("query"));
    if (entity.contains("what")) {
      EXPECT_TRUE(entity.at("what").at("identifier").at("value").is_string());
    }
    expect_coding(entity.at("type"), "entity.type");
    const bool is_request = entity.at("type").at("code") == "XrequestId";
    if (!is_request) expect_coding(entity.at("role"), "entity.role");
    EXPECT_FALSE(entity.contains("name") && entity.contains("query"));
    for (const json& detail : entity.value("detail", json::array())) {
      EXPECT_TRUE(detail.at("type").is_string());
      EXPECT_EQ(detail.contains("valueString") + detail.contains("valueBase64Binary"), 1);
    }
  }
  const std::set<std::string> known{"resourceType", "id",       "type",           "subtype",
                                    "action",       "recorded", "outcome",        "outcomeDesc",
                                    "agent",        "source",   "purposeOfEvent", "entity"};
  for (const auto& [key, value] : event.items()) EXPECT_TRUE(known.count(key)) << key;
}

TEST(AuditFhir, EveryTypeHasCodesAndTheShapeOfR4) {
  const store::Rendering fhir = audit_fhir("bedside/audit/1");
  for (const std::string_view type : audit_type::kAll) {
    EXPECT_NE(fhir_coding_of(type), nullptr) << type;
    const std::string line = fhir.line(body_of(record_of(type)));
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    expect_audit_event(json::parse(line));
  }
  EXPECT_EQ(fhir_coding_of("unheard.of"), nullptr);
  expect_audit_event(json::parse(fhir.line(body_of(record_of("unheard.of")))));
}

TEST(AuditFhir, ADisclosureIsAnExportInDicomAndALifecycleEvent) {
  const json event =
      json::parse(audit_fhir("log").line(body_of(record_of(audit_type::kAuditExported))));
  EXPECT_EQ(event.at("type").at("code"), "110106");
  EXPECT_EQ(event.at("subtype").at(0).at("code"), "disclose");
  EXPECT_EQ(event.at("subtype").at(0).at("system"),
            "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle");
  EXPECT_EQ(event.at("action"), "R");
}

TEST(AuditFhir, AUserIsARequestorWithWhereTheyAre) {
  const json event = json::parse(audit_fhir("log").line(body_of(record_of("auth.login"))));
  EXPECT_EQ(event.at("type").at("code"), "110114");
  EXPECT_EQ(event.at("subtype").at(0).at("code"), "110122");
  const json& agent = event.at("agent").at(0);
  EXPECT_EQ(agent.at("type").at("coding").at(0).at("code"), "IRCP");
  EXPECT_EQ(agent.at("requestor"), true);
  EXPECT_EQ(agent.at("network").at("address"), "203.0.113.7");
  EXPECT_EQ(agent.at("who").at("identifier").at("value"), "anna");
}

TEST(AuditFhir, ANetworkIsNoAddressAndAServiceNoRequestor) {
  store::AuditRecord record = record_of("service.start");
  record.where.ip_prefix = "203.0.113.0/24";
  record.actor = {"service", "", "", ""};
  const json event = json::parse(audit_fhir("log").line(body_of(record)));
  EXPECT_FALSE(event.at("agent").at(0).contains("network"));
  EXPECT_EQ(event.at("agent").at(0).at("requestor"), false);
  EXPECT_EQ(event.at("entity").at(0).at("detail").at(1).at("valueString"), "203.0.113.0/24");
}

TEST(AuditFhir, SaysWhichRequestItWasAndWhatWasAskedFor) {
  store::AuditRecord record = record_of(audit_type::kAuditExported);
  record.request_id = 12;
  record.detail.set("filter", store::JsonObject().set("room", "r"));
  const json event = json::parse(audit_fhir("log").line(body_of(record)));
  expect_audit_event(event);
  const json& entities = event.at("entity");
  ASSERT_EQ(entities.size(), 5U);
  const auto query = store::from_base64(entities.at(1).at("query").get<std::string>());
  EXPECT_EQ(std::string(query->begin(), query->end()), R"({"room":"r"})");
  EXPECT_EQ(entities.at(1).at("role").at("code"), "24");
  EXPECT_THAT(entities.at(2).at("what").at("identifier").at("value").get<std::string>(),
              testing::EndsWith("-12"));
}

TEST(AuditFhir, OutcomesAndTheSealedBodyAreThere) {
  for (const auto& [outcome, code] : {std::pair{store::Outcome::ok, "0"},
                                      {store::Outcome::denied, "4"},
                                      {store::Outcome::failed, "8"},
                                      {store::Outcome::aborted, "8"}}) {
    store::AuditRecord record = record_of("room.join");
    record.outcome = outcome;
    const std::string body = body_of(record);
    const json event = json::parse(audit_fhir("log").line(body));
    EXPECT_EQ(event.at("outcome"), code);
    EXPECT_EQ(event.at("outcomeDesc"), "asked");
    const auto sealed = store::from_base64(
        event.at("entity").at(0).at("detail").at(0).at("valueBase64Binary").get<std::string>());
    EXPECT_EQ(std::string(sealed->begin(), sealed->end()), body);
  }
}

}  // namespace
}  // namespace bedside::server
