#include "turn/authenticator.h"

#include "stun/integrity.h"

namespace bedside::turn {
namespace {

using Cause = AuthRefusal::Cause;

tl::unexpected<AuthRefusal> refuse(Cause cause, int code) {
  return tl::make_unexpected(AuthRefusal{cause, code, std::nullopt});
}

// RFC 8489 §9.2.4: a request may be signed either way; the MD5 key is used with both, because we do
// not offer PASSWORD-ALGORITHMS.
bool signed_with(const stun::MessageView& message, const stun::LongTermKey& key) {
  if (message.has(stun::Attribute::message_integrity)) {
    return stun::verify_integrity(message, key.bytes());
  }
  return stun::verify_integrity_sha256(message, key.bytes());
}

}  // namespace

tl::expected<Account, AuthRefusal> Authenticator::check(const stun::MessageView& message,
                                                        const FiveTuple& client,
                                                        const Allocation* allocation,
                                                        const Now& now) {
  using stun::Attribute;
  if (!message.has(Attribute::message_integrity) &&
      !message.has(Attribute::message_integrity_sha256)) {
    return refuse(Cause::no_integrity, 401);
  }
  const auto username = message.text(Attribute::username);
  const auto realm = message.text(Attribute::realm);
  const auto nonce = message.text(Attribute::nonce);
  if (!username || !realm || !nonce) return refuse(Cause::incomplete, 400);

  if (nonces_.check(*nonce, client.transport, client.client, now) != NonceVerdict::valid) {
    return refuse(Cause::stale_nonce, 438);
  }
  if (*realm != credentials_.realm()) return refuse(Cause::wrong_realm, 401);

  if (allocation != nullptr && *username == allocation->username) {
    const Account& owner = allocation->account;
    if (!owner.participant.empty() && !participants_.contains(owner.participant)) {
      return refuse(Cause::unknown_user, 401);
    }
    if (!signed_with(message, owner.key)) return refuse(Cause::wrong_key, 401);
    return owner;
  }

  auto account =
      credentials_.find(*username, now, participants_,
                        [&](const stun::LongTermKey& key) { return signed_with(message, key); });
  if (!account) {
    const bool wrong_key = account.error() == Refusal::wrong_key;
    return refuse(wrong_key ? Cause::wrong_key : Cause::unknown_user, 401);
  }
  // RFC 8656 §5: nobody may take over another user's allocation. Allocate is answered by the state
  // of the 5-tuple instead (437, §7.2).
  if (allocation != nullptr && message.method() != stun::Method::allocate) {
    return tl::make_unexpected(AuthRefusal{Cause::other_user, 441, std::move(*account)});
  }
  return std::move(*account);
}

}  // namespace bedside::turn
