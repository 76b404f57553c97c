// Relay shards on real loopback sockets with everything they share, for tests.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/front_door.h"
#include "server/live_participants.h"
#include "server/live_relay_table.h"
#include "server/net/mailbox.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "server/relay_shard.h"
#include "tests/net/dtls_client.h"
#include "tests/net/loopback_client.h"
#include "tests/support/turn_wire.h"

namespace bedside::server::testing {

using namespace turn::testing;

inline constexpr std::string_view kRealm = "clinic.example";
inline constexpr std::string_view kSharedSecret = "shared-secret-0123456789abcdef";

struct RigOptions {
  std::vector<stun::Endpoint> listen{endpoint("127.0.0.1:0")};
  std::vector<stun::IpAddress> external;
  std::optional<stun::Endpoint> alternate_server;
  bool allow_loopback_peers = true;
  bool accept_rfc5766_channels = false;
  bool mobility = false;
  bool tcp_relay = false;
  turn::Quotas quotas;
  bool behavior_discovery = false;  // `listen` must be what it needs
  std::size_t event_queue = 64;
  TurnSessionLimits sessions;
};

// Binds and shares; the caller drives a shard's loop itself or starts its thread.
class ShardRig {
 public:
  static constexpr std::uint16_t kMaxShards = 4;
  explicit ShardRig(const RigOptions& options = {});

  // Another shard on the same endpoints (the first one has replaced port 0).
  RelayShard& add_shard();
  RelayShard& shard(std::size_t i = 0) { return *shards_.at(i); }
  // A front door of the first shard for TCP and TLS, on the address of the first endpoint. Before
  // the shard's thread is started. Port 0 takes a free one.
  FrontDoor& open_door(const FrontDoorLimits& limits = {}, const net::TlsContext* tls = nullptr,
                       std::uint16_t port = 0);
  FrontDoor& door() { return *door_; }
  const stun::Endpoint& server() const { return endpoints_.front(); }
  const std::vector<stun::Endpoint>& endpoints() const { return endpoints_; }
  LiveRelayTable& live_relays() { return live_relays_; }
  LiveParticipantSet& participants() { return participants_; }
  const turn::Credentials& credentials() const { return credentials_; }

  // Handles the events that have arrived and returns all so far.
  template <typename E>
  std::vector<E> events() {
    mailbox_.deliver();
    std::vector<E> wanted;
    for (const RelayEvent& happened : events_) {
      if (const E* event = std::get_if<E>(&happened.event)) wanted.push_back(*event);
    }
    return wanted;
  }
  std::size_t undelivered() const { return mailbox_.size(); }

  // Drives the first shard's loop until `done`.
  bool run_until(const std::function<bool()>& done) { return shard().loop().run_until(done); }

 private:
  net::Loop control_;
  std::vector<RelayEvent> events_;
  net::Mailbox<RelayEvent> mailbox_;
  LiveParticipantSet participants_;
  turn::Credentials credentials_;
  turn::PeerPolicy peers_;
  LiveRelayTable live_relays_;
  SharedLedger ledger_{turn::Quotas{}};
  RelayHandover handover_{kMaxShards};
  RelayShardSettings settings_;
  std::vector<stun::Endpoint> endpoints_;
  std::vector<std::unique_ptr<RelayShard>> shards_;
  std::unique_ptr<FrontDoor> door_;
};

// A UDP socket of a client or a peer on the rig's loop.
class UdpEnd {
 public:
  explicit UdpEnd(ShardRig& rig, std::string_view bind = "127.0.0.1:0");

  const stun::Endpoint& local() const { return socket_.local(); }
  int fd() const { return socket_.fd(); }
  void send(const stun::Endpoint& to, stun::Bytes packet);
  // The next datagram, with where it came from; nothing after ten seconds of the loop.
  std::optional<std::pair<Packet, stun::Endpoint>> receive();
  // Whether everything sent so far drew no answer.
  bool silent();

 private:
  void collect();

  ShardRig& rig_;
  net::UdpSocket socket_;
  net::ReceiveBatch received_;
  net::SendBatch outgoing_;
  std::vector<std::pair<Packet, stun::Endpoint>> inbox_;
};

// A TURN client over UDP or TCP.
class TurnEnd {
 public:
  virtual ~TurnEnd() = default;

  Reply ask(stun::Method method, const Fill& fill = {});
  stun::Endpoint allocate(const Fill& fill = {});  // the relayed address; fails the test otherwise

  virtual void send(const Packet& packet) = 0;
  virtual std::optional<Packet> receive() = 0;

  Signer signer{"alice", kRealm, "alice-password"};

 private:
  std::uint32_t transactions_ = 0;
};

class UdpTurnEnd final : public TurnEnd {
 public:
  explicit UdpTurnEnd(ShardRig& rig, std::string_view bind = "127.0.0.1:0")
      : udp(rig, bind), server(rig.server()) {}
  void send(const Packet& packet) override { udp.send(server, packet); }
  std::optional<Packet> receive() override;

  UdpEnd udp;
  stun::Endpoint server;
};

// A TCP connection handed to the shard the way the front door does.
class TcpTurnEnd final : public TurnEnd {
 public:
  // To another shard than the first: before its thread is started.
  explicit TcpTurnEnd(ShardRig& rig, int receive_buffer = 0, std::size_t shard = 0);
  void send(const Packet& packet) override;  // padded to four bytes
  std::optional<Packet> receive() override;

  std::unique_ptr<tests::LoopbackClient> tcp;

 private:
  ShardRig& rig_;
  std::string unread_;
};

// A TCP or TLS connection that comes in by the front door.
class DoorTurnEnd final : public TurnEnd {
 public:
  DoorTurnEnd(ShardRig& rig, turn::ClientTransport transport, int receive_buffer = 0);
  void send(const Packet& packet) override;  // padded to four bytes
  std::optional<Packet> receive() override;

  // All that came and was not received as a message, now and until `size` bytes are there.
  std::string receive_raw(std::size_t size);

  std::unique_ptr<tests::LoopbackClient> tcp;

 private:
  ShardRig& rig_;
  std::string unread_;
};

class DtlsTurnEnd final : public TurnEnd {
 public:
  explicit DtlsTurnEnd(ShardRig& rig, std::string_view from = "127.0.0.1")
      : dtls(rig.server(), tests::DtlsTestClient::Version::dtls12, address(from)), rig_(rig) {}
  void send(const Packet& packet) override { dtls.send(stun::as_text(packet)); }
  std::optional<Packet> receive() override;

  tests::DtlsTestClient dtls;

 private:
  ShardRig& rig_;
  std::vector<std::string> inbox_;
};

}  // namespace bedside::server::testing
