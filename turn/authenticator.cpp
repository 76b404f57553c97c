#include "turn/authenticator.h"

#include <utility>

#include "stun/integrity.h"
#include "turn/limits.h"

namespace bedside::turn {
namespace {

using Cause = AuthRefusal::Cause;

tl::unexpected<AuthRefusal> refuse(Cause cause, int code) {
  return tl::make_unexpected(AuthRefusal{cause, code, std::nullopt});
}

bool has_integrity(const stun::MessageView& message) {
  return message.has(stun::Attribute::message_integrity) ||
         message.has(stun::Attribute::message_integrity_sha256);
}

bool is_complete(const stun::MessageView& message) {
  return (message.has(stun::Attribute::username) || message.has(stun::Attribute::userhash)) &&
         message.has(stun::Attribute::realm) && message.has(stun::Attribute::nonce);
}

}  // namespace

tl::expected<Account, AuthRefusal> Authenticator::check(const stun::MessageView& message,
                                                        const FiveTuple& client,
                                                        const Allocation* allocation,
                                                        const Now& now) {
  using stun::Attribute;
  if (!has_integrity(message)) return refuse(Cause::no_integrity, 401);
  if (!is_complete(message)) return refuse(Cause::incomplete, 400);
  const auto nonce = message.text(Attribute::nonce);
  const auto valid_for = [&](const FiveTuple& who) {
    return nonces_.check(*nonce, who.transport, who.client, now) == NonceVerdict::valid;
  };
  // RFC 6062 §4.3: the same client on another connection, which may know no nonce but the one of
  // its control connection.
  const bool sibling = allocation != nullptr && message.method() == stun::Method::connection_bind &&
                       allocation->client.client.address == client.client.address;
  if (!valid_for(client) && !(sibling && valid_for(allocation->client))) {
    return refuse(Cause::stale_nonce, 438);
  }
  // Every nonce that is valid here has the "password algorithms" bit.
  const auto choice = stun::algorithm_choice(message);
  if (!choice) return refuse(Cause::tampered, 400);
  if (message.text(Attribute::realm) != credentials_->realm()) {
    return refuse(Cause::wrong_realm, 401);
  }
  const auto name = name_in(message, allocation);
  if (!name) return refuse(Cause::unknown_user, 401);

  const auto signed_with = [&](const stun::LongTermKeys& keys) {
    return stun::verify_any_integrity(message, keys.of(choice->algorithm).bytes());
  };
  if (allocation != nullptr && *name == allocation->account.username) {
    const Account& owner = allocation->account;
    if (!owner.participant.empty() && !participants_.contains(owner.participant)) {
      return refuse(Cause::unknown_user, 401);
    }
    if (!signed_with(owner.keys)) return refuse(Cause::wrong_key, 401);
    return owner;
  }

  auto account = credentials_->find(*name, now, participants_, signed_with);
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

std::optional<std::string> Authenticator::name_in(const stun::MessageView& message,
                                                  const Allocation* allocation) const {
  if (const auto username = message.text(stun::Attribute::username)) {
    if (username->size() > limits::kMaxUsernameBytes) return std::nullopt;
    return std::string(*username);
  }
  const auto userhash = message.find(stun::Attribute::userhash);
  if (!userhash) return std::nullopt;
  // The owner of the allocation first: that one is also found after the credential ran out.
  if (allocation != nullptr) {
    const std::string& owner = allocation->account.username;
    if (stun::equal_in_constant_time(userhash->value,
                                     stun::userhash(owner, credentials_->realm()))) {
      return owner;
    }
  }
  return credentials_->name_of(userhash->value, participants_);
}

void Authenticator::challenge(stun::MessageWriter& reply, const FiveTuple& client, const Now& now) {
  reply.add_text(stun::Attribute::realm, credentials_->realm());
  reply.add_text(stun::Attribute::nonce,
                 nonces_.issue(client.transport, client.client, now).text());
  reply.add_bytes(stun::Attribute::password_algorithms, stun::kOfferedAlgorithms);
}

void Authenticator::sign(stun::MessageWriter& reply, const stun::MessageView& request,
                         const Account& account) {
  sign(reply, stun::algorithm_choice(request).value_or(stun::AlgorithmChoice{}), account);
}

void Authenticator::sign(stun::MessageWriter& reply, const stun::AlgorithmChoice& choice,
                         const Account& account) {
  const stun::Bytes key = account.keys.of(choice.algorithm).bytes();
  if (choice.negotiated) {
    reply.add_integrity_sha256(key);
  } else {
    reply.add_integrity(key);
  }
}

}  // namespace bedside::turn
