#include "tests/turn/rfc8489_client.h"

#include <openssl/evp.h>

#include <array>

namespace bedside::turn::testing {

using stun::Attribute;
using stun::MessageWriter;

std::string rest_password(std::string_view secret, std::string_view name) {
  stun::Sha1Digest digest{};
  if (!stun::hmac_sha1(stun::as_bytes(secret), {stun::as_bytes(name)}, digest)) return {};
  std::array<std::uint8_t, 29> text{};
  const int size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
  return {text.begin(), text.begin() + size};
}

Rfc8489Client::Rfc8489Client(World& world, std::string_view address, std::string_view user,
                             std::string_view password, ClientTransport transport)
    : wire(world, address, std::string(user), std::string(password), transport),
      username(user),
      realm(World::kRealm),
      keys(user, World::kRealm, password) {}

Reply Rfc8489Client::challenge(stun::Method method) {
  Reply reply = wire.send(wire.unsigned_request(method, udp_transport())).value();
  realm = reply.text(Attribute::realm);
  nonce = reply.text(Attribute::nonce);
  const std::string offered = reply.text(Attribute::password_algorithms);
  offer.assign(offered.begin(), offered.end());
  return reply;
}

Packet Rfc8489Client::request(stun::Method method, const Manner& manner, const Fill& fill) {
  return wire.unsigned_request(method, [&](MessageWriter& writer) {
    if (fill) fill(writer);
    if (manner.hide_name || manner.both_names) {
      writer.add_bytes(Attribute::userhash, stun::userhash(username, realm));
    }
    if (!manner.hide_name) writer.add_text(Attribute::username, username);
    writer.add_text(Attribute::realm, realm);
    writer.add_text(Attribute::nonce, nonce);
    if (manner.repeat_offer) {
      writer.add_bytes(Attribute::password_algorithms, manner.offer.value_or(offer));
    }
    if (manner.name_choice) {
      const auto number = static_cast<std::uint8_t>(manner.algorithm);
      writer.add_bytes(Attribute::password_algorithm,
                       manner.choice.value_or(Packet{0, number, 0, 0}));
    }
    const stun::Bytes key = keys.of(manner.algorithm).bytes();
    if (manner.sha1) writer.add_integrity(key);
    if (manner.sha256) writer.add_integrity_sha256(key);
  });
}

Reply Rfc8489Client::ask(stun::Method method, const Manner& manner, const Fill& fill) {
  return wire.send(request(method, manner, fill)).value();
}

Reply Rfc8489Client::allocate(const Manner& manner) {
  return ask(stun::Method::allocate, manner, udp_transport());
}

bool Rfc8489Client::signed_with_sha1(const Reply& reply, stun::PasswordAlgorithm algorithm) const {
  return stun::verify_integrity(reply.view(), keys.of(algorithm).bytes());
}

bool Rfc8489Client::signed_with_sha256(const Reply& reply,
                                       stun::PasswordAlgorithm algorithm) const {
  return stun::verify_integrity_sha256(reply.view(), keys.of(algorithm).bytes());
}

}  // namespace bedside::turn::testing
