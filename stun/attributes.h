// The one table of STUN attribute numbers, as registered with IANA.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace bedside::stun {

enum class Attribute : std::uint16_t {
  // Comprehension-required: 0x0000 to 0x7FFF.
  mapped_address = 0x0001,
  change_request = 0x0003,
  username = 0x0006,
  message_integrity = 0x0008,
  error_code = 0x0009,
  unknown_attributes = 0x000A,
  channel_number = 0x000C,
  lifetime = 0x000D,
  xor_peer_address = 0x0012,
  data = 0x0013,
  realm = 0x0014,
  nonce = 0x0015,
  xor_relayed_address = 0x0016,
  requested_address_family = 0x0017,
  even_port = 0x0018,
  requested_transport = 0x0019,
  dont_fragment = 0x001A,
  message_integrity_sha256 = 0x001C,
  password_algorithm = 0x001D,
  userhash = 0x001E,
  xor_mapped_address = 0x0020,
  reservation_token = 0x0022,
  padding = 0x0026,
  response_port = 0x0027,
  connection_id = 0x002A,
  // Comprehension-optional: 0x8000 to 0xFFFF.
  additional_address_family = 0x8000,
  address_error_code = 0x8001,
  password_algorithms = 0x8002,
  alternate_domain = 0x8003,
  icmp = 0x8004,
  software = 0x8022,
  alternate_server = 0x8023,
  fingerprint = 0x8028,
  response_origin = 0x802B,
  other_address = 0x802C,
  mobility_ticket = 0x8030,
};

struct AttributeRow {
  Attribute number;
  std::string_view name;  // as IANA spells it
};

// Every attribute of RFC 8489, RFC 8656, RFC 6062 and RFC 8016. A comprehension-required number
// that is not listed here is unknown to us (RFC 8489 §6.3.1): ACCESS-TOKEN (RFC 7635) is left out
// on purpose, that service is absent, and so are CHANGE-REQUEST, PADDING and RESPONSE-PORT (RFC
// 5780): only behavior_discovery.h knows them, where it is switched on.
inline constexpr std::array<AttributeRow, 31> kAttributes{{
    {Attribute::mapped_address, "MAPPED-ADDRESS"},
    {Attribute::username, "USERNAME"},
    {Attribute::message_integrity, "MESSAGE-INTEGRITY"},
    {Attribute::error_code, "ERROR-CODE"},
    {Attribute::unknown_attributes, "UNKNOWN-ATTRIBUTES"},
    {Attribute::channel_number, "CHANNEL-NUMBER"},
    {Attribute::lifetime, "LIFETIME"},
    {Attribute::xor_peer_address, "XOR-PEER-ADDRESS"},
    {Attribute::data, "DATA"},
    {Attribute::realm, "REALM"},
    {Attribute::nonce, "NONCE"},
    {Attribute::xor_relayed_address, "XOR-RELAYED-ADDRESS"},
    {Attribute::requested_address_family, "REQUESTED-ADDRESS-FAMILY"},
    {Attribute::even_port, "EVEN-PORT"},
    {Attribute::requested_transport, "REQUESTED-TRANSPORT"},
    {Attribute::dont_fragment, "DONT-FRAGMENT"},
    {Attribute::message_integrity_sha256, "MESSAGE-INTEGRITY-SHA256"},
    {Attribute::password_algorithm, "PASSWORD-ALGORITHM"},
    {Attribute::userhash, "USERHASH"},
    {Attribute::xor_mapped_address, "XOR-MAPPED-ADDRESS"},
    {Attribute::reservation_token, "RESERVATION-TOKEN"},
    {Attribute::connection_id, "CONNECTION-ID"},
    {Attribute::additional_address_family, "ADDITIONAL-ADDRESS-FAMILY"},
    {Attribute::address_error_code, "ADDRESS-ERROR-CODE"},
    {Attribute::password_algorithms, "PASSWORD-ALGORITHMS"},
    {Attribute::alternate_domain, "ALTERNATE-DOMAIN"},
    {Attribute::icmp, "ICMP"},
    {Attribute::software, "SOFTWARE"},
    {Attribute::alternate_server, "ALTERNATE-SERVER"},
    {Attribute::fingerprint, "FINGERPRINT"},
    {Attribute::mobility_ticket, "MOBILITY-TICKET"},
}};

// A receiver that does not know such an attribute must refuse the message (RFC 8489 §6.3).
[[nodiscard]] constexpr bool is_comprehension_required(Attribute number) noexcept {
  return static_cast<std::uint16_t>(number) < 0x8000;
}

[[nodiscard]] constexpr bool is_known(Attribute number) noexcept {
  for (const AttributeRow& row : kAttributes) {
    if (row.number == number) return true;
  }
  return false;
}

}  // namespace bedside::stun
