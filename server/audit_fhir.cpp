#include "server/audit_fhir.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "server/audit_instant.h"
#include "store/canonical_reader.h"
#include "store/signed_note.h"

namespace bedside::server {
namespace {

using Json = nlohmann::ordered_json;
using store::CanonicalObject;

constexpr const char* kDcm = "http://dicom.nema.org/resources/ontology/DCM";
constexpr const char* kLifecycle = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
constexpr const char* kEntityType = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
constexpr const char* kObjectRole = "http://terminology.hl7.org/CodeSystem/object-role";
constexpr const char* kSourceType = "http://terminology.hl7.org/CodeSystem/security-source-type";
constexpr const char* kParticipation = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
constexpr const char* kActReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
constexpr const char* kBalpEntity =
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
constexpr const char* kOurTypes = "urn:bedside:audit:type";

constexpr std::string_view kActivity = "Application Activity";
constexpr std::string_view kAlert = "Security Alert";
constexpr std::string_view kAuthentication = "User Authentication";

constexpr std::array kCodings = {
    FhirCoding{"service.start", "110100", kActivity, "110120", "Application Start", 'E'},
    FhirCoding{"service.stop", "110100", kActivity, "110121", "Application Stop", 'E'},
    FhirCoding{"service.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"storage.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"time.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"config.", "110113", kAlert, "110131", "Software Configuration", 'U'},
    FhirCoding{"cert.", "110113", kAlert, "110129", "Security Configuration", 'U'},
    FhirCoding{"key.", "110113", kAlert, "110129", "Security Configuration", 'U'},
    FhirCoding{"epoch.", "110113", kAlert, "110129", "Security Configuration", 'U'},
    FhirCoding{"witness.", "110113", kAlert, "110129", "Security Configuration", 'E'},
    FhirCoding{"log.", "110107", "Import", "", "", 'C'},
    FhirCoding{"backup.", "110106", "Export", "archive", "Archive Record Lifecycle Event", 'R'},
    FhirCoding{"restore.", "110107", "Import", "restore", "Restore Record Lifecycle Event", 'C'},
    FhirCoding{"audit.exported", "110106", "Export", "disclose", "Disclose Record Lifecycle Event",
               'R'},
    FhirCoding{"audit.purged", "110101", "Audit Log Used", "destroy",
               "Destroy/Delete Record Lifecycle Event", 'D'},
    FhirCoding{"audit.hold_cleared", "110101", "Audit Log Used", "unhold",
               "Remove Legal Hold Record Lifecycle Event", 'U'},
    FhirCoding{"audit.hold", "110101", "Audit Log Used", "hold",
               "Add Legal Hold Record Lifecycle Event", 'U'},
    FhirCoding{"audit.verified", "110101", "Audit Log Used", "verify",
               "Verify Record Lifecycle Event", 'R'},
    FhirCoding{"audit.purge_", "110101", "Audit Log Used", "", "", 'E'},
    FhirCoding{"audit.", "110101", "Audit Log Used", "access", "Access/View Record Lifecycle Event",
               'R'},
    FhirCoding{"auth.login", "110114", kAuthentication, "110122", "Login", 'E'},
    FhirCoding{"auth.logout", "110114", kAuthentication, "110123", "Logout", 'E'},
    FhirCoding{"auth.timeout", "110114", kAuthentication, "110123", "Logout", 'E'},
    FhirCoding{"auth.password_set", "110113", kAlert, "110137", "User Security Attributes Changed",
               'U'},
    FhirCoding{"auth.", "110114", kAuthentication, "", "", 'E'},
    FhirCoding{"user.created", "110113", kAlert, "110137", "User Security Attributes Changed", 'C'},
    FhirCoding{"user.role", "110113", kAlert, "110136", "Security Roles Changed", 'U'},
    FhirCoding{"user.", "110113", kAlert, "110137", "User Security Attributes Changed", 'U'},
    FhirCoding{"token.created", "110113", kAlert, "110137", "User Security Attributes Changed",
               'C'},
    FhirCoding{"token.revoked", "110113", kAlert, "110137", "User Security Attributes Changed",
               'D'},
    FhirCoding{"token.", "110113", kAlert, "110126", "Node Authentication", 'E'},
    FhirCoding{"room.created", "110100", kActivity, "originate",
               "Originate/Retain Record Lifecycle Event", 'C'},
    FhirCoding{"room.expired", "110100", kActivity, "destroy",
               "Destroy/Delete Record Lifecycle Event", 'D'},
    FhirCoding{"room.emergency", "110113", kAlert, "110127", "Emergency Override Started", 'E'},
    FhirCoding{"room.admit", "110113", kAlert, "", "", 'E'},
    FhirCoding{"room.deny", "110113", kAlert, "", "", 'E'},
    FhirCoding{"room.kick", "110113", kAlert, "", "", 'E'},
    FhirCoding{"room.locked", "110113", kAlert, "110129", "Security Configuration", 'U'},
    FhirCoding{"room.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"link.issued", "110113", kAlert, "110137", "User Security Attributes Changed", 'C'},
    FhirCoding{"link.opened", "110113", kAlert, "110126", "Node Authentication", 'E'},
    FhirCoding{"link.", "110113", kAlert, "110137", "User Security Attributes Changed", 'D'},
    FhirCoding{"cred.", "110113", kAlert, "110126", "Node Authentication", 'E'},
    FhirCoding{"media.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"alloc.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"relay.", "110100", kActivity, "", "", 'E'},
    FhirCoding{"turn.", "110113", kAlert, "", "", 'E'},
    FhirCoding{"abuse.", "110113", kAlert, "", "", 'E'},
};

Json coding(std::string_view system, std::string_view code, std::string_view display) {
  Json made{{"system", system}, {"code", code}};
  if (!display.empty()) made["display"] = display;
  return made;
}

Json identifier(const std::string& kind, const std::string& value) {
  return {{"identifier", {{"system", "urn:bedside:" + kind}, {"value", value}}}};
}

// R4's audit-event-outcome: a denied request is a minor failure, a broken one a serious one.
std::string_view outcome_code(std::string_view outcome) {
  if (outcome == "ok") return "0";
  return outcome == "denied" ? "4" : "8";
}

// Who did it. A person is in v3's role of the information recipient (BALP's user); a program is an
// application of DICOM's.
Json agent_of(const CanonicalObject& body) {
  const auto actor = body.object("actor");
  const std::string kind = actor ? actor->text("kind").value_or("unknown") : "unknown";
  const bool person = kind == "staff" || kind == "participant" || kind == "operator";
  Json agent;
  Json type = person ? coding(kParticipation, "IRCP", "information recipient")
                     : coding(kDcm, "110150", "Application");
  agent["type"] = {{"coding", Json::array({std::move(type)})}};
  const std::string id = actor ? actor->text("id").value_or("") : "";
  agent["who"] = identifier(kind, id.empty() ? kind : id);
  if (const auto role = actor ? actor->text("role") : std::nullopt) {
    agent["role"] = Json::array({{{"text", *role}}});
  }
  agent["requestor"] = kind != "service";
  const auto where = body.object("where");
  const std::string network = where ? where->text("ip_prefix").value_or("") : "";
  // Only a whole address is one: a network of many goes with the entity.
  const std::size_t slash = network.find('/');
  if (network.ends_with("/32") || network.ends_with("/128")) {
    agent["network"] = {{"address", network.substr(0, slash)}, {"type", "2"}};
  }
  return agent;
}

Json entities_of(const CanonicalObject& body, std::string_view text) {
  const std::span<const char> chars(text);
  const std::vector<std::uint8_t> bytes(chars.begin(), chars.end());
  Json detail = Json::array();
  detail.push_back({{"type", "sealed-body"}, {"valueBase64Binary", store::base64(bytes)}});
  if (const auto where = body.object("where")) {
    if (const auto network = where->text("ip_prefix")) {
      detail.push_back({{"type", "network"}, {"valueString", *network}});
    }
  }
  Json record = {{"what", identifier("audit", std::to_string(body.integer("seq").value_or(0)))},
                 {"type", coding(kEntityType, "2", "System Object")},
                 {"role", coding(kObjectRole, "13", "Security Resource")},
                 {"detail", std::move(detail)}};
  Json entities = Json::array({std::move(record)});
  // What a look at the log or an export of it asked for, and BALP's transaction.
  const auto said = body.object("detail");
  if (const auto filter = said ? said->spelled("filter") : std::string_view(); !filter.empty()) {
    const std::span<const char> asked(filter);
    entities.push_back(
        {{"type", coding(kEntityType, "2", "System Object")},
         {"role", coding(kObjectRole, "24", "Query")},
         {"query", store::base64(std::vector<std::uint8_t>(asked.begin(), asked.end()))}});
  }
  if (const auto request = body.integer("request_id")) {
    const std::string number = body.text("boot_id").value_or("") + "-" + std::to_string(*request);
    entities.push_back({{"what", identifier("request", number)},
                        {"type", coding(kBalpEntity, "XrequestId", "X-Request-Id")}});
  }
  for (const char* kind : {"room", "object"}) {
    const auto id = body.text(kind);
    if (!id) continue;
    entities.push_back({{"what", identifier(kind, *id)},
                        {"type", coding(kEntityType, "2", "System Object")},
                        {"role", coding(kObjectRole, "4", "Domain Resource")}});
  }
  return entities;
}

std::string fhir_line(const std::string& origin, std::string_view text) {
  const auto body = CanonicalObject::parse(text);
  if (!body) return {};
  const std::string type = body->text("type").value_or("");
  const FhirCoding* codes = fhir_coding_of(type);
  Json event{{"resourceType", "AuditEvent"}};
  event["id"] = "bedside-" + std::to_string(body->integer("seq").value_or(0));
  event["type"] = codes != nullptr ? coding(kDcm, codes->type, codes->type_name)
                                   : coding(kDcm, "110100", kActivity);
  event["subtype"] = Json::array();
  if (codes != nullptr && !codes->subtype.empty()) {
    const bool dicom = codes->subtype.front() == '1';
    event["subtype"].push_back(
        coding(dicom ? kDcm : kLifecycle, codes->subtype, codes->subtype_name));
  }
  event["subtype"].push_back(coding(kOurTypes, type, ""));
  event["action"] = std::string(1, codes != nullptr ? codes->action : 'E');
  event["recorded"] = utc_instant(body->integer("t_wall_us").value_or(0));
  event["outcome"] = outcome_code(body->text("outcome").value_or(""));
  if (const auto reason = body->text("reason")) event["outcomeDesc"] = *reason;
  if (const auto purpose = body->text("purpose")) {
    // Ours are codes of HL7 v3's ActReason.
    event["purposeOfEvent"] =
        Json::array({{{"coding", Json::array({coding(kActReason, *purpose, "")})}}});
  }
  event["agent"] = Json::array({agent_of(*body)});
  event["source"] = {{"site", "Bedside"},
                     {"observer", identifier("log", origin)},
                     {"type", Json::array({coding(kSourceType, "4", "Application Server")})}};
  event["entity"] = entities_of(*body, text);
  return event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

const FhirCoding* fhir_coding_of(std::string_view type) {
  const FhirCoding* best = nullptr;
  for (const FhirCoding& each : kCodings) {
    const bool longer = best == nullptr || each.prefix.size() > best->prefix.size();
    if (longer && type.starts_with(each.prefix)) best = &each;
  }
  return best;
}

store::Rendering audit_fhir(std::string origin) {
  return {"audit-events.ndjson", "",
          [origin = std::move(origin)](std::string_view body) { return fhir_line(origin, body); }};
}

}  // namespace bedside::server
