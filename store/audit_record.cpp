#include "store/audit_record.h"

namespace bedside::store {
namespace {

constexpr int kBodyVersion = 1;

JsonObject actor_object(const Actor& actor) {
  JsonObject object;
  object.set_if("auth", actor.auth).set_if("id", actor.id);
  object.set_if("kind", actor.kind).set_if("role", actor.role);
  return object;
}

JsonObject where_object(const Where& where) {
  JsonObject object;
  object.set_if("ip", where.ip_commitment).set_if("ip_class", where.ip_class);
  object.set_if("ip_prefix", where.ip_prefix).set_if("listener", where.listener);
  return object;
}

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
  JsonObject body;  // in the order of the keys, which spares moving fields
  if (const JsonObject actor = actor_object(record.actor); !actor.empty()) body.set("actor", actor);
  body.set_if("boot_id", stamp.boot_id).set_if("build", stamp.build);
  if (!record.detail.empty()) body.set("detail", record.detail);
  if (stamp.late) body.set("late", 1);
  body.set_if("object", record.object).set("outcome", to_string(record.outcome));
  body.set_if("purpose", record.purpose).set_if("reason", record.reason);
  if (record.request_id != 0) body.set("request_id", record.request_id);
  body.set_if("room", record.room).set("seq", stamp.seq).set_if("session", record.session);
  body.set("t_boot_us", stamp.boot.count()).set("t_wall_us", stamp.wall.count());
  body.set("type", record.type).set("v", kBodyVersion);
  if (const JsonObject where = where_object(record.where); !where.empty()) body.set("where", where);
  return body.text();
}

}  // namespace bedside::store
