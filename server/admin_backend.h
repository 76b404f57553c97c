#pragma once

// What the admin API needs from the rest of the server: the rooms that are open and the relay's
// figures. A seam, so that the API is tested without sockets.
//
// Control thread only. Callbacks run on the control thread, at once or later, exactly once.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/request_context.h"

namespace bedside::server {

// Names people type are no part of this: they stay in the visit.
struct AdminPerson {
  enum class Path : std::uint8_t {
    unknown,  // nothing is known yet, or the person is not connected
    direct,   // connected, and no traffic of theirs goes through our relay
    relayed,  // the relay carries traffic of theirs
  };
  std::string participant;            // the id audit records use
  std::string role;                   // "host", "guest", empty in open rooms
  std::chrono::milliseconds since{};  // connected since; wall clock, Unix epoch; 0: not connected
  bool connected = false;  // false: joined, but no socket or poll is open (yet, or again)
  Path path = Path::unknown;
};

struct AdminRoom {
  std::string room;
  std::string appointment_json;  // with its JSON type: `42` or `"a-42"`
  std::string link;              // relative; empty when it cannot be shown again (invite mode)
  std::chrono::milliseconds created{};  // wall clock, Unix epoch
  std::vector<AdminPerson> people;      // by time of joining
};

// Of TLS. `problem`: why a new one is not served, a sentence; empty when all is well.
struct CertificateFigures {
  std::chrono::seconds expires{};  // Unix time
  std::string problem;
};

// A place that keeps checkpoints of the audit log. `problem`: why it is behind; empty: all is well.
struct AnchorFigures {
  std::string place;
  std::uint64_t records = 0;       // covered by the newest checkpoint kept there
  std::chrono::seconds kept_at{};  // Unix; 0: not yet
  std::string problem;
  bool contradiction = false;  // it has seen another past of the log
};

struct RelayFigures {
  std::optional<CertificateFigures> certificate;  // nothing without TLS
  std::vector<AnchorFigures> anchors;
  std::uint64_t allocations = 0;  // open now
  // Since start.
  std::uint64_t packets_to_peers = 0;
  std::uint64_t packets_to_clients = 0;
  std::uint64_t bytes_to_peers = 0;
  std::uint64_t bytes_to_clients = 0;
  std::uint64_t packets_dropped = 0;
  std::uint64_t allocations_opened = 0;
};

// Who asks: the record of the change names this account as the actor.
struct AdminActor {
  std::string account;
  std::string role;
  std::string session;  // AdminSession::audit_id
  // Somebody at the server's own socket: who that is, and as which user (local_user.h).
  bool local = false;
};

struct RoomWish {
  std::string appointment_json;  // a JSON number or a non-empty JSON string
  std::string room_name;         // empty: `appointment-<id>`
};

struct CreatedRoom {
  std::string room;
  std::string link;                     // relative
  std::string host_link;                // relative; empty in open mode
  bool existed = false;                 // the room was there already
  std::chrono::milliseconds expires{};  // of the links, wall clock; 0 in open mode
  std::string receipt = {};             // of the record (store/receipt.h); empty when there is none
};

// The answer as protocol.md 1.1 words it, e.g. {404, "Room not found"}; 503 when it cannot be
// recorded.
struct AdminRefusal {
  int status = 503;
  std::string error;
  std::chrono::seconds retry_after = {};  // when to ask again; 0: nothing is known of that
};

class AdminBackend {
 public:
  using Created = std::function<void(tl::expected<CreatedRoom, AdminRefusal>)>;
  // With the receipt of the record, or an empty one.
  using Ended = std::function<void(tl::expected<std::string, AdminRefusal>)>;

  AdminBackend() = default;
  AdminBackend(const AdminBackend&) = delete;
  AdminBackend& operator=(const AdminBackend&) = delete;
  virtual ~AdminBackend() = default;

  // Active rooms, newest first.
  virtual std::vector<AdminRoom> rooms() = 0;
  virtual RelayFigures relay() = 0;

  // Both answer after the change and its record are durable.
  virtual void create_room(const RoomWish& wish, const AdminActor& by,
                           const RequestContext& context, Created done) = 0;
  virtual void end_room(const std::string& room, const AdminActor& by,
                        const RequestContext& context, Ended done) = 0;
};

}  // namespace bedside::server
