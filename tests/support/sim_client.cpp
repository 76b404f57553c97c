#include "tests/support/sim_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

namespace bedside::sim {
namespace {

IceLogin login_in(const Json& body) {
  const Json& server = body["iceServers"].at(0);
  return {server["username"], server["credential"]};
}

bool is_forwarded(const std::string& type) {
  return type == "offer" || type == "answer" || type == "ice-candidate";
}

}  // namespace

// ---- what people and networks do

void SimClient::step() {
  if (street_.agenda.now() < silent_until_ || joining_ || leaving_) return;
  if (!joined()) return join();
  if (media_ != nullptr) media_->step();
  if (socket_ == 0 && !polling_) {
    return modern() && street_.random.one_in(3) ? attach_poll() : attach_socket(true);
  }
  const std::size_t lot = street_.random.below(120);
  if (lot < 60) return say();
  if (lot < 68 && modern()) return polling_ ? attach_socket(true) : attach_poll();
  if (lot < 75 && socket_ != 0) return street_.server.cut(socket_);
  if (lot == 75) return leave();
  if (lot == 76) return vanish();
  if (lot == 77 && street_.random.one_in(10)) return end_room();
  if (lot == 78 && signals_in_flight_ == 0) return attach_socket(false);
  if (lot < 82) return create_room();  // somebody opens the link again
  if (lot < 86 && modern()) return renew_ice();
}

Json SimClient::request(const char* action) const {
  Json body{{"action", action}, {"roomId", room_}, {"participantId", id_}};
  if (modern()) body["token"] = token_;
  return body;
}

void SimClient::join() {
  if (joining_) return;
  joining_ = true;
  street_.server.post({{"action", "join-room"}, {"roomId", room_}, {"participantName", name_}},
                      [this](int status, const Json& body) {
                        joining_ = false;
                        if (status == 200) return on_joined(body);
                        if (status == 404) return create_room();
                        silent_until_ = street_.agenda.now() + below(20'000);
                        // An ended visit stays ended; people agree on another one.
                        if (status == 410) room_ += 'x';
                      });
}

void SimClient::on_joined(const Json& body) {
  id_ = body["participantId"];
  token_ = body["participantToken"];
  street_.turn_clients.push_back(std::make_unique<SimTurnClient>(
      street_.server, street_.agenda, street_.random,
      static_cast<std::uint16_t>(street_.turn_clients.size()), login_in(body)));
  media_ = street_.turn_clients.back().get();
  kills_seen_ = street_.server.kills();
}

void SimClient::create_room() {
  street_.server.post({{"action", "create-room"}, {"appointmentId", 7}, {"roomName", room_}},
                      [](int, const Json&) {});
}

void SimClient::end_room() {
  street_.server.post({{"action", "end-room"}, {"roomId", room_}}, [](int, const Json&) {});
}

void SimClient::renew_ice() {
  street_.server.post(request("ice-servers"), [this, id = id_](int status, const Json& body) {
    if (status == 200 && id == id_ && media_ != nullptr) media_->renew(login_in(body));
  });
}

void SimClient::leave() {
  if (!joined() || leaving_) return;
  leaving_ = true;
  if (socket_ != 0 && street_.random.one_in(2)) {
    street_.server.say(socket_, {{"type", "leave"}, {"roomId", room_}, {"peerId", id_}});
    street_.agenda.after(below(4'000), [this, id = id_] {
      if (id == id_) forget();
    });
    return;
  }
  street_.server.post(request("leave-room"), [this, id = id_](int status, const Json&) {
    if (id != id_) return;
    leaving_ = false;
    if (status == 200 || status == 403 || status == 404 || status == 410) return forget();
  });
}

// Away without a word; maybe back later.
void SimClient::vanish() {
  if (socket_ != 0) street_.server.cut(std::exchange(socket_, 0));
  polling_ = false;
  ticket_ = 0;
  if (lost_since_.count() == 0) lost_since_ = street_.agenda.now();
  silent_until_ = street_.agenda.now() + seconds{5} + below(150'000);
}

// Nothing of the participant is left here; its allocation goes on trying.
void SimClient::forget() {
  leaving_ = false;
  drop_transports();
  street_.mail.forget(id_);
  id_.clear();
  media_ = nullptr;
  after_ = next_seq_ = acknowledged_ = sent_up_to_ = 0;
  next_seq_ = 1;
  attached_once_ = false;
  lost_since_ = milliseconds{0};
  outgoing_.clear();
  roster_.clear();
  silent_until_ = street_.agenda.now() + below(8'000);
}

// ---- transports

void SimClient::drop_transports() {
  if (socket_ != 0) street_.server.hang_up(std::exchange(socket_, 0));
  if (ticket_ != 0) street_.server.abandon(std::exchange(ticket_, 0));
  polling_ = false;
  ready_ = false;
  if (lost_since_.count() == 0) lost_since_ = street_.agenda.now();
}

// An attach nobody waits for any more may still arrive, and makes the server start the session
// afresh: it names less than the client has by then.
void SimClient::give_up_unheard() {
  const bool poll_on_its_way =
      ticket_ != 0 && polled_at_ + milliseconds{2'100} > street_.agenda.now();
  if ((socket_ != 0 && !ready_) || poll_on_its_way) {
    forgetful_until_ = street_.agenda.now() + seconds{30};
  }
}

void SimClient::come_back() {
  silent_until_ = milliseconds{0};
  if (joined() && !leaving_) attach_socket(true);
}

void SimClient::attach_socket(bool resume) {
  give_up_unheard();
  // A page of section 1 has one connection, and opens the next when that one is closed.
  if (modern() && street_.random.one_in(3)) {
    // The new one overtakes the end of the old one.
    if (socket_ != 0) {
      street_.agenda.after(below(2'000), [this, old = socket_] { street_.server.hang_up(old); });
    }
    socket_ = 0;
    ticket_ = 0;
    polling_ = ready_ = false;
    if (lost_since_.count() == 0) lost_since_ = street_.agenda.now();
  } else {
    drop_transports();
  }
  fresh_attach_ = fresh_attach_ || !modern() || !resume || !attached_once_;
  kills_at_attach_ = street_.server.kills();
  SimServer::SocketEnds ends;
  const std::uint64_t epoch = ++transports_;
  ends.on_message = [this, epoch](const Json& message) {
    if (socket_ != 0 && epoch == transports_) on_message(message);
  };
  ends.on_closed = [this, epoch](int code) {
    if (socket_ != 0 && epoch == transports_) on_socket_closed(code);
  };
  socket_ = street_.server.open(std::move(ends));
  Json join{{"type", "join"}, {"roomId", room_}, {"peerId", id_}, {"peerName", name_}};
  if (modern()) join["token"] = token_;
  if (modern() && resume && attached_once_) join["after"] = after_;
  street_.server.say(socket_, join);
}

void SimClient::on_socket_closed(int code) {
  socket_ = 0;
  ready_ = false;
  if (lost_since_.count() == 0) lost_since_ = street_.agenda.now();
  if (code == 4001 || code == 4003 || code == 4004) return forget();
  if (code == 4009) silent_until_ = street_.agenda.now() + below(20'000);
}

void SimClient::attach_poll() {
  give_up_unheard();
  drop_transports();
  polling_ = true;
  fresh_attach_ = fresh_attach_ || !attached_once_;
  send_poll();
}

void SimClient::send_poll() {
  constexpr std::array<int, 3> kWaits{0, 5, 25};
  Json poll = request("poll");
  poll["after"] = after_;
  polled_at_ = street_.agenda.now();
  if (after_ == 0) forgetful_until_ = street_.agenda.now() + seconds{30};
  poll["wait"] = kWaits[street_.random.below(kWaits.size())];
  kills_at_attach_ = street_.server.kills();
  const std::uint64_t epoch = ++transports_;
  ticket_ = street_.server.post(poll, [this, epoch](int status, const Json& body) {
    if (polling_ && epoch == transports_) on_polled(status, body);
  });
}

void SimClient::on_polled(int status, const Json& body) {
  ticket_ = 0;
  if (status == 403 || status == 404 || status == 410) return forget();
  if (status == 409) {
    polling_ = false;
    silent_until_ = street_.agenda.now() + below(20'000);
    return;
  }
  if (status == 200) {
    for (const Json& message : body["messages"]) {
      on_message(message);
      if (!polling_) return;
    }
    EXPECT_EQ(body["next"], after_) << id_ << ": `next` skips what was not delivered";
    after_ = body["next"];
    lost_since_ = milliseconds{0};
    kills_seen_ = kills_at_attach_;
    ready_ = true;
    acknowledge(body["clientSeq"]);
    flush();
  } else if (lost_since_.count() == 0) {
    lost_since_ = street_.agenda.now();
  }
  const std::uint64_t epoch = transports_;
  street_.agenda.after(status == 200 ? below(300) : milliseconds{500} + below(1'500),
                       [this, epoch] {
                         if (polling_ && epoch == transports_) send_poll();
                       });
}

// ---- saying something

void SimClient::say() {
  if (!ready_ || roster_.empty()) return;
  auto target = roster_.begin();
  std::advance(target, street_.random.below(roster_.size()));
  const std::uint64_t number = street_.mail.post({room_, id_}, *target);
  constexpr std::array<std::pair<const char*, const char*>, 3> kTypes{
      {{"offer", "offer"}, {"answer", "answer"}, {"ice-candidate", "candidate"}}};
  const auto& [type, key] = kTypes[street_.random.below(kTypes.size())];
  Json content{{"n", number}};
  if (media_ != nullptr) {
    content["direct"] = media_->direct().to_string();
    if (media_->relayed()) content["relayed"] = media_->relayed()->to_string();
  }
  outgoing_.push_back({next_seq_++,
                       {{"type", type},
                        {"targetPeerId", *target},
                        {"requestId", number},
                        {key, std::move(content)}}});
  flush();
}

void SimClient::flush() {
  if (!ready_ || leaving_) return;
  if (socket_ != 0) return flush_by_socket();
  if (polling_) flush_by_signal();
}

void SimClient::flush_by_socket() {
  for (const Said& said : outgoing_) {
    if (said.seq <= sent_up_to_) continue;
    Json message = said.message;
    if (modern()) message["clientSeq"] = said.seq;
    street_.server.say(socket_, message);
    sent_up_to_ = said.seq;
  }
  if (!modern()) outgoing_.clear();
}

// One at a time: the next when the answer is here.
void SimClient::flush_by_signal() {
  if (signalling_ || outgoing_.empty()) return;
  signalling_ = true;
  ++signals_in_flight_;
  Json signal = request("signal");
  const std::uint64_t seq = outgoing_.front().seq;
  signal["clientSeq"] = seq;
  signal["message"] = outgoing_.front().message;
  street_.server.post(signal, [this, seq, id = id_](int status, const Json& body) {
    signalling_ = false;
    // A repeat may still be on its way.
    street_.agenda.after(seconds{3}, [this] { --signals_in_flight_; });
    if (id != id_) return;
    const bool refused = status == 404 && body["error"] != "Room not found";
    if (status == 200 || refused) {
      acknowledge(seq);
      return flush();
    }
    street_.agenda.after(milliseconds{300} + below(700), [this] { flush(); });
  });
}

void SimClient::acknowledge(std::uint64_t seq) {
  acknowledged_ = std::max(acknowledged_, seq);
  while (!outgoing_.empty() && outgoing_.front().seq <= acknowledged_) outgoing_.pop_front();
}

// ---- what the server says

void SimClient::on_message(const Json& message) {
  const std::string type = message["type"];
  if (!message.contains("seq")) {
    EXPECT_EQ(type, "error") << id_ << ": " << message;
    return;
  }
  if (type == "existing-peers" || type == "resync") return on_roster(message);
  const std::uint64_t seq = message["seq"];
  EXPECT_EQ(seq, after_ + 1) << id_ << ": " << message;
  after_ = seq;
  const std::string peer = message.value("peerId", "");
  if (is_forwarded(type)) return on_forwarded(message);
  if (type == "peer-joined") {
    EXPECT_NE(peer, id_) << "told of its own arrival";
    EXPECT_TRUE(roster_.insert(peer).second) << id_ << ": " << peer << " arrived twice";
  } else if (type == "peer-left") {
    EXPECT_NE(peer, id_) << "told of its own departure";
    EXPECT_EQ(roster_.erase(peer), 1U) << id_ << ": " << peer << " departed twice";
  } else if (type == "resumed") {
    acknowledge(message["clientSeq"]);
    sent_up_to_ = acknowledged_;
    ready_ = true;
    lost_since_ = milliseconds{0};
    kills_seen_ = kills_at_attach_;
    flush();
  } else if (type == "ice-servers") {
    if (media_ != nullptr) media_->renew(login_in(message));
  } else if (type == "room-ended") {
    return forget();
  } else if (type == "error") {
    EXPECT_EQ(message["code"], "unknown-peer") << id_ << ": " << message;
  } else {
    ADD_FAILURE() << id_ << " does not know " << message;
  }
}

void SimClient::on_roster(const Json& message) {
  check_reset(message["type"]);
  after_ = message["seq"];
  roster_.clear();
  for (const Json& peer : message["peers"]) {
    EXPECT_TRUE(roster_.insert(peer.get<std::string>()).second) << message;
    EXPECT_TRUE(message["names"].contains(peer)) << message;
  }
  EXPECT_EQ(roster_.count(id_), 0U) << message;
  street_.mail.excuse_receiver(id_);
  attached_once_ = true;
  if (message["type"] == "resync") return;  // `resumed` or the poll's answer follows
  street_.mail.excuse_sender(id_);
  // A repeat of the request that brought us in looks as if this answer had been lost.
  forgetful_until_ = std::max(forgetful_until_, street_.agenda.now() + seconds{5});
  outgoing_.clear();
  acknowledged_ = sent_up_to_ = next_seq_ - 1;
  ready_ = true;
  fresh_attach_ = false;
  lost_since_ = milliseconds{0};
  kills_seen_ = kills_at_attach_;
}

// Whoever comes back in time is neither a newcomer nor has missed anything.
void SimClient::check_reset(const std::string& type) const {
  const bool killed = kills_seen_ != street_.server.kills() || street_.server.killed_lately();
  // `after:0` says "I know nothing": when that comes late, the server has to believe it.
  if (street_.agenda.now() < forgetful_until_) return;
  if (type == "resync") {
    EXPECT_TRUE(killed) << id_ << " lost messages without a reason";
    return;
  }
  const milliseconds away =
      lost_since_.count() == 0 ? milliseconds{0} : street_.agenda.now() - lost_since_;
  EXPECT_TRUE(fresh_attach_ || killed || away > seconds{18} || street_.server.store.slow_lately())
      << id_ << " came back after " << away.count() << " ms and is taken for a newcomer";
}

void SimClient::on_forwarded(const Json& message) {
  const std::string from = message["fromPeerId"];
  EXPECT_EQ(roster_.count(from), 1U) << id_ << " hears " << from << ", who is not there";
  const std::string type = message["type"];
  const Json& content = message[type == "ice-candidate" ? "candidate" : type];
  street_.mail.receive({room_, id_}, from, content["n"]);
  if (media_ == nullptr) return;
  for (const char* kind : {"direct", "relayed"}) {
    if (content.contains(kind)) {
      media_->learn(turn::testing::endpoint(content[kind].get<std::string>()));
    }
  }
}

}  // namespace bedside::sim
