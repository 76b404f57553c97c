// What a Relay answers with: every reply to a client is finished here.

#include "stun/binding.h"
#include "turn/relay_request.h"

namespace bedside::turn {
namespace {

AuthFailure failure_of(AuthRefusal::Cause cause) {
  switch (cause) {
    case AuthRefusal::Cause::wrong_key:
      return AuthFailure::wrong_key;
    case AuthRefusal::Cause::wrong_realm:
      return AuthFailure::wrong_realm;
    case AuthRefusal::Cause::other_user:
      return AuthFailure::other_user;
    default:
      return AuthFailure::unknown_user;
  }
}

// The first two rounds of every honest conversation end with 401 or 438 too; those are no failures,
// and neither is a message that makes no sense.
bool is_failure(AuthRefusal::Cause cause) {
  using Cause = AuthRefusal::Cause;
  return cause == Cause::wrong_realm || cause == Cause::unknown_user || cause == Cause::wrong_key ||
         cause == Cause::other_user;
}

stun::MessageWriter error_writer(stun::MutableBytes out, const stun::MessageView& request,
                                 int code) {
  stun::MessageWriter writer(out, stun::Class::error, request.method(), request.transaction());
  // No reason phrase: it would only feed whoever reflects our replies (RFC 8489 §14.8 allows it).
  writer.add_error(static_cast<std::uint16_t>(code));
  return writer;
}

}  // namespace

ClientVerdict Relay::on_binding(const Request& request) {
  if (!is_stream(request.client.transport) &&
      !limiter_.admit(request.client.client.address, request.now)) {
    return drop(DropReason::rate_limited);
  }
  ++counters_.bindings;
  const stun::Endpoint& server = request.client.server;
  const auto& discovery = settings_.discovery[server.address.is_v4() ? 0 : 1];
  if (discovery && discovery->has(server)) return discover(request, *discovery);
  return sent(stun::answer_binding(request.message, request.client.client, scratch_));
}

ClientVerdict Relay::discover(const Request& request, const stun::DiscoveryAddresses& addresses) {
  const FiveTuple& client = request.client;
  const stun::DiscoveryAnswer answer =
      stun::answer_discovery(request.message, client.client, client.server,
                             client.transport == ClientTransport::udp, addresses, scratch_);
  if (answer.bytes.empty()) return drop(DropReason::too_large);
  ToClient reply{answer.bytes};
  const bool same_way = answer.from == client.server && answer.to == client.client;
  if (!same_way) reply.route = ToClient::Route{answer.from, answer.to};
  return reply;
}

ClientVerdict Relay::refuse_stranger(const Request& request, const AuthRefusal& refusal) {
  // Streams have proven their address by a handshake: nothing can be reflected off them.
  if (!is_stream(request.client.transport) &&
      !limiter_.admit(request.client.client.address, request.now)) {
    return drop(DropReason::rate_limited);
  }
  if (is_failure(refusal.cause)) {
    ++counters_.auth_failures;
    note(AuthFailed{request.client, failure_of(refusal.cause)});
  }
  if (refusal.account) return error(request, *refusal.account, refusal.code);

  stun::MessageWriter writer = error_writer(scratch_, request.message, refusal.code);
  if (refusal.with_challenge()) authenticator_.challenge(writer, request.client, request.now);
  finish(request, writer, nullptr);
  return sent(writer.finish());
}

ClientVerdict Relay::success(const Request& request, const Account& account,
                             stun::MessageWriter& writer) {
  finish(request, writer, &account);
  return sent(writer.finish());
}

ClientVerdict Relay::error(const Request& request, const Account& account, int code) {
  stun::MessageWriter writer = error_writer(scratch_, request.message, code);
  finish(request, writer, &account);
  return sent(writer.finish());
}

ClientVerdict Relay::unknown_attributes(const Request& request, const Account& account,
                                        std::span<const std::uint16_t> types) {
  stun::MessageWriter writer = error_writer(scratch_, request.message, 420);
  writer.add_unknown_attributes(types);
  finish(request, writer, &account);
  return sent(writer.finish());
}

ClientVerdict Relay::quota_reached(const Request& request, const Account& account, QuotaKind kind) {
  note(QuotaReached{Party{request.client, account.name, account.participant}, kind});
  // RFC 8656 §7.2: 486 for a quota of our own, 508 when there is nothing left to give.
  const bool personal =
      kind == QuotaKind::user_allocations || kind == QuotaKind::source_allocations;
  return error(request, account, personal ? 486 : 508);
}

void Relay::finish(const Request& request, stun::MessageWriter& writer, const Account* account) {
  if (account != nullptr) Authenticator::sign(writer, request.message, *account);
  if (request.message.has(stun::Attribute::fingerprint)) writer.add_fingerprint();
}

ClientVerdict Relay::sent(stun::Bytes message) {
  if (message.empty()) return drop(DropReason::too_large);
  return ToClient{message};
}

}  // namespace bedside::turn
