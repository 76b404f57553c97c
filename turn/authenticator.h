#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "stun/message.h"
#include "stun/message_writer.h"
#include "stun/password_algorithm.h"
#include "turn/allocation.h"
#include "turn/credentials.h"
#include "turn/five_tuple.h"
#include "turn/nonce.h"
#include "turn/now.h"

namespace bedside::turn {

// Why a request is not believed, as the error the client gets (RFC 8489 §9.2.4).
struct AuthRefusal {
  enum class Cause : std::uint8_t {
    no_integrity,  // 401: how every conversation starts, no failure
    incomplete,    // 400
    tampered,      // 400: not the algorithms we offered (bid-down protection)
    stale_nonce,   // 438: routine as well
    wrong_realm,   // 401
    unknown_user,  // 401: every reason to refuse a name
    wrong_key,     // 401
    other_user,    // 441, answered with integrity: this 5-tuple belongs to somebody else
  };
  Cause cause = Cause::no_integrity;
  int code = 401;
  // The user who was proven but may not touch this allocation; only for other_user.
  std::optional<Account> account;

  bool with_challenge() const { return code == 401 || code == 438; }
};

// The long-term credential mechanism of RFC 8489 §9.2 on the server's side, stateless for
// strangers.
//
// Decided where the RFC is silent or leaves room:
//  - the nonce is checked before the HMAC: a flood with stale nonces costs one small hash;
//  - a wrong realm is 401, like a wrong user;
//  - where USERNAME and USERHASH are both there, USERNAME counts; a USERHASH that is nobody's is
//    answered like an unknown USERNAME;
//  - requests of an existing allocation by its own user are checked with the keys the allocation
//    keeps: a short-lived credential that runs out during a call does not end the call. What ends
//    it is that its participant is no longer live (checked here each time) or is revoked.
class Authenticator {
 public:
  Authenticator(const Credentials& credentials, const LiveParticipants& participants,
                const NonceKey& nonce_key)
      : credentials_(&credentials),
        participants_(participants),
        nonces_(nonce_key, features(credentials)) {}

  // Other credentials from the next request on; allocations keep the keys they were made with. The
  // former ones may go, these must outlive this object or the next call.
  void set_credentials(const Credentials& credentials) {
    credentials_ = &credentials;
    nonces_.set_features(features(credentials));
  }

  // Who sent this request. `allocation` is what the sender's 5-tuple owns, or null.
  tl::expected<Account, AuthRefusal> check(const stun::MessageView& message,
                                           const FiveTuple& client, const Allocation* allocation,
                                           const Now& now);

  // REALM, NONCE and PASSWORD-ALGORITHMS. Always the three together: a client must ignore a nonce
  // that promises algorithms where there are none (§9.2.5, checklist B.23).
  void challenge(stun::MessageWriter& reply, const FiveTuple& client, const Now& now);

  // The integrity of a reply to a request that check() has let through: MESSAGE-INTEGRITY-SHA256 if
  // the request named its algorithm, MESSAGE-INTEGRITY for old clients (§9.2.4, checklist B.22).
  static void sign(stun::MessageWriter& reply, const stun::MessageView& request,
                   const Account& account);
  // The same for an answer that comes after its request is gone.
  static void sign(stun::MessageWriter& reply, const stun::AlgorithmChoice& choice,
                   const Account& account);

 private:
  static stun::SecurityFeatures features(const Credentials& credentials) {
    return {.password_algorithms = true, .username_anonymity = credentials.names_can_be_hidden()};
  }
  // The name of whoever sent this; nothing for one that is nobody's.
  std::optional<std::string> name_in(const stun::MessageView& message,
                                     const Allocation* allocation) const;

  const Credentials* credentials_;
  const LiveParticipants& participants_;
  Nonces nonces_;
};

}  // namespace bedside::turn
