#include "store/audit_record.h"

namespace bedside::store {
namespace {

constexpr int kBodyVersion = 1;

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::denied:
      return "denied";
    case Outcome::failed:
      return "failed";
    case Outcome::aborted:
      return "aborted";
  }
  return "failed";
}

std::string audit_body(const AuditRecord& record, const Stamp& stamp) {
  constexpr std::size_t kUsualBody = 640;  // bytes
  std::string out;
  out.reserve(kUsualBody);
  OrderedJson body(out);
  const Actor& actor = record.actor;
  body.texts("actor",
             {{"auth", actor.auth}, {"id", actor.id}, {"kind", actor.kind}, {"role", actor.role}});
  body.text("boot_id", stamp.boot_id);
  body.text("build", stamp.build);
  if (!record.detail.empty()) body.object("detail", record.detail);
  if (stamp.late) body.number("late", 1);
  body.text("object", record.object);
  body.text("outcome", to_string(record.outcome));
  body.text("purpose", record.purpose);
  body.text("reason", record.reason);
  if (record.request_id != 0) body.number("request_id", record.request_id);
  body.text("room", record.room);
  body.number("seq", stamp.seq);
  body.text("session", record.session);
  body.number("t_boot_us", stamp.boot.count());
  body.number("t_wall_us", stamp.wall.count());
  append_quoted(body.begin("type"), record.type);  // always there: a column has it too
  body.number("v", kBodyVersion);
  const Where& where = record.where;
  body.texts("where", {{"ip", where.ip_commitment},
                       {"ip_class", where.ip_class},
                       {"ip_prefix", where.ip_prefix},
                       {"listener", where.listener}});
  body.end();
  return out;
}

}  // namespace bedside::store
