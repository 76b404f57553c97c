// A relay in a bad world: clients that retransmit, peers, a network that loses, reorders and
// duplicates, a clock that jumps, ports that cannot be opened, revocation, drain. A witness at the
// relay's edge keeps its own books from what goes in and comes out, and every packet and every step
// is held against them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/lossy_network.h"
#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {

// What the relay owes to whom, by the answers it gave. Complains through `problem`.
class Witness {
 public:
  explicit Witness(const Quotas& quotas) : quotas_(quotas) {}

  void saw_answer(const FiveTuple& client, const stun::MessageView& request,
                  const stun::MessageView& answer, const Now& now);
  void saw_to_peer(const FiveTuple& client, const stun::Endpoint& from, const stun::Endpoint& to,
                   const Now& now);
  void saw_to_client(const FiveTuple& client, const stun::Endpoint& relayed,
                     const stun::Endpoint& from, const Now& now);
  // ChannelData towards a peer, and from it: the channel must be bound to that peer.
  void saw_channel(const FiveTuple& client, std::uint16_t number, const stun::Endpoint& peer,
                   const Now& now);
  void saw_inside(const stun::Endpoint& to, bool inside, const Now& now);
  void saw_end(const FiveTuple& client) { clients_.erase(client.client); }
  // A changed policy has taken away what was promised for this peer.
  void saw_refused(const stun::IpAddress& peer) {
    for (auto& [client, promise] : clients_) {
      promise.permissions.erase(peer);
      std::erase_if(promise.channels,
                    [&](const auto& entry) { return entry.second.peer.address == peer; });
    }
  }
  // After the relay has expired what is due: it holds exactly what it promised, within its limits.
  void check(const World& world);

  const std::string& problem() const { return problem_; }

 private:
  struct BoundChannel {
    stun::Endpoint peer;
    std::chrono::nanoseconds expires{};
  };
  struct Promise {
    stun::Endpoint relayed;
    std::chrono::nanoseconds expires{};
    std::map<stun::IpAddress, std::chrono::nanoseconds> permissions;
    std::map<std::uint16_t, BoundChannel> channels;
  };
  Promise* live(const FiveTuple& client, const Now& now);
  void promise_peers(Promise& promise, const stun::MessageView& request, const Now& now);
  void check_limits(const World& world);
  void require(bool holds, const std::string& what);

  Quotas quotas_;
  std::map<stun::Endpoint, Promise> clients_;
  std::string problem_;
};

class RelaySimulation {
 public:
  explicit RelaySimulation(std::uint64_t seed);

  // A little time passes and something happens. False: an invariant broke, see problem().
  bool step();
  const std::string& problem() const { return witness_.problem(); }

  struct Figures {
    std::uint64_t to_peers = 0;
    std::uint64_t to_clients = 0;
    std::uint64_t answers = 0;
    std::uint64_t allocations = 0;
    std::uint64_t by_channel = 0;     // of to_peers and to_clients
    std::uint64_t port_failures = 0;  // times in which no port could be opened

    Figures& operator+=(const Figures& other);
  };
  const Figures& figures() const { return figures_; }

 private:
  static constexpr std::size_t kClients = 8;

  // A datagram under way; from and to tell what it is.
  struct Parcel {
    stun::Endpoint from;
    stun::Endpoint to;
    Packet bytes;
  };
  struct Actor {
    Client client;
    std::optional<stun::Endpoint> relayed;
    Packet waiting_for_answer;
    std::chrono::nanoseconds retransmit_at{};
    int attempts = 0;
  };

  void pass_time();
  void act(Actor& actor);
  void ask(Actor& actor, stun::Method method, const Fill& fill);
  void retransmit(Actor& actor);
  void peer_speaks();
  void disturb();
  void deliver(const Parcel& parcel);
  void deliver_to_relay(const Parcel& parcel);
  void deliver_to_relay_port(const Parcel& parcel);
  void deliver_to_client(Actor& actor, const Parcel& parcel);
  stun::Endpoint random_peer();

  SeededRandom random_;
  World world_;
  Witness witness_;
  testing_support::LossyNetwork<Parcel> network_;
  std::deque<Actor> actors_;
  Figures figures_;
};

}  // namespace bedside::turn::testing
