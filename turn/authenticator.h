#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

#include "stun/message.h"
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

  bool with_challenge() const { return code == 401 || code == 438; }  // REALM and NONCE
};

// The long-term credential mechanism of RFC 8489 §9.2 on the server's side, stateless for
// strangers.
//
// Decided where the RFC is silent or leaves room:
//  - the nonce is checked before the HMAC: a flood with stale nonces costs one small hash;
//  - a wrong realm is 401, like a wrong user;
//  - requests of an existing allocation by its own user are checked with the key the allocation
//    keeps: a short-lived credential that runs out during a call does not end the call. What ends
//    it is that its participant is no longer live (checked here each time) or is revoked.
class Authenticator {
 public:
  Authenticator(const Credentials& credentials, const LiveParticipants& participants,
                const NonceKey& nonce_key)
      : credentials_(credentials), participants_(participants), nonces_(nonce_key) {}

  // Who sent this request. `allocation` is what the sender's 5-tuple owns, or null.
  tl::expected<Account, AuthRefusal> check(const stun::MessageView& message,
                                           const FiveTuple& client, const Allocation* allocation,
                                           const Now& now);

  Nonce fresh_nonce(const FiveTuple& client, const Now& now) {
    return nonces_.issue(client.transport, client.client, now);
  }
  std::string_view realm() const { return credentials_.realm(); }

 private:
  const Credentials& credentials_;
  const LiveParticipants& participants_;
  Nonces nonces_;
};

}  // namespace bedside::turn
