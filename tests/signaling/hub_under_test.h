// A hub with fake time, a fake issuer and a fake store, driven with JSON as clients would.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "signaling/hub.h"

namespace bedside::signaling {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Counts instead of drawing lots: "p1", "token-1"…
class FakeIssuer : public Issuer {
 public:
  std::string participant_id() override { return "p" + std::to_string(++participants_); }
  std::string token() override { return "token-" + std::to_string(++tokens_); }
  TokenHash hash(std::string_view token) const override {
    TokenHash hash{};
    for (std::size_t i = 0; i < token.size(); ++i) {
      hash[i % hash.size()] = static_cast<std::uint8_t>(hash[i % hash.size()] * 31 + token[i]);
    }
    return hash;
  }
  IceGrant ice_grant(std::string_view room, std::string_view participant, const Now& now) override {
    const auto expires = now.wall + seconds{600};
    const Json servers = {{{"urls", {"turn:127.0.0.1:3478"}},
                           {"username", std::to_string(expires.count() / 1000) + ":" +
                                            std::string(room) + ":" + std::string(participant)},
                           {"credential", "secret"}}};
    return {servers.dump(), expires};
  }

 private:
  int participants_ = 0;
  int tokens_ = 0;
};

struct Reply {
  int status = 0;
  Json body;
  std::optional<seconds> retry_after;
};

struct Closed {
  int code = 0;
  std::string reason;
};

class HubUnderTest {
 public:
  explicit HubUnderTest(const Limits& limits = {}, Access access = Access::open)
      : hub(limits, access, issuer) {}

  // ---- the store: commits succeed at once, fail at once, only in an emergency, or wait for
  // `decide`
  enum class Store { commits, refuses, journals, holds };
  Store store = Store::commits;
  std::vector<CommitNeeded> commits;  // all that were asked for
  std::deque<CommitNeeded> held;
  std::vector<Noted> noted;

  void decide(std::size_t index, bool ok) {
    const CommitId id = held.at(index).id;
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(index));
    hub.committed(id, ok, now);
    pump();
  }
  void decide_all(bool ok = true) {
    while (!held.empty()) decide(0, ok);
  }

  // ---- time
  Now now{milliseconds{1'000'000}, milliseconds{1'704'067'200'000}};
  void advance(milliseconds by) {
    const milliseconds target = now.mono + by;
    while (true) {
      const auto next = hub.next_deadline();
      if (!next || *next > target) break;
      const milliseconds step = std::max(*next - now.mono, milliseconds{0});
      now.mono += step;
      now.wall += step;
      hub.expire(now);
      pump();
      if (step.count() == 0 && ++idle_steps_ > 10'000) {
        ADD_FAILURE() << "deadlines do not move";
        return;
      }
    }
    now.wall += target - now.mono;
    now.mono = target;
  }

  // ---- HTTP
  RequestId post_text(std::string_view body) {
    const RequestId id = ++last_request_;
    auto action = parse_action(body);
    if (!action) {
      replies[id] = {action.error().status, Json::parse(action.error().body), std::nullopt};
      return id;
    }
    hub.request(id, std::move(*action), caller(), now);
    pump();
    return id;
  }
  RequestId post(const Json& body) { return post_text(body.dump()); }
  Reply ask(const Json& body) { return reply(post(body)); }
  Reply reply(RequestId id) {
    const auto it = replies.find(id);
    if (it == replies.end()) {
      ADD_FAILURE() << "no answer to request " << id;
      return {};
    }
    return it->second;
  }
  bool answered(RequestId id) const { return replies.count(id) > 0; }
  Reply get(const std::string& room) {
    const RequestId id = ++last_request_;
    hub.request(id, GetRoom{room}, caller(), now);
    pump();
    return reply(id);
  }
  std::size_t count(const std::string& room) {
    return get(room).body["room"]["participantCount"].get<std::size_t>();
  }

  void create(const std::string& room) {
    ASSERT_EQ(ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", room}}).status,
              200);
  }
  struct Person {
    std::string room;
    std::string id;
    std::string token;
  };
  Person join(const std::string& room, const std::string& name) {
    const Reply reply = ask({{"action", "join-room"}, {"roomId", room}, {"participantName", name}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    return {room, reply.body.value("participantId", ""), reply.body.value("participantToken", "")};
  }

  // ---- WebSocket
  SocketId open() {
    const SocketId id = ++last_socket_;
    EXPECT_TRUE(hub.socket_opened(id, caller(), now));
    return id;
  }
  void say_text(SocketId socket, std::string_view text) {
    hub.socket_message(socket, text, now);
    pump();
  }
  void say(SocketId socket, const Json& message) { say_text(socket, message.dump()); }
  void hang_up(SocketId socket) {
    hub.socket_closed(socket, now);
    pump();
  }
  // A client of section 1: no token.
  SocketId attach_old(const Person& who, const std::string& name = "") {
    const SocketId socket = open();
    Json message{{"type", "join"}, {"roomId", who.room}, {"peerId", who.id}};
    if (!name.empty()) message["peerName"] = name;
    say(socket, message);
    return socket;
  }
  SocketId attach(const Person& who, std::optional<std::uint64_t> after = std::nullopt) {
    const SocketId socket = open();
    Json message{{"type", "join"}, {"roomId", who.room}, {"peerId", who.id}, {"token", who.token}};
    if (after) message["after"] = *after;
    say(socket, message);
    return socket;
  }
  // What the socket has received since the last call.
  std::vector<Json> heard(SocketId socket) { return std::exchange(inbox[socket], {}); }
  std::vector<std::string> types(SocketId socket) { return types(heard(socket)); }
  static std::vector<std::string> types(const std::vector<Json>& messages) {
    std::vector<std::string> result;
    result.reserve(messages.size());
    for (const Json& message : messages) result.push_back(message.value("type", "?"));
    return result;
  }
  static std::vector<std::string> types(const Json& messages) {
    return types(messages.get<std::vector<Json>>());
  }
  std::optional<Closed> closed(SocketId socket) const {
    const auto it = closed_.find(socket);
    return it == closed_.end() ? std::nullopt : std::optional(it->second);
  }

  // ---- long poll
  RequestId poll(const Person& who, std::uint64_t after, int wait = 25) {
    return post({{"action", "poll"},
                 {"roomId", who.room},
                 {"participantId", who.id},
                 {"token", who.token},
                 {"after", after},
                 {"wait", wait}});
  }
  Reply signal(const Person& who, const Json& message) {
    return ask({{"action", "signal"},
                {"roomId", who.room},
                {"participantId", who.id},
                {"token", who.token},
                {"message", message}});
  }

  Caller caller() const {
    Caller caller;
    caller.request_id = last_request_;
    caller.listener = "http";
    caller.address = "127.0.0.1";
    return caller;
  }

  // A socket named here is not read: its messages stay in the hub.
  std::set<SocketId> stuck;

  void pump() {
    while (true) {
      const std::vector<Output> outputs = hub.outputs();
      if (outputs.empty()) return;
      for (const Output& output : outputs) {
        std::visit([this](const auto& what) { perform(what); }, output);
      }
    }
  }

  FakeIssuer issuer;
  Hub hub;
  std::map<RequestId, Reply> replies;
  std::map<SocketId, std::vector<Json>> inbox;
  std::set<std::string> live;
  std::vector<std::string> order;  // "commit", "live p1", "gone p1", "answer 200", "message"…
  int misuse = 0;

 private:
  void perform(const CommitNeeded& commit) {
    commits.push_back(commit);
    order.emplace_back("commit");
    if (store == Store::holds) {
      held.push_back(commit);
    } else {
      const bool journaled = store == Store::journals && (commit.keep || commit.emergency);
      hub.committed(commit.id, store == Store::commits || journaled, now);
    }
  }
  void perform(const Answer& answer) {
    EXPECT_EQ(replies.count(answer.request), 0U) << "answered twice";
    order.push_back("answer " + std::to_string(answer.status));
    replies[answer.request] = {answer.status, Json::parse(answer.body), answer.retry_after};
  }
  void perform(const SocketReady& ready) {
    if (stuck.count(ready.socket) > 0) return;
    while (true) {
      const auto texts = hub.take(ready.socket, 4096);
      if (texts.empty()) return;
      for (const std::string& text : texts) receive(ready.socket, text);
    }
  }
  void perform(const CloseSocket& close) {
    for (const std::string& text : close.farewell) receive(close.socket, text);
    closed_[close.socket] = {close.code, close.reason};
    order.push_back("close " + std::to_string(close.code));
  }
  void perform(const ParticipantLive& live_now) {
    live.insert(live_now.participant);
    order.push_back("live " + live_now.participant);
  }
  void perform(const ParticipantGone& gone) {
    live.erase(gone.participant);
    order.push_back("gone " + gone.participant);
  }
  void perform(const Misuse&) { ++misuse; }
  void perform(const Noted& what) { noted.push_back(what); }
  void receive(SocketId socket, const std::string& text) {
    order.emplace_back("message");
    inbox[socket].push_back(Json::parse(text));
  }

  RequestId last_request_ = 0;
  SocketId last_socket_ = 0;
  int idle_steps_ = 0;
  std::map<SocketId, Closed> closed_;
};

}  // namespace bedside::signaling
