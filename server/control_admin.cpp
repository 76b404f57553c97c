// What the admin API asks: rooms as the hub knows them, changed through the hub like by anybody
// else.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/control_impl.h"
#include "server/local_user.h"

namespace bedside::server {

void name_actor(const AdminActor& by, signaling::Caller& caller) {
  caller.actor_kind = by.local ? "operator" : "user";
  caller.actor_id = by.account;
  caller.actor_role = by.role;
  caller.actor_auth = by.local ? "local" : "session";
  caller.actor_session = by.session;
}

namespace {

// `request`: names it in the audit log.
signaling::Caller caller_of(const AdminActor& by, const RequestContext& context,
                            std::uint64_t request) {
  signaling::Caller caller;
  caller.request_id = request;
  caller.listener = by.local ? kLocalListener : context.listener;
  if (!context.listener.empty()) caller.address = context.client.address.to_string();
  name_actor(by, caller);
  return caller;
}

// The sentence of `{success:false,error:…}`.
AdminRefusal refusal_of(const signaling::Answer& answer) {
  AdminRefusal refusal{answer.status, "The request failed",
                       answer.retry_after.value_or(std::chrono::seconds{0})};
  const auto json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("error") && json["error"].is_string()) {
    refusal.error = json["error"].get<std::string>();
  }
  return refusal;
}

std::string link_of(const nlohmann::json& body, const char* key) {
  const auto it = body.find(key);
  return it != body.end() && it->is_string() ? it->get<std::string>() : std::string();
}

AdminPerson person_of(const signaling::PersonView& view, bool has_allocation) {
  AdminPerson person;
  person.participant = view.id;
  person.role = view.role == signaling::Role::host ? "host" : "guest";
  person.since = view.since_wall;
  person.connected =
      view.presence == signaling::Presence::here ||
      (view.presence == signaling::Presence::away && view.transport == signaling::Transport::poll);
  if (!person.connected) return person;
  // What the person's browser says; of a page that says nothing, an allocation is what we know.
  const bool relayed = view.relayed.value_or(has_allocation);
  person.path = relayed ? AdminPerson::Path::relayed : AdminPerson::Path::direct;
  return person;
}

}  // namespace

std::vector<AdminRoom> Control::Impl::rooms() const {
  std::vector<AdminRoom> rooms;
  for (const signaling::RoomView& view : hub_.rooms()) {
    if (!view.active) continue;
    AdminRoom room;
    room.room = view.id;
    room.appointment_json = view.appointment;
    // The secret of an invitation is not known here any more.
    if (options_.access == signaling::Access::open) room.link = signaling::visit_link(view.id);
    room.created = view.created_wall;
    for (const signaling::PersonView& person : view.people) {
      room.people.push_back(person_of(person, visits_.relayed(person.id)));
    }
    rooms.push_back(std::move(room));
  }
  return rooms;
}

void Control::Impl::create_room(const RoomWish& wish, const AdminActor& by,
                                const RequestContext& context, Created done) {
  // The same door as for everybody: the rules about names and appointments are in one place.
  nlohmann::json body{{"action", "create-room"}};
  body["appointmentId"] =
      nlohmann::json::parse(wish.appointment_json, nullptr, /*allow_exceptions=*/false);
  if (body["appointmentId"].is_discarded()) body["appointmentId"] = nullptr;
  if (!wish.room_name.empty()) body["roomName"] = wish.room_name;
  auto action =
      signaling::parse_action(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  if (!action) {
    return done(tl::unexpected(refusal_of({0, action.error().status, action.error().body, {}})));
  }
  const std::string id = std::get<signaling::CreateRoom>(*action).room;
  const bool existed = hub_.room(id).has_value();
  ask_hub(std::move(*action), caller_of(by, context, number_of(context)), ++next_request_,
          [id, existed, done = std::move(done)](const signaling::Answer& answer,
                                                const std::string& receipt) {
            if (answer.status != 200) {
              return done(tl::unexpected(refusal_of(answer)));
            }
            const auto made = nlohmann::json::parse(answer.body, nullptr, false);
            CreatedRoom room{id,     link_of(made, "link"), link_of(made, "hostLink"), existed, {},
                             receipt};
            if (!room.host_link.empty()) {
              room.expires = std::chrono::milliseconds(made.value("expiresAt", std::int64_t{0}));
            }
            done(room);
          });
}

void Control::Impl::end_room(const std::string& room, const AdminActor& by,
                             const RequestContext& context, Ended done) {
  ask_hub(signaling::EndRoom{room, signaling::EndReason::admin},
          caller_of(by, context, number_of(context)), ++next_request_,
          [done = std::move(done)](const signaling::Answer& answer, const std::string& receipt) {
            if (answer.status != 200) {
              return done(tl::unexpected(refusal_of(answer)));
            }
            done(receipt);
          });
}

}  // namespace bedside::server
