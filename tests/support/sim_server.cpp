#include "tests/support/sim_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "signaling/limits.h"

namespace bedside::sim {
namespace {

using namespace signaling;  // the hub's outputs

}  // namespace

TokenHash SimIssuer::hash(std::string_view token) const {
  TokenHash hash{};
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::uint8_t& byte = hash[i % hash.size()];
    byte = static_cast<std::uint8_t>(byte * 31 + token[i]);
  }
  return hash;
}

IceGrant SimIssuer::ice_grant(std::string_view, std::string_view participant, const Now& now) {
  const turn::Now relay_now{now.mono, std::chrono::duration_cast<seconds>(now.wall)};
  const auto issued =
      credentials_.issue_for_participant("room", participant, relay_now, seconds{600});
  const Json servers = {{{"urls", {"turn:198.41.0.4:3478"}},
                         {"username", issued->username},
                         {"credential", issued->password}}};
  return {servers.dump(), issued->expires_wall};
}

SimServer::SimServer(Agenda& agenda, testing_support::SeededRandom& random,
                     std::size_t max_participants)
    : store(agenda, random, [this](const CommitNeeded& commit, bool ok) { verdict(commit, ok); }),
      weather(random),
      agenda_(agenda),
      random_(random),
      relay_(agenda, random.word(), [this](const std::string& who) { return in_room(who); }),
      issuer_(relay_.credentials()) {
  limits_.max_participants = max_participants;
  hub_ = std::make_unique<Hub>(limits_, Access::open, issuer_);
}

Caller SimServer::caller() {
  Caller caller;
  caller.listener = "http";
  caller.address = "127.0.0.1";
  return caller;
}

// ---- HTTP

std::uint64_t SimServer::post(const Json& body, OnAnswer on_answer) {
  const std::uint64_t ticket = ++last_id_;
  waiting_[ticket] = std::move(on_answer);
  if (weather.chance(30)) {
    agenda_.after(milliseconds{random_.below(3'000)}, [=, this] { answer_client(ticket, 0, {}); });
    return ticket;
  }
  const auto deliver = [this, body, life = life_](std::uint64_t to) {
    return [this, body, life, to] {
      if (life == life_) return arrive(to, body);
      if (to != 0) answer_client(to, 0, {});
    };
  };
  agenda_.after(weather.flight(), deliver(ticket));
  if (weather.chance(25)) agenda_.after(weather.flight(), deliver(0));
  return ticket;
}

void SimServer::abandon(std::uint64_t ticket) {
  if (waiting_.erase(ticket) == 0 || random_.one_in(3)) return;  // the server may never learn it
  agenda_.after(weather.flight(), [this, ticket, life = life_] {
    if (life != life_) return;
    for (auto& [id, request] : requests_) {
      if (request.ticket != ticket) continue;
      request.gone = true;
      if (request.is_poll()) saw(request.body["participantId"]);
      hub_->request_gone(id, agenda_.hub_now());
      return pump();
    }
  });
}

void SimServer::arrive(std::uint64_t ticket, const Json& body) {
  const RequestId id = ++last_id_;
  requests_[id] = {ticket, body, agenda_.now()};
  auto action = parse_action(body.dump());
  if (!action) {
    requests_.erase(id);
    ADD_FAILURE() << "the simulation sent a bad request: " << body;
    return;
  }
  hub_->request(id, std::move(*action), caller(), agenda_.hub_now());
  pump();
}

void SimServer::perform(const Answer& answer) {
  const auto it = requests_.find(answer.request);
  if (it == requests_.end()) {
    ADD_FAILURE() << "request " << answer.request << " answered twice";
    return;
  }
  const Request request = std::move(it->second);
  requests_.erase(it);
  if (request.is_poll()) saw(request.body["participantId"]);
  Json body = Json::parse(answer.body);
  check_answer(request, answer.status, body);
  if (request.ticket == 0) return;
  const bool lost = weather.chance(30);
  agenda_.after(weather.flight(),
                [this, ticket = request.ticket, status = lost ? 0 : answer.status,
                 body = std::move(body)] { answer_client(ticket, status, body); });
}

void SimServer::answer_client(std::uint64_t ticket, int status, Json body) {
  auto waiting = waiting_.extract(ticket);
  if (!waiting.empty()) waiting.mapped()(status, body);
}

// ---- WebSocket

SimServer::SocketId SimServer::open(SocketEnds ends) {
  const SocketId id = ++last_id_;
  sockets_[id].ends = std::move(ends);
  EXPECT_TRUE(hub_->socket_opened(id, caller(), agenda_.hub_now()));
  pump();
  return id;
}

void SimServer::say(SocketId id, const Json& message) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  Socket& socket = it->second;
  if (message["type"] == "join") {
    socket.room = message["roomId"];
    socket.participant = message["peerId"];
  }
  socket.up_at = std::max(socket.up_at, agenda_.now() + weather.flight());
  agenda_.after(socket.up_at - agenda_.now(), [this, id, text = message.dump()] {
    const auto found = sockets_.find(id);
    if (found == sockets_.end() || !found->second.up || !found->second.server_knows) return;
    hub_->socket_message(id, text, agenda_.hub_now());
    pump();
  });
}

void SimServer::to_client(Socket& socket, SocketId id, const std::string& text) {
  socket.down_at = std::max(socket.down_at, agenda_.now() + weather.flight());
  agenda_.after(socket.down_at - agenda_.now(), [this, id, text] {
    const auto found = sockets_.find(id);
    if (found != sockets_.end() && found->second.down) {
      found->second.ends.on_message(Json::parse(text));
    }
  });
}

void SimServer::hang_up(SocketId id) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  it->second.ends = {};
  it->second.down = false;
  it->second.up_at = std::max(it->second.up_at, agenda_.now() + weather.flight());
  agenda_.after(it->second.up_at - agenda_.now(), [this, id] { socket_closed(id); });
}

void SimServer::cut(SocketId id) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  it->second.down = false;
  if (random_.one_in(2)) it->second.up = false;
  // The server learns by a reset at once, or by missing pongs; the client by its own time-out.
  const milliseconds late{random_.one_in(2) ? random_.below(300) : random_.below(45'000)};
  agenda_.after(milliseconds{random_.below(4'000)}, [this, id] { tell_closed(id, 1006); });
  agenda_.after(late, [this, id] { socket_closed(id); });
}

void SimServer::tell_closed(SocketId id, int code) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  it->second.up = it->second.down = false;
  const SocketEnds ends = std::exchange(it->second.ends, {});
  if (!it->second.server_knows) sockets_.erase(it);
  if (ends.on_closed) ends.on_closed(code);
}

void SimServer::socket_closed(SocketId id) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end() || !it->second.server_knows) return;
  it->second.server_knows = false;
  it->second.up = false;
  saw(it->second.participant);
  if (!it->second.ends.on_closed) sockets_.erase(it);
  hub_->socket_closed(id, agenda_.hub_now());
  pump();
}

void SimServer::perform(const SocketReady& ready) {
  const auto it = sockets_.find(ready.socket);
  if (it == sockets_.end()) return;
  while (true) {
    const std::vector<std::string> texts = hub_->take(ready.socket, 4096);
    if (texts.empty()) return;
    for (const std::string& text : texts) {
      check_message(it->second.room, it->second.participant, Json::parse(text));
      to_client(it->second, ready.socket, text);
    }
  }
}

void SimServer::perform(const CloseSocket& close) {
  const auto it = sockets_.find(close.socket);
  if (it == sockets_.end()) return;
  Socket& socket = it->second;
  check_refused_join(socket, close.code);
  saw(socket.participant);
  socket.server_knows = false;
  for (const std::string& text : close.farewell) to_client(socket, close.socket, text);
  socket.down_at = std::max(socket.down_at, agenda_.now() + weather.flight());
  agenda_.after(socket.down_at - agenda_.now(),
                [this, id = close.socket, code = int{close.code}] { tell_closed(id, code); });
}

// ---- UDP

void SimServer::send(const stun::Endpoint& from, const stun::Endpoint& to, const Packet& bytes) {
  if (weather.chance(20)) return;
  const auto deliver = [this, from, to, bytes] {
    std::optional<SimRelay::Outgoing> out;
    if (to == SimRelay::address()) {
      out = relay_.from_client(from, bytes);
    } else if (to.address == SimRelay::address().address) {
      out = relay_.from_peer(to, from, std::string(bytes.begin(), bytes.end()));
    } else {
      return on_packet(to, from, bytes);
    }
    if (out) send(out->from, out->to, out->bytes);
  };
  agenda_.after(weather.flight(), deliver);
  if (weather.chance(30)) agenda_.after(weather.flight(), deliver);
}

// ---- what surrounds the hub

void SimServer::pump() {
  if (std::exchange(pumping_, true)) return;
  while (true) {
    const std::vector<Output> outputs = hub_->outputs();
    if (outputs.empty()) break;
    for (const Output& output : outputs) {
      std::visit([this](const auto& what) { perform(what); }, output);
    }
  }
  pumping_ = false;
}

void SimServer::verdict(const CommitNeeded& commit, bool ok) {
  if (ok || commit.keep) {
    rooms_.apply(commit.changes, agenda_.now());
    for (const Change& change : commit.changes) {
      if (const auto* joined = std::get_if<ParticipantJoined>(&change)) {
        room_of_[joined->participant] = joined->room;
      } else if (const auto* detached = std::get_if<ParticipantDetached>(&change)) {
        on_departed(detached->participant);
      } else if (const auto* left = std::get_if<ParticipantLeft>(&change)) {
        on_departed(left->participant);
      }
    }
  }
  // Whoever waited for this commit could not go before.
  if (const RoomFacts* facts = rooms_.room(commit.room)) {
    for (const auto& entry : facts->people) saw(entry.first);
  }
  hub_->committed(commit.id, ok, agenda_.hub_now());
  pump();
}

void SimServer::saw(const std::string& participant) {
  const auto seen = last_seen_.find(participant);
  if (seen != last_seen_.end()) seen->second = std::max(seen->second, agenda_.now());
}

bool SimServer::in_room(const std::string& participant) const {
  const auto it = room_of_.find(participant);
  if (it == room_of_.end()) return false;
  const Person* person = rooms_.person(it->second, participant);
  return person != nullptr && person->counts(agenda_.now());
}

void SimServer::perform(const ParticipantLive& live) { relay_.live().insert(live.participant); }

void SimServer::perform(const ParticipantGone& gone) {
  relay_.live().erase(gone.participant);
  revoke(gone.participant);
}

// Through a mailbox to the relay's thread; when it is full, again within a second.
void SimServer::revoke(const std::string& participant) {
  const bool mailbox_full = random_.one_in(12);
  const milliseconds delay{mailbox_full ? 50 + random_.below(940) : random_.below(50)};
  agenda_.after(delay, [this, participant, mailbox_full, life = life_] {
    if (life != life_) return;
    if (mailbox_full && relay_.live().count(participant) > 0) return;  // came back meanwhile
    relay_.revoke(participant);
  });
}

void SimServer::kill() {
  ++life_;
  killed_at_ = agenda_.now();
  forwarded_ += hub_->stats().forwarded;
  store.kill();
  rooms_ = store.durable();
  // Also joins that reached the disk and were never acknowledged.
  for (const auto& [room, facts] : rooms_.all()) {
    for (const auto& person : facts.people) room_of_[person.first] = room;
  }
  relay_.restart();
  requests_.clear();
  last_seen_.clear();
  for (auto& [id, socket] : sockets_) socket.server_knows = socket.up = socket.down = false;
  for (const auto& entry : std::map(waiting_)) {
    agenda_.after(milliseconds{random_.below(1'000)},
                  [this, ticket = entry.first] { answer_client(ticket, 0, {}); });
  }
  for (const auto& entry : sockets_) {
    agenda_.after(milliseconds{random_.below(1'000)},
                  [this, id = entry.first] { tell_closed(id, 1006); });
  }
  hub_ = std::make_unique<Hub>(limits_, Access::open, issuer_);
  hub_->restore(rooms_.records(), agenda_.hub_now());
  pump();
}

milliseconds SimServer::next_timer() const {
  std::optional<milliseconds> next = hub_->next_deadline();
  const auto relay_next = relay_.next_deadline();
  if (relay_next && (!next || *relay_next < *next)) next = relay_next;
  return next ? *next + milliseconds{1} : milliseconds::max();
}

void SimServer::run_timers() {
  if (const auto at = hub_->next_deadline(); at && *at < agenda_.now()) {
    hub_->expire(agenda_.hub_now());
    pump();
  }
  if (const auto at = relay_.next_deadline(); at && *at < agenda_.now()) relay_.expire();
}

bool SimServer::quiet() const {
  return std::all_of(requests_.begin(), requests_.end(),
                     [](const auto& entry) { return entry.second.is_poll(); });
}

}  // namespace bedside::sim
