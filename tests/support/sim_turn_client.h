// The media half of a simulated participant: one allocation over a network that loses, repeats and
// reorders, used towards the relayed and direct addresses of the others. It goes on trying
// everything after its participant has left: nothing of it may work then.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/seeded_random.h"
#include "tests/support/sim_agenda.h"
#include "tests/support/sim_server.h"
#include "tests/support/turn_wire.h"

namespace bedside::sim {

struct IceLogin {
  std::string username;
  std::string password;
};

class SimTurnClient {
 public:
  SimTurnClient(SimServer& server, Agenda& agenda, testing_support::SeededRandom& random,
                std::uint16_t number, IceLogin login);

  void renew(IceLogin login) { login_ = std::move(login); }
  // Addresses of another participant, as they come by signaling.
  void learn(const stun::Endpoint& peer);
  void step();
  void on_packet(const stun::Endpoint& to, const Packet& packet);

  bool owns(const stun::Endpoint& address) const {
    return address == client_ || address == direct_;
  }
  const std::optional<stun::Endpoint>& relayed() const { return relayed_; }
  const stun::Endpoint& direct() const { return direct_; }
  std::size_t received() const { return received_; }

 private:
  using Then = std::function<void(const turn::testing::Reply&)>;
  struct Transaction {
    stun::TransactionId id{};
    stun::Method method{};
    turn::testing::Fill fill;
    Packet packet;
    Then then;
    int sent = 0;
    bool again = false;  // with a fresh nonce
  };

  void ask(stun::Method method, turn::testing::Fill fill, Then then, bool again = false);
  void transmit();
  void on_reply(const turn::testing::Reply& reply);
  void allocate();
  void refresh();
  void bind();
  void permit();
  void data();
  void move();  // another port, as behind a NAT that forgot us
  void lost();
  const stun::Endpoint& any_peer();

  SimServer& server_;
  Agenda& agenda_;
  testing_support::SeededRandom& random_;
  stun::Endpoint client_;
  stun::Endpoint direct_;
  IceLogin login_;
  std::optional<turn::testing::Signer> signer_;
  std::optional<Transaction> pending_;
  std::optional<stun::Endpoint> relayed_;
  std::map<std::uint16_t, stun::Endpoint> channels_;
  std::uint16_t next_channel_ = 0x4000;
  std::vector<stun::Endpoint> peers_;
  std::size_t payloads_ = 0;
  std::size_t received_ = 0;
};

}  // namespace bedside::sim
