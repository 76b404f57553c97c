// TURN messages as a client writes and reads them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stun/endpoint.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/message_writer.h"

namespace bedside::turn::testing {

using Packet = std::vector<std::uint8_t>;

inline stun::Endpoint endpoint(std::string_view text) {
  return stun::Endpoint::parse(text).value();
}
inline stun::IpAddress address(std::string_view text) {
  return stun::IpAddress::parse(text).value();
}

// A reply, copied out of the relay's scratch.
class Reply {
 public:
  explicit Reply(Packet bytes) : bytes_(std::move(bytes)) {}

  stun::MessageView view() const { return stun::MessageView::parse(bytes_).value(); }
  bool ok() const { return view().message_class() == stun::Class::success; }
  int code() const;  // of an error; 0 for a success
  std::optional<stun::Endpoint> relayed() const {
    return view().xor_address(stun::Attribute::xor_relayed_address);
  }
  std::vector<stun::Endpoint> all_relayed() const;
  std::optional<std::uint32_t> lifetime() const { return view().u32(stun::Attribute::lifetime); }
  std::string text(stun::Attribute type) const {
    return std::string(view().text(type).value_or(""));
  }
  bool has(stun::Attribute type) const { return view().has(type); }
  const Packet& bytes() const { return bytes_; }

 private:
  Packet bytes_;
};

using Fill = std::function<void(stun::MessageWriter&)>;

// Signs requests with a long-term credential (RFC 8489 §9.2).
struct Signer {
  Signer(std::string user, std::string_view in_realm, std::string_view password)
      : username(std::move(user)),
        realm(in_realm),
        key(stun::LongTermKey::md5(username, in_realm, password)) {}

  Packet request(stun::Method method, const stun::TransactionId& id, const Fill& fill,
                 bool sign = true) const;

  std::string username;
  std::string realm;
  std::string nonce;
  stun::LongTermKey key;
  bool fingerprint = false;
};

// What requests are filled with.
Fill udp_transport();
Fill lifetime(std::uint32_t seconds);
Fill even_port(bool reserve_next);
Fill family(stun::Attribute attribute, std::uint8_t value);
Fill peers(std::vector<stun::Endpoint> endpoints);
Fill channel(std::uint16_t number, stun::Endpoint peer);

// ChannelData and Data indications as a client reads them.
struct Received {
  std::optional<std::uint16_t> channel;
  std::optional<stun::Endpoint> peer;
  std::string payload;
};
Received read(const Packet& packet);

Packet channel_data(std::uint16_t channel, std::string_view payload);
Packet send_indication(const stun::Endpoint& peer, std::string_view payload,
                       bool dont_fragment = false);

}  // namespace bedside::turn::testing
