// The relay of a simulated visit with a naive reference beside it: what the relay said yes to, and
// until when. Every verdict about data is compared with the reference, both ways: nothing may pass
// without a live permission, and what has one must pass.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "stun/endpoint.h"
#include "tests/support/sim_agenda.h"
#include "tests/turn/relay_world.h"

namespace bedside::sim {

using turn::testing::Packet;

class SimRelay {
 public:
  // Where a datagram goes from here.
  struct Outgoing {
    stun::Endpoint from;  // what the receiver sees as its source
    stun::Endpoint to;
    Packet bytes;
  };
  // Whether somebody is in a room, by the reference for rooms.
  using InRoom = std::function<bool(const std::string& participant)>;

  SimRelay(Agenda& agenda, std::uint64_t seed, InRoom in_room);

  static const stun::Endpoint& address();  // where clients send to

  std::optional<Outgoing> from_client(const stun::Endpoint& client, const Packet& packet);
  std::optional<Outgoing> from_peer(const stun::Endpoint& relayed, const stun::Endpoint& peer,
                                    std::string_view payload);
  bool is_relayed(const stun::Endpoint& endpoint) const { return world_->ports.contains(endpoint); }

  std::set<std::string, std::less<>>& live() { return world_->participants.live; }
  const turn::Credentials& credentials() const { return world_->credentials; }
  void revoke(const std::string& participant);
  std::optional<milliseconds> next_deadline() const;
  void expire();
  void restart();  // everything is gone

  // Tables against the reference; what must be gone is gone.
  void check();
  std::uint64_t relayed_packets() const { return relayed_packets_; }

 private:
  struct Binding {
    stun::Endpoint peer;
    milliseconds expires;
  };
  struct Lease {
    std::string participant;
    stun::Endpoint relayed;
    milliseconds expires{0};
    std::map<stun::IpAddress, milliseconds> permissions;
    std::map<std::uint16_t, Binding> channels;
    std::optional<milliseconds> homeless_since;  // its owner is in no room
  };

  void forget_expired();
  void note_success(const stun::Endpoint& client, const Packet& request, const Packet& reply);
  void allocated(const stun::Endpoint& client, const stun::MessageView& asked,
                 const stun::MessageView& answer);
  Lease* find(const stun::Endpoint& client);
  bool permitted(const Lease& lease, const stun::Endpoint& peer) const;
  void check_may_relay(const Lease* lease, const stun::Endpoint& peer);
  void check_sent(const stun::Endpoint& client, const Packet& packet, const stun::Endpoint& from,
                  const stun::Endpoint& to, stun::Bytes payload);
  void check_dropped(const stun::Endpoint& client, const Packet& packet, turn::DropReason reason);
  void check_delivered(const stun::Endpoint& client, const stun::Endpoint& peer,
                       std::string_view payload, const Packet& framed);
  void note_events();

  Agenda& agenda_;
  std::uint64_t seed_;
  InRoom in_room_;
  std::unique_ptr<turn::testing::World> world_;
  std::map<stun::Endpoint, Lease> leases_;
  std::map<std::uint64_t, std::string> open_;  // by serial: opened, not closed yet
  std::uint64_t relayed_packets_ = 0;
};

}  // namespace bedside::sim
