// The server of a simulated visit: hub, store and relay wired as the real one wires them, behind a
// network that delays, loses and repeats; and what must hold after every step.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "signaling/hub.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_agenda.h"
#include "tests/support/sim_relay.h"
#include "tests/support/sim_store.h"

namespace bedside::sim {

using Json = nlohmann::json;

// Counts instead of drawing lots; survives restarts.
class SimIssuer final : public signaling::Issuer {
 public:
  explicit SimIssuer(const turn::Credentials& credentials) : credentials_(credentials) {}
  std::string participant_id() override { return "p" + std::to_string(++participants_); }
  std::string token() override { return "token-" + std::to_string(++tokens_); }
  signaling::TokenHash hash(std::string_view token) const override;
  signaling::IceGrant ice_grant(std::string_view room, std::string_view participant,
                                const signaling::Now& now) override;

 private:
  const turn::Credentials credentials_;
  int participants_ = 0;
  int tokens_ = 0;
};

// Delays of one kind of path.
class Weather {
 public:
  explicit Weather(testing_support::SeededRandom& random) : random_(random) {}
  milliseconds flight() {
    return milliseconds{random_.one_in(40) ? random_.below(2'000) : 5 + random_.below(80)};
  }
  bool chance(std::size_t one_in) { return !calm && random_.one_in(one_in); }
  bool calm = false;  // nothing is lost or repeated any more

 private:
  testing_support::SeededRandom& random_;
};

class SimServer {
 public:
  using SocketId = signaling::SocketId;
  // Status 0: the answer never came.
  using OnAnswer = std::function<void(int status, const Json& body)>;
  struct SocketEnds {
    std::function<void(const Json&)> on_message;
    std::function<void(int code)> on_closed;
  };

  SimServer(Agenda& agenda, testing_support::SeededRandom& random, std::size_t max_participants);

  // ---- HTTP. A ticket lets a client turn its back on a request.
  std::uint64_t post(const Json& body, OnAnswer on_answer);
  void abandon(std::uint64_t ticket);

  // ---- WebSocket: ordered both ways until it is cut
  SocketId open(SocketEnds ends);
  void say(SocketId socket, const Json& message);
  void hang_up(SocketId socket);  // the client closes it properly
  void cut(SocketId socket);      // the network takes it; both ends find out at some time

  // ---- UDP
  void send(const stun::Endpoint& from, const stun::Endpoint& to, const Packet& bytes);
  std::function<void(const stun::Endpoint& to, const stun::Endpoint& from, const Packet&)>
      on_packet;

  // The hub says no to the message with this number.
  std::function<void(std::uint64_t)> on_refused;

  // Somebody is not in the room any more, or starts afresh.
  std::function<void(const std::string& participant)> on_departed;

  // kill -9 and a start from what was committed.
  void kill();

  milliseconds next_timer() const;  // hub and relay, one tick late as timers are
  void run_timers();
  void check();  // after every step

  FakeStore store;
  Weather weather;
  const Rooms& rooms() const { return rooms_; }
  const SimRelay& relay() const { return relay_; }
  const signaling::Hub& hub() const { return *hub_; }
  // Nobody waits for an answer, except parked polls.
  bool quiet() const;
  unsigned kills() const { return life_; }
  // Repeats of old polls may still make the new process start sessions afresh.
  bool killed_lately() const { return life_ > 0 && agenda_.now() < killed_at_ + seconds{30}; }
  std::uint64_t forwarded() const { return forwarded_; }

 private:
  struct Socket {
    SocketEnds ends;
    std::string room, participant;
    milliseconds up_at{0}, down_at{0};  // when the last message in flight arrives
    bool up = true, down = true;        // whether anything still arrives
    bool server_knows = true;           // the hub has this socket
  };
  struct Request {
    std::uint64_t ticket = 0;  // 0: a repeat, nobody waits
    Json body;
    milliseconds asked{0};
    bool gone = false;  // the hub was told that nobody waits
    bool is_poll() const { return body["action"] == "poll"; }
  };

  void arrive(std::uint64_t ticket, const Json& body);
  void answer_client(std::uint64_t ticket, int status, Json body);
  void to_client(Socket& socket, SocketId id, const std::string& text);
  void socket_closed(SocketId id);
  void tell_closed(SocketId id, int code);
  void pump();
  void perform(const signaling::CommitNeeded& commit) { store.submit(commit); }
  void perform(const signaling::Answer& answer);
  void perform(const signaling::SocketReady& ready);
  void perform(const signaling::CloseSocket& close);
  void perform(const signaling::ParticipantLive& live);
  void perform(const signaling::ParticipantGone& gone);
  void perform(const signaling::Misuse&) {}
  void perform(const signaling::Noted&) {}  // nothing depends on it
  void revoke(const std::string& participant);
  void verdict(const signaling::CommitNeeded& commit, bool ok);
  void check_answer(const Request& request, int status, const Json& body) const;
  void check_message(const std::string& room, const std::string& to, const Json& message) const;
  void check_refused_join(const Socket& socket, int code) const;
  bool full(const std::string& room) const;
  void check_requests() const;
  void check_room(const std::string& id, const RoomFacts& facts);
  void check_transports(const std::string& room, const signaling::RoomView& view);
  bool has_transport(const std::string& participant) const;
  void saw(const std::string& participant);  // with a transport
  bool in_room(const std::string& participant) const;
  static signaling::Caller caller();

  Agenda& agenda_;
  testing_support::SeededRandom& random_;
  signaling::Limits limits_;
  SimRelay relay_;
  SimIssuer issuer_;
  std::unique_ptr<signaling::Hub> hub_;
  Rooms rooms_;  // the reference: every change the hub may have applied
  std::map<std::string, std::string> room_of_;
  std::map<signaling::RequestId, Request> requests_;
  std::map<std::uint64_t, OnAnswer> waiting_;  // by ticket
  std::map<SocketId, Socket> sockets_;
  std::map<std::string, milliseconds> last_seen_;  // by participant: with a transport
  std::uint64_t last_id_ = 0;
  std::uint64_t forwarded_ = 0;
  unsigned life_ = 0;
  milliseconds killed_at_{0};
  bool pumping_ = false;
};

}  // namespace bedside::sim
