#include "store/audit_record.h"

namespace bedside::store {
namespace {

constexpr int kBodyVersion = 1;

void write_actor(OrderedJson& body, const Actor& actor) {
  if (actor.auth.empty() && actor.id.empty() && actor.kind.empty() && actor.role.empty()) return;
  OrderedJson object(body.begin("actor"));
  object.text("auth", actor.auth);
  object.text("id", actor.id);
  object.text("kind", actor.kind);
  object.text("role", actor.role);
  object.end();
}

void write_where(OrderedJson& body, const Where& where) {
  if (where.ip_commitment.empty() && where.ip_class.empty() && where.ip_prefix.empty() &&
      where.listener.empty()) {
    return;
  }
  OrderedJson object(body.begin("where"));
  object.text("ip", where.ip_commitment);
  object.text("ip_class", where.ip_class);
  object.text("ip_prefix", where.ip_prefix);
  object.text("listener", where.listener);
  object.end();
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
  constexpr std::size_t kUsualBody = 640;  // bytes
  std::string out;
  out.reserve(kUsualBody);
  OrderedJson body(out);
  write_actor(body, record.actor);
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
  write_where(body, record.where);
  body.end();
  return out;
}

}  // namespace bedside::store
