// A simulated page: joins over HTTP, attaches by WebSocket or long poll, changes between them,
// loses connections, comes back with `after`, says things to the others, leaves or vanishes. It
// keeps to the protocol and checks that the server does.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/seeded_random.h"
#include "tests/support/sim_agenda.h"
#include "tests/support/sim_mail.h"
#include "tests/support/sim_server.h"
#include "tests/support/sim_turn_client.h"

namespace bedside::sim {

// What all pages of a simulated visit share.
struct Street {
  SimServer& server;
  Agenda& agenda;
  testing_support::SeededRandom& random;
  Mail& mail;
  std::vector<std::unique_ptr<SimTurnClient>>& turn_clients;
};

class SimClient {
 public:
  // A client of protocol section 1 knows no token and no `after`: WebSocket only.
  enum class Kind { modern, section_1 };

  SimClient(const Street& street, std::string room, std::string name, Kind kind)
      : street_(street), room_(std::move(room)), name_(std::move(name)), kind_(kind) {}
  SimClient(const SimClient&) = delete;
  SimClient& operator=(const SimClient&) = delete;

  void step();       // something that people, pages and networks do
  void come_back();  // by a fresh WebSocket
  void leave();
  void say();
  void join();

  bool joined() const { return !id_.empty(); }
  bool connected() const { return socket_ != 0 && ready_; }
  const std::string& id() const { return id_; }
  const std::string& room() const { return room_; }
  const std::set<std::string>& roster() const { return roster_; }

 private:
  struct Said {
    std::uint64_t seq = 0;
    Json message;
  };

  bool modern() const { return kind_ == Kind::modern; }
  Json request(const char* action) const;
  void on_joined(const Json& body);
  void create_room();
  void end_room();
  void renew_ice();
  void attach_socket(bool resume);
  void attach_poll();
  void send_poll();
  void on_polled(int status, const Json& body);
  void drop_transports();
  void give_up_unheard();
  void vanish();
  void forget();
  void flush();
  void flush_by_socket();
  void flush_by_signal();
  void acknowledge(std::uint64_t seq);
  void on_message(const Json& message);
  void on_roster(const Json& message);
  void on_forwarded(const Json& message);
  void on_socket_closed(int code);
  void check_reset(const std::string& type) const;
  milliseconds below(std::size_t limit) { return milliseconds{street_.random.below(limit)}; }

  Street street_;
  std::string room_;
  const std::string name_;
  const Kind kind_;
  std::string id_;
  std::string token_;
  SimTurnClient* media_ = nullptr;
  bool joining_ = false;
  bool leaving_ = false;

  SimServer::SocketId socket_ = 0;
  bool polling_ = false;
  std::uint64_t ticket_ = 0;      // of the poll under way
  std::uint64_t transports_ = 0;  // counts them; words of an older one are not listened to
  bool ready_ = false;            // the server has said what it knows of us
  std::uint64_t after_ = 0;
  bool attached_once_ = false;
  std::set<std::string> roster_;
  milliseconds silent_until_{0};

  std::deque<Said> outgoing_;
  std::uint64_t next_seq_ = 1;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t sent_up_to_ = 0;  // on this socket
  bool signalling_ = false;
  std::size_t signals_in_flight_ = 0;

  bool fresh_attach_ = false;        // attached without `after`, and not heard the answer yet
  milliseconds forgetful_until_{0};  // an old attach of ours may still arrive
  milliseconds polled_at_{0};
  milliseconds lost_since_{0};    // 0: not
  unsigned kills_at_attach_ = 0;  // of the transport in use
  unsigned kills_seen_ = 0;       // at the last word from the server
};

}  // namespace bedside::sim
