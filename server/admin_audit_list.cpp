#include "server/admin_audit_list.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "server/admin_api.h"
#include "server/audit_types.h"
#include "server/room_filter.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxRoomChars = 255;
constexpr std::int64_t kMaxMilliseconds = 253'402'300'800'000;  // the year 10000

std::optional<std::uint64_t> whole_number(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

// The beginning of a type that exists: the filter is recorded, and people type anything.
bool is_type(std::string_view text) {
  return std::any_of(audit_type::kAll.begin(), audit_type::kAll.end(),
                     [&](std::string_view type) { return type.starts_with(text); });
}

std::optional<store::Outcome> outcome_from(std::string_view text) {
  for (const store::Outcome outcome : {store::Outcome::ok, store::Outcome::denied,
                                       store::Outcome::failed, store::Outcome::aborted}) {
    if (store::to_string(outcome) == text) return outcome;
  }
  return std::nullopt;
}

// Calls `set` with the parameter when it is there and not empty; false when `set` refuses it.
template <typename Set>
bool parameter(const net::HttpRequest& request, std::string_view name, Set set) {
  const auto value = request.query_value(name);
  return !value || value->empty() || set(*value);
}

bool instant(const std::string& text, std::optional<std::chrono::microseconds>& out) {
  const auto value = whole_number(text, kMaxMilliseconds);
  if (!value) return false;
  out = std::chrono::milliseconds(static_cast<std::int64_t>(*value));
  return true;
}

// What a worker read.
struct Page {
  bool readable = false;
  std::string room;  // that was asked for
  std::vector<store::AuditRow> rows;
  std::uint64_t next = 0;
};

Page read_page(const std::string& database, const AuditTrail& trail,
               const AuditQuestion& question) {
  Page page;
  store::AuditQuery query = question.query;
  const std::size_t wanted = query.limit;
  query.limit = wanted + 1;  // one more tells whether there is another page
  const auto reader = store::Reader::open(database);
  if (!reader) return page;
  query.room = page.room = room_filter(trail, *reader, question.room);
  auto rows = reader->audit(query);
  if (!rows) return page;
  page.readable = true;
  page.rows = std::move(*rows);
  if (page.rows.size() > wanted) {
    page.rows.resize(wanted);
    page.next = page.rows.back().seq;
  }
  return page;
}

}  // namespace

AuditQuestion parse_audit_question(const net::HttpRequest& request) {
  AuditQuestion question;
  store::AuditQuery& query = question.query;
  query.limit = kDefaultAuditPage;
  const auto check = [&](std::string_view name, auto set) {
    if (!parameter(request, name, set) && question.complaint.empty()) question.complaint = name;
  };
  check("from", [&](const std::string& text) { return instant(text, query.from); });
  check("to", [&](const std::string& text) { return instant(text, query.to); });
  check("type", [&](const std::string& text) {
    query.type_prefix = text;
    return is_type(text);
  });
  check("room", [&](const std::string& text) {
    question.room = text;
    return text.size() <= kMaxRoomChars;
  });
  check("outcome", [&](const std::string& text) {
    query.outcome = outcome_from(text);
    return query.outcome.has_value();
  });
  check("before", [&](const std::string& text) {
    const auto key = whole_number(text, INT64_MAX);
    query.before_seq = key.value_or(0);
    return query.before_seq != 0;
  });
  check("limit", [&](const std::string& text) {
    const auto limit = whole_number(text, store::kMaxAuditPage - 1);
    query.limit = std::max<std::size_t>(1, limit.value_or(1));
    return limit.has_value();
  });
  if (query.from && query.to && *query.to <= *query.from) question.complaint = "to";
  return question;
}

AdminAuditList::AdminAuditList(std::string database, AuditTrail& trail, Recorder& recorder,
                               WorkerPool& workers)
    : database_(std::move(database)), trail_(trail), recorder_(recorder), workers_(workers) {}

void AdminAuditList::show(const net::HttpRequest& request, const AuditStaff& staff,
                          const SessionView& session, const RequestContext& context,
                          const Respond& respond) {
  const AuditQuestion question = parse_audit_question(request);
  if (!question.complaint.empty()) {
    return respond(
        admin_refusal(400, "bad-filter", "This filter cannot be used: " + question.complaint));
  }
  const auto busy = [] {
    return admin_refusal(503, "busy", "The log cannot be read right now. Please try again.",
                         std::chrono::seconds(3));
  };
  const auto work = [this, question] { return read_page(database_, trail_, question); };
  const AuditSource source{context.request_id, context.listener, context.client.address};
  const auto done = [this, respond, busy, source, session,
                     viewed = AuditViewed{staff, question.query, 0}](Page page) mutable {
    if (!page.readable) return respond(busy());
    viewed.rows = page.rows.size();
    viewed.query.room = page.room;
    recorder_.record(
        trail_.commit(AdminAction{viewed}, source),
        [respond, session, page = std::move(page)](store::CommitStatus status) {
          if (status == store::CommitStatus::committed) {
            return respond(admin_audit(page.rows, page.next, audit_type::kAll, session));
          }
          respond(admin_not_recorded(
              "The look at the log cannot be recorded right now, so nothing is shown."));
        });
  };
  if (!workers_.run(work, done)) respond(busy());
}

}  // namespace bedside::server
