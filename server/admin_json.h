#pragma once

// The words of the admin API: what requests say and what answers look like; admin_retention_json.h
// has those about accounts and retention. Other admin files know no JSON. Pure functions; any
// thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/admin_backend.h"
#include "server/net/http_message.h"
#include "store/cosignature.h"
#include "store/reader.h"

namespace bedside::server {

// The seal of the audit log for a browser that saw it before.
struct SealView {
  std::optional<store::TreeHead> head;  // nothing: the log is not sealed
  std::optional<store::Hash> old_root;  // of the size it saw; nothing: the log is shorter
  std::vector<store::Hash> proof;       // RFC 6962 §2.1.2
};

struct SetUpRequest {
  std::string code;
  std::string name;
  std::string password;
};
struct LoginRequest {
  std::string name;
  std::string password;
};

// Nothing when the body is no JSON object or a field is missing or of another type. Unknown fields
// are ignored.
std::optional<SetUpRequest> parse_set_up(std::string_view body);
std::optional<LoginRequest> parse_login(std::string_view body);
// The appointment id is empty where protocol.md 1.1 calls it missing (absent, 0, "", null, false).
std::optional<RoomWish> parse_room_wish(std::string_view body);
std::optional<std::string> parse_room_id(std::string_view body);

struct CertificateView {
  std::chrono::seconds expires{};  // Unix time
  std::chrono::seconds left{};     // by this machine's clock: the browser's may be wrong
  std::string problem;             // as in CertificateFigures
};

// What every answer to somebody who is logged in says: about the session, and what has to be seen
// on every screen.
struct SessionView {
  std::string account;
  std::chrono::seconds left{};
  std::optional<CertificateView> certificate = {};  // nothing without TLS
};

// `code` is for the page, `error` for people. retry_after > 0 becomes a header.
net::HttpResponse admin_refusal(int status, std::string_view code, std::string_view error,
                                std::chrono::seconds retry_after = {});
// What cannot be recorded does not happen: 503 with Retry-After. `what`: a sentence that says so.
net::HttpResponse admin_not_recorded(
    std::string_view what =
        "This cannot be recorded in the audit log right now, so it was not done.");
net::HttpResponse admin_state(bool set_up_needed, const std::optional<SessionView>& session);
// `receipt`: of the record of what was done (store/receipt.h); may be empty.
net::HttpResponse admin_entered(const SessionView& session, std::string_view receipt = {});
net::HttpResponse admin_done(const SessionView& session, std::string_view receipt = {});
net::HttpResponse admin_left();
net::HttpResponse admin_rooms(std::span<const AdminRoom> rooms, std::chrono::milliseconds now,
                              const SessionView& session, bool open_to_all = false);
net::HttpResponse admin_room_created(const CreatedRoom& room, const SessionView& session);
// `next`: the key of the following page, 0 when this is the last.
net::HttpResponse admin_audit(std::span<const store::AuditRow> rows, std::uint64_t next,
                              std::span<const std::string_view> types, const SessionView& session);
net::HttpResponse admin_relay(const RelayFigures& figures, std::chrono::milliseconds now,
                              const SessionView& session);

net::HttpResponse admin_seal(const SealView& seal, std::span<const AnchorFigures> anchors,
                             const SessionView& session);

}  // namespace bedside::server
