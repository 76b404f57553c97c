// The TCP ports: who is knocking, and whose business is it?
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "server/arrivals.h"
#include "server/net/connection.h"
#include "server/net/loop.h"
#include "server/net/socket_error.h"
#include "server/net/tcp_listener.h"
#include "server/net/tls.h"
#include "stun/endpoint.h"

namespace bedside::server {

// One listening TCP endpoint and what may be spoken there.
struct ListenerSpec {
  stun::Endpoint endpoint;
  std::string name;  // "http", "https", "turn": for messages, routing and the audit log
  net::TlsMode tls = net::TlsMode::off;
  bool serves_plain_http = false;  // without TLS
  bool serves_https = false;
  bool serves_turn = false;
};

struct FrontDoorLimits {
  std::chrono::nanoseconds handshake = std::chrono::seconds(10);   // accept to the end of TLS
  std::chrono::nanoseconds first_byte = std::chrono::seconds(10);  // then to the first byte
  // Connections in these phases. Beyond it the oldest is closed for the newcomer: who means it
  // decides within milliseconds, so the oldest is the likeliest to stay silent. To keep a visitor
  // out, strangers would have to come at a rate of this many within its handshake.
  std::size_t undecided = 1024;
  std::size_t undecided_per_source = 64;  // the same for one IPv4 address or IPv6 /64
};

// The TCP ports of one relay shard, on that shard's loop: accepts, does the TLS handshake and lets
// the first byte behind it decide. 0x00–0x03 begins STUN (RFC 7983; ChannelData cannot come first),
// an ASCII letter begins HTTP, anything else is closed, and so is what the listener does not serve.
// Strangers cost at most the limits above; phases end at their deadline however a peer drips bytes.
class FrontDoor {
 public:
  // Receives the connection with every byte read so far, on the shard's thread.
  using OnConnection =
      std::function<void(net::DetachedConnection connection, const ListenerSpec& listener)>;

  struct Counters {
    std::uint64_t accepted = 0;
    std::uint64_t turn = 0;
    std::uint64_t http = 0;
    std::uint64_t refused_limit = 0;    // the oldest, closed because of a limit
    std::uint64_t refused_first = 0;    // a first byte nobody serves here
    std::uint64_t refused_overdue = 0;  // silent or stalled
    std::uint64_t refused_broken = 0;   // TLS failed or the peer left
  };

  // Binds every listener, or none and says why. Nothing is accepted before start(). `tls` is needed
  // when a listener may speak TLS and must outlive the door. `first_shard`: of the doors of this
  // process on these ports; it finds out whether another process has them.
  static tl::expected<std::unique_ptr<FrontDoor>, net::SocketError> open(
      net::Loop& loop, std::span<const ListenerSpec> listeners, const net::TlsContext* tls,
      const FrontDoorLimits& limits = {}, bool first_shard = true);

  struct Opened;  // only open() can make one
  FrontDoor(const Opened& opened, net::Loop& loop, const net::TlsContext* tls,
            const FrontDoorLimits& limits);
  ~FrontDoor();
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  // Begins to accept. On the shard's thread, or before it runs.
  void start(OnConnection on_turn, OnConnection on_http);
  // Accepts no more and closes the undecided: the first step of a graceful stop.
  void stop();

  // The listeners with the endpoints they are bound to (port 0 has become a number).
  std::span<const ListenerSpec> listeners() const { return specs_; }
  const Counters& counters() const { return counters_; }
  std::size_t undecided() const { return visitors_.size(); }

 private:
  class Visitor;

  void admit(net::AcceptedSocket accepted, const ListenerSpec& listener);
  void decide(Visitor& visitor, stun::Bytes bytes);
  void dismiss(Visitor& visitor, std::uint64_t& counter);

  net::Loop& loop_;
  const net::TlsContext* tls_;
  const FrontDoorLimits limits_;
  OnConnection on_turn_;
  OnConnection on_http_;
  Counters counters_;
  std::vector<ListenerSpec> specs_;
  std::vector<std::unique_ptr<net::TcpListener>> listeners_;
  std::unordered_map<Visitor*, std::unique_ptr<Visitor>> visitors_;
  Arrivals<Visitor> arrivals_;  // all of visitors_
};

}  // namespace bedside::server
