// One relay thread: kernel sockets around a turn::Relay, and the mailbox of what it reports.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "server/live_relay_table.h"
#include "server/net/connection.h"
#include "server/net/dtls.h"
#include "server/net/loop.h"
#include "server/net/mailbox.h"
#include "server/net/socket_error.h"
#include "server/relay_handover.h"
#include "server/relay_stats.h"
#include "server/turn_session.h"
#include "stun/endpoint.h"
#include "turn/credentials.h"
#include "turn/event.h"
#include "turn/peer_policy.h"
#include "turn/relay.h"

namespace bedside::server {

struct RelayEvent {
  std::uint16_t shard = 0;
  turn::Event event;
};

struct RelayShardSettings {
  turn::RelaySettings relay;           // relay.shard is this shard's number
  std::vector<stun::Endpoint> listen;  // UDP; wildcards already split by family
  TurnSessionLimits sessions;
  bool first = true;  // the first shard on these endpoints makes sure nobody else has them
};

// What the shards of a server share. Borrowed; everything outlives the shards.
struct RelayShardShared {
  const turn::Credentials* credentials;
  const turn::LiveParticipants* participants;
  LiveRelayTable* live_relays;
  SharedLedger* ledger;
  const turn::PeerPolicy* peers;
  net::Mailbox<RelayEvent>* events;        // towards control
  const net::DtlsContext* dtls = nullptr;  // null: DTLS is not spoken
  RelayHandover* handover = nullptr;       // null: this is the only shard
};

// One relay thread: a loop, a turn::Relay, the UDP sockets of its clients and of its relay ports,
// the TCP and TLS connections whose first byte was STUN, and the DTLS associations. Everything with
// "any thread" beside it may be called from outside; the rest belongs to the shard's thread (or to
// the only thread of a test that drives loop() itself instead of start()).
//
// Events go to the mailbox. When it is full nothing is lost: the events wait here, new allocations
// are refused with 508 until they are delivered, media goes on.
class RelayShard {
 public:
  // Binds the client sockets (SO_REUSEPORT: the shards of a server share their endpoints).
  static tl::expected<std::unique_ptr<RelayShard>, net::SocketError> open(
      const RelayShardSettings& settings, const RelayShardShared& shared);
  ~RelayShard();  // after stop()
  RelayShard(const RelayShard&) = delete;
  RelayShard& operator=(const RelayShard&) = delete;

  // The front door of this shard runs on the same loop. Set it up before start().
  net::Loop& loop();
  // The endpoints really bound (port 0 replaced), in the order of the settings.
  std::vector<stun::Endpoint> listening() const;
  const RelayStats& stats() const;  // any thread

  // Takes over a TCP connection whose first bytes look like STUN. Shard's thread (the front door).
  // Beyond TurnSessionLimits::streams it is closed.
  void adopt(net::DetachedConnection connection);

  void start();  // runs the loop on a thread of its own

  // Any thread. False: the command queue is full, try again.
  [[nodiscard]] bool revoke_participant(std::string participant);
  [[nodiscard]] bool revoke_user(std::string name);
  // True: no new allocations; clients are sent to the alternate server, if there is one.
  [[nodiscard]] bool set_draining(bool draining);
  // What exists is judged again at once: permissions and channels the policy refuses end.
  [[nodiscard]] bool set_credentials(turn::Credentials credentials);
  [[nodiscard]] bool set_peer_policy(turn::PeerPolicy peers);
  [[nodiscard]] bool set_quotas(const turn::Quotas& quotas);

  // Any thread but the shard's; blocks. Ends all allocations, delivers the last events while the
  // mailbox takes them (at most a second), then ends the thread. Idempotent.
  void stop();

 private:
  struct Core;
  explicit RelayShard(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
  std::thread thread_;
};

}  // namespace bedside::server
