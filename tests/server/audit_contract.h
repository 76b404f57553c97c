#pragma once

// What each way to ask this server for something leaves in the audit log. A new action, message,
// host action or verdict of a witness does not compile without its line here; audit_contract_test,
// audit_contract_socket_test and audit_contract_witness_test drive each of them to each outcome and
// find exactly these records.

#include <string_view>
#include <type_traits>
#include <vector>

#include "signaling/message.h"
#include "store/witness.h"

namespace bedside::server {

// What happens to it while nothing can be written (audit.md §10).
enum class WhenFull : std::uint8_t {
  closed,  // 503 with Retry-After, and no record ever
  open,    // it needs no record
  late,    // it has happened: recorded when there is space again
};

// For a visit with a host in it and a guest who waits.
struct AuditLine {
  std::vector<std::string_view> records;  // of a success, in order
  // Counted for a stranger who has not the right; empty: nobody can be refused.
  std::string_view counted;
  WhenFull when_full = WhenFull::closed;
};

inline AuditLine line_of(signaling::HostAction::Kind kind) {
  using Kind = signaling::HostAction::Kind;
  constexpr std::string_view kStranger = "abuse.wrong_token";
  switch (kind) {
    case Kind::admit:
      return {{"room.admit", "cred.issued"}, kStranger};
    case Kind::decline:
      return {{"room.deny"}, kStranger, WhenFull::late};
    case Kind::kick:
      return {{"room.kick"}, kStranger, WhenFull::late};
    case Kind::lock:
      return {{"room.locked"}, kStranger};
    case Kind::end:
      return {{"room.ended", "room.leave", "room.leave"}, kStranger, WhenFull::late};
    case Kind::emergency:  // here without a journal
      return {{"room.emergency_opened"}, kStranger};
  }
  return {};
}

struct LineOfMessage {
  AuditLine operator()(const signaling::Join&) const {
    return {{"room.attach"}, "abuse.wrong_token"};
  }
  AuditLine operator()(const signaling::Forward&) const {
    return {{}, "abuse.wrong_token", WhenFull::open};
  }
  AuditLine operator()(const signaling::Leave&) const {
    return {{"room.leave"}, "abuse.wrong_token", WhenFull::late};
  }
  AuditLine operator()(const signaling::MediaState&) const {
    return {{}, "abuse.wrong_token", WhenFull::open};
  }
  AuditLine operator()(const signaling::Ping&) const {
    return {{}, "abuse.wrong_token", WhenFull::open};
  }
  AuditLine operator()(const signaling::HostAction& action) const { return line_of(action.kind); }
};

struct LineOfAction {
  AuditLine operator()(const signaling::CreateRoom&) const {
    return {{"room.created", "link.issued", "link.issued"}, "token.used_denied"};
  }
  AuditLine operator()(const signaling::JoinRoom&) const {
    return {{"link.opened", "room.join", "cred.issued"}, "abuse.wrong_token"};
  }
  AuditLine operator()(const signaling::EndRoom&) const {
    return {{"room.ended", "room.leave", "room.leave"}, "token.used_denied", WhenFull::late};
  }
  AuditLine operator()(const signaling::GetRoom&) const {
    return {{}, "token.used_denied", WhenFull::open};
  }
  AuditLine operator()(const signaling::Poll&) const {
    return {{"room.attach"}, "abuse.wrong_token"};
  }
  AuditLine operator()(const signaling::Signal& signal) const {
    return std::visit(LineOfMessage{}, signal.message.body);
  }
  AuditLine operator()(const signaling::LeaveRoom&) const {
    return {{"room.leave"}, "abuse.wrong_token", WhenFull::late};
  }
  AuditLine operator()(const signaling::RenewIce&) const {
    return {{"cred.issued"}, "abuse.wrong_token"};
  }
};

// What this server is asked as the witness of another log.
inline AuditLine line_of(store::WitnessVerdict verdict) {
  switch (verdict) {
    case store::WitnessVerdict::consistent:
      return {{"witness.cosigned"}, {}};
    case store::WitnessVerdict::inconsistent:
      return {{"witness.refused"}, {}, WhenFull::open};  // refused whatever the disk says
    case store::WitnessVerdict::unknown_log:
    case store::WitnessVerdict::not_signed:
    case store::WitnessVerdict::malformed:
    case store::WitnessVerdict::other_size:
      return {{}, {}, WhenFull::open};
  }
  return {};
}

}  // namespace bedside::server
