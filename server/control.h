#pragma once

// The heart of the control thread: every HTTP connection and WebSocket, the signaling hub, and what
// ties them to the store, the audit trail and the relay shards.
//
// One input at a time goes into the hub; then its outputs are carried out in order. Changes go to
// the store as commits with their audit records, answers leave after the store's verdict; the set
// of live participants is published, and the relays are told who is gone, before the answers that
// depend on it.
//
// Everything runs on the control thread (the one of `loop`), except where a method says "any
// thread". Made before the loop runs; destroyed after it has ended.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/admin_backend.h"
#include "server/api_tokens.h"
#include "server/audit_trail.h"
#include "server/entry_limiter.h"
#include "server/net/connection.h"
#include "server/net/http_connection.h"
#include "server/net/loop.h"
#include "server/security_headers.h"
#include "signaling/hub.h"
#include "store/change.h"
#include "store/store.h"
#include "turn/event.h"

namespace bedside::server {

class AdminApi;
class Assets;
class AuditTrail;
class LiveParticipantSet;
class WitnessApi;

struct ControlOptions {
  signaling::Access access = signaling::Access::open;
  signaling::Limits limits;
  OriginPolicy origins;
  // Not empty: the listener "http" only redirects, to this origin ("https://visit.example.org").
  std::string redirect_http_to;
  // The listener "http" serves ACME challenges from it, before it redirects; empty: none.
  std::filesystem::path acme_webroot;
  // Connections at once. Beyond it the longest idle one is closed for the newcomer; a connection
  // that is owed an answer (a parked poll too) or belongs to a participant is not idle. Only when
  // none is idle the newcomer is closed, unanswered.
  std::size_t max_connections = 10'000;
  // The same for one IPv4 address or IPv6 /64, which may be a whole clinic.
  std::size_t max_connections_per_source = 256;
  // Creating and joining rooms by strangers; API tokens and admin sessions are not counted.
  EntryLimits entries;
  net::HttpTimeouts timeouts;
  std::function<signaling::Now()> clock;  // empty: the system's clocks
};

// What control needs from others; all of it outlives control.
struct ControlSeams {
  store::Store& store;
  AuditTrail& trail;
  Assets& assets;
  signaling::Issuer& issuer;  // ice_servers.h
  // Whose relay credentials are good: control adds and removes, relay threads ask.
  LiveParticipantSet& live;
  // Tells every relay thread to end what this participant has there. False: a queue is full, and
  // control tries again until it was taken.
  std::function<bool(const std::string& participant)> revoke;
  std::function<RelayFigures()> relay_figures;
  // Told when the store stops or starts being writable: an allocation that cannot be recorded is
  // not granted (508), existing ones go on.
  std::function<void(bool accept)> accept_allocations;
  // False while the disk has no space for new rooms (disk_watch.h). Empty: always true.
  std::function<bool()> has_space = {};
};

// Any moment, any thread.
struct ControlStats {
  std::uint64_t connections = 0;   // now, WebSockets included
  std::uint64_t sockets = 0;       // now
  std::uint64_t rooms = 0;         // active now
  std::uint64_t participants = 0;  // attached now
  std::uint64_t requests = 0;
  std::uint64_t rate_limited = 0;  // of requests: refused because of ControlOptions::entries
  std::uint64_t messages = 0;      // from WebSockets
  std::uint64_t forwarded = 0;     // offers, answers, candidates
  std::uint64_t lost_records = 0;  // of what has happened, for want of room in the queue
  std::uint64_t made_room = 0;     // connections: idle, closed for newcomers
  std::uint64_t turned_away = 0;   // connections: newcomers closed because none was idle
};

class Control final : public AdminBackend {
 public:
  Control(net::Loop& loop, ControlOptions options, ControlSeams seams);
  ~Control() override;

  // The admin API is made after control, because it needs control. Without one /admin/ is 404.
  void set_admin(AdminApi* admin);
  // Null, and before: this server witnesses no log.
  void set_witness(WitnessApi* witness);

  // Once, before the loop runs: rooms and participants as the store knew them.
  void restore(const store::LoadedState& state);

  // Any thread: a connection whose first byte is an ASCII letter. False: too many wait; it was
  // closed.
  bool adopt(net::DetachedConnection connection, std::string listener);

  // What happened on a relay, for the audit trail. Call on the control thread.
  void on_relay_event(const turn::Event& event);

  // Accepts no more and ends what is open: WebSockets get 1001, idle connections end, owed answers
  // are sent. `done` runs when the last connection is gone and every commit is decided, or after
  // `patience`.
  void drain(std::chrono::milliseconds patience, std::function<void()> done);

  // What has happened and could not be submitted yet; for the stop, after the loop has ended.
  std::vector<store::Commit> take_unrecorded();

  ControlStats stats() const;

  // AdminBackend: rooms through the hub, recorded like all others.
  std::vector<AdminRoom> rooms() override;
  RelayFigures relay() override;

  // API tokens. Both answer after the change and its record are durable.
  using TokenMade = std::function<void(tl::expected<NewApiToken, AdminRefusal>)>;
  void create_token(const ApiTokenWish& wish, const LocalUser& by, TokenMade done);
  void revoke_token(const std::string& token_id, const LocalUser& by, Ended done);
  const std::vector<store::ApiTokenRow>& tokens() const;
  // What somebody on this machine did without the server (an export, a backup): the number of its
  // record, once that is durable.
  struct Written {
    std::uint64_t seq = 0;
    std::string receipt;  // of that record; empty when the log has no seal
  };
  using Recorded = std::function<void(tl::expected<Written, AdminRefusal>)>;
  void record(const AdminAction& action, const LocalUser& by, Recorded done);
  const AuditTrail& trail() const;

  void create_room(const RoomWish& wish, const AdminActor& by, const RequestContext& context,
                   Created done) override;
  void end_room(const std::string& room, const AdminActor& by, const RequestContext& context,
                Ended done) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedside::server
