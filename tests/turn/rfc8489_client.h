// A client that has read RFC 8489: chooses a password algorithm, hides its name when it is told it
// may, checks what it gets; and every way to do one of these wrong.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stun/password_algorithm.h"
#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {

// How one request is written. The default is what §9.2.5 asks of a client that prefers SHA-256.
struct Manner {
  stun::PasswordAlgorithm algorithm = stun::PasswordAlgorithm::sha256;
  bool hide_name = false;        // USERHASH instead of USERNAME
  bool both_names = false;       // USERHASH and USERNAME
  bool sha1 = false;             // MESSAGE-INTEGRITY, first
  bool sha256 = true;            // MESSAGE-INTEGRITY-SHA256
  bool name_choice = true;       // PASSWORD-ALGORITHM
  bool repeat_offer = true;      // PASSWORD-ALGORITHMS
  std::optional<Packet> offer;   // instead of what the server offered
  std::optional<Packet> choice;  // instead of the algorithm's four bytes

  // What an RFC 5389 client does: no algorithm, MD5, HMAC-SHA1.
  static Manner old() {
    Manner manner;
    manner.algorithm = stun::PasswordAlgorithm::md5;
    manner.sha1 = true;
    manner.sha256 = manner.name_choice = manner.repeat_offer = false;
    return manner;
  }
};

// What somebody with the secret gives out for this name: base64(HMAC-SHA1(secret, name)).
std::string rest_password(std::string_view secret, std::string_view name);

class Rfc8489Client {
 public:
  Rfc8489Client(World& world, std::string_view address, std::string_view username = "alice",
                std::string_view password = "alice-password",
                ClientTransport transport = ClientTransport::udp);

  // An unsigned request; remembers REALM, NONCE and the offer of the answer.
  Reply challenge(stun::Method method = stun::Method::allocate);
  Packet request(stun::Method method, const Manner& manner = {}, const Fill& fill = {});
  // Signs with the last nonce, whatever the answer is.
  Reply ask(stun::Method method, const Manner& manner = {}, const Fill& fill = {});
  Reply allocate(const Manner& manner = {});  // with REQUESTED-TRANSPORT UDP

  bool signed_with_sha1(const Reply& reply, stun::PasswordAlgorithm algorithm) const;
  bool signed_with_sha256(const Reply& reply, stun::PasswordAlgorithm algorithm) const;

  Client wire;
  std::string username;
  std::string realm;
  std::string nonce;
  Packet offer;  // the value of PASSWORD-ALGORITHMS
  stun::LongTermKeys keys;
};

}  // namespace bedside::turn::testing
