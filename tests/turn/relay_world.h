// A Relay with everything around it faked: ports without sockets, time that stands still until
// told, randomness from a seed, and clients that speak STUN. For tests, the fuzz target and the
// simulation.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/turn_wire.h"
#include "turn/relay.h"

namespace bedside::turn::testing {

// A client, and a peer on the internet.
inline constexpr const char* kAlice = "192.0.2.7:4000";
inline constexpr std::string_view kPeer = "8.8.8.8:9000";

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(stun::MutableBytes out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
  }
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

// Hands out ports the way a real server does (lowest free id, closed ports rest), without sockets.
class FakePorts final : public RelayPorts, public LiveRelayAddresses {
 public:
  tl::expected<RelayPort, PortError> open(PeerTransport transport, stun::Family family,
                                          std::uint16_t port, const Now& now) override;
  void close(RelayPortId id, const Now& now) override;
  void hand_over(RelayPortId /*id*/) override {}
  bool reserve(const Reservation& reservation, const Now& now) override;
  std::optional<Reservation> claim(const ReservationToken& token, const Now& now) override;
  std::optional<LiveRelay> locate(const stun::Endpoint& relayed) const noexcept override;
  bool listens(const stun::Endpoint& relayed) const noexcept override;

  std::size_t open_count() const { return open_.size(); }
  const std::map<std::uint32_t, RelayPort>& open_ports() const { return open_; }
  const RelayPort* find(const stun::Endpoint& relayed) const;

  std::array<std::optional<stun::IpAddress>, 2> external{address("198.41.0.4"),
                                                         address("2606:4700::4")};
  bool exhausted = false;
  Reservations reservations{8};  // few, so that random programs meet the limit

 private:
  std::map<std::uint32_t, RelayPort> open_;
  std::set<std::uint32_t> listening_;  // of them, those for TCP
  std::map<stun::Endpoint, std::chrono::nanoseconds> rests_until_;
};

// The data connections the relay has asked to end, in order.
class FakeDataConnections final : public DataConnections {
 public:
  void close(ConnectionId id) override { closed.push_back(id); }
  void give_up(ConnectionId id, RelayPortId /*from*/, stun::Bytes answer) override {
    closed.push_back(id);
    answers.emplace_back(answer.begin(), answer.end());
  }
  std::vector<ConnectionId> closed;
  std::vector<Packet> answers;  // of Connects that were given up
};

class FakeParticipants final : public LiveParticipants {
 public:
  bool contains(std::string_view participant) const noexcept override {
    return live.find(participant) != live.end();
  }
  std::optional<std::string> name_of(const stun::Sha256Digest& userhash) const override {
    const auto found = names.find(userhash);
    return found == names.end() ? std::nullopt : std::optional(found->second);
  }
  std::set<std::string, std::less<>> live{"p1", "p2"};
  std::map<stun::Sha256Digest, std::string> names;  // what was issued, by USERHASH
};

struct WorldOptions {
  std::uint64_t seed = 1;
  Quotas quotas{};
  std::uint16_t first_port = 50000;
  std::uint16_t last_port = 50999;
  bool accept_rfc5766_channels = false;
  bool mobility = false;
  bool tcp_relay = false;
  std::uint16_t shards = 1;
  bool shared_secret = true;  // users nobody can list, hence no hidden names
  PeerPolicyConfig peers{};
  std::array<std::optional<stun::Endpoint>, 2> alternate_server{};
  std::array<std::optional<stun::DiscoveryAddresses>, 2> discovery{};
};

class World {
 public:
  static constexpr std::uint16_t kShard = 3;
  static constexpr std::string_view kRealm = "clinic.example";
  static constexpr std::string_view kParticipantSecret = "participant-secret-0123456789";
  static constexpr std::string_view kSharedSecret = "shared-secret-0123456789abcdef";

  explicit World(const WorldOptions& options = {});

  ClientVerdict from_client(const FiveTuple& client, Packet packet);
  // A datagram from a peer; what reaches the client, if anything.
  std::optional<Packet> from_peer(const stun::Endpoint& relayed, std::string_view from,
                                  std::string_view payload);
  // Gives a datagram that stays inside to the relay port it is for, as a server does.
  std::optional<Packet> hand_over(const ToPeer& out);
  // An ICMP error about a datagram that had left this relayed address.
  std::optional<Packet> icmp(const stun::Endpoint& relayed, std::string_view destination,
                             const IcmpError& error);
  void advance(std::chrono::nanoseconds by);
  DropReason last_drop() const { return last_drop_; }

  template <typename E>
  std::vector<E> take_events() {
    std::vector<E> wanted;
    for (const Event& event : relay.events()) {
      if (const E* e = std::get_if<E>(&event)) wanted.push_back(*e);
    }
    relay.drop_events(relay.events().size());
    return wanted;
  }

  FiveTuple last_owner;  // whom a peer's datagram was for
  Now now{std::chrono::hours(1), std::chrono::seconds(1'800'000'000)};
  Credentials credentials;
  FakeParticipants participants;
  FakePorts ports;
  LocalLedger ledger;
  SeededRandom random;
  FakeDataConnections data_connections;
  Relay relay;

 private:
  std::optional<Packet> to_owner(const PortVerdict& verdict);

  DropReason last_drop_ = DropReason::count_;
};

// What the client sent arrives at a peer as this.
struct Sent {
  stun::Endpoint from;  // the relayed address
  stun::Endpoint to;
  std::string payload;
  bool dont_fragment = false;
  std::optional<LiveRelay> inside;
};

class Client {
 public:
  Client(World& world, std::string_view address, std::string username = "alice",
         const std::string& password = "alice-password",
         ClientTransport transport = ClientTransport::udp);

  // Builds a request signed with the current nonce and a new transaction id.
  Packet request(stun::Method method, const Fill& fill = {});
  Packet unsigned_request(stun::Method method, const Fill& fill = {});
  // Sends; nothing when the relay kept silent.
  std::optional<Reply> send(const Packet& packet);
  // Sends and, after 401 or 438, takes the nonce and sends once more, as clients do.
  Reply ask(stun::Method method, const Fill& fill = {});

  Reply allocate(const Fill& fill = {});  // with REQUESTED-TRANSPORT UDP
  Reply refresh(std::optional<std::uint32_t> lifetime = {});
  Reply permit(const std::vector<std::string_view>& peers);
  Reply bind(std::uint16_t channel, std::string_view peer);
  std::optional<Sent> send_data(std::string_view peer, std::string_view payload);
  std::optional<Sent> send_channel(std::uint16_t channel, std::string_view payload);
  std::optional<Sent> sent(const ClientVerdict& verdict) const;
  // What the client at the other end reads when `packet` goes to a relay port of this server.
  std::optional<Received> heard_inside(const Packet& packet);

  World& world;
  FiveTuple tuple;
  Signer signer;

 private:
  stun::TransactionId next_transaction();
};

}  // namespace bedside::turn::testing
