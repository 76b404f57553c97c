#include "stun/behavior_discovery.h"

#include <algorithm>
#include <optional>

#include "stun/message_writer.h"

namespace bedside::stun {
namespace {

// RFC 5780 §7.2.
constexpr std::uint32_t kChangeAddress = 0x04;
constexpr std::uint32_t kChangePort = 0x02;

constexpr std::size_t kAttributeHeader = 4;
constexpr std::size_t kFingerprintSize = 8;

constexpr bool is_ours(std::uint16_t type) noexcept {
  const auto attribute = static_cast<Attribute>(type);
  return attribute == Attribute::change_request || attribute == Attribute::response_port ||
         attribute == Attribute::padding;
}

struct Wish {
  bool change_address = false;
  bool change_port = false;
  std::optional<std::uint16_t> port;
  bool padded = false;
};

// Nothing: 400.
std::optional<Wish> read_wish(const MessageView& request, bool datagram) noexcept {
  Wish wish;
  wish.padded = request.has(Attribute::padding);
  const auto port = request.find(Attribute::response_port);
  const bool changes = request.has(Attribute::change_request);
  if (!datagram && (wish.padded || port)) return std::nullopt;
  if (changes) {
    const auto flags = request.u32(Attribute::change_request);
    if (!flags) return std::nullopt;
    wish.change_address = (*flags & kChangeAddress) != 0;
    wish.change_port = (*flags & kChangePort) != 0;
    if (!datagram && (wish.change_address || wish.change_port)) return std::nullopt;
  }
  if (port) {
    // §7.5: a port and two bytes of padding, which some count as part of the value.
    if (wish.padded || (port->value.size() != 2 && port->value.size() != 4)) return std::nullopt;
    wish.port = load_u16(port->value, 0);
    if (*wish.port == 0) return std::nullopt;
  }
  return wish;
}

// The layout of MAPPED-ADDRESS (RFC 8489 §14.1), which RESPONSE-ORIGIN and OTHER-ADDRESS share
// (§7.1).
void add_address(MessageWriter& writer, Attribute type, const Endpoint& endpoint) noexcept {
  std::array<std::uint8_t, 20> value{};
  const Bytes address = endpoint.address.bytes();
  value[1] = endpoint.address.is_v4() ? 1 : 2;
  store_u16(value, 2, endpoint.port);
  std::copy(address.begin(), address.end(), value.begin() + 4);
  writer.add_bytes(type, Bytes(value).first(4 + address.size()));
}

void add_padding(MessageWriter& writer, std::size_t most) noexcept {
  static constexpr std::array<std::uint8_t, 1500> kZeros{};
  const std::size_t used = writer.finish().size() + kAttributeHeader;
  const std::size_t room = most > used ? most - used : 0;
  writer.add_bytes(Attribute::padding, Bytes(kZeros).first(std::min(kZeros.size(), room / 4 * 4)));
}

}  // namespace

bool DiscoveryAddresses::has(const Endpoint& endpoint) const noexcept {
  return std::find(addresses.begin(), addresses.end(), endpoint.address) != addresses.end() &&
         std::find(ports.begin(), ports.end(), endpoint.port) != ports.end();
}

Endpoint DiscoveryAddresses::other(const Endpoint& endpoint, bool address,
                                   bool port) const noexcept {
  const bool second_address = (endpoint.address == addresses[1]) != address;
  const bool second_port = (endpoint.port == ports[1]) != port;
  return {addresses[second_address ? 1 : 0], ports[second_port ? 1 : 0]};
}

DiscoveryAnswer answer_discovery(const MessageView& request, const Endpoint& source,
                                 const Endpoint& server, bool datagram,
                                 const DiscoveryAddresses& addresses, MutableBytes out) noexcept {
  DiscoveryAnswer answer{{}, server, source};
  if (!request.is(Class::request, Method::binding)) return answer;
  std::array<std::uint16_t, UnknownAttributes::kMax> unknown{};
  std::size_t unknown_count = 0;
  if (request.has_unknown_required()) {
    const UnknownAttributes listed = request.unknown_required();
    for (const std::uint16_t type : listed.view()) {
      if (!is_ours(type)) unknown[unknown_count++] = type;
    }
  }
  const auto wish = read_wish(request, datagram);
  const bool refused = unknown_count > 0 || !wish;
  MessageWriter reply(out, refused ? Class::error : Class::success, Method::binding,
                      request.transaction());
  const bool fingerprint = request.has(Attribute::fingerprint);
  if (unknown_count > 0) {
    reply.add_error(420).add_unknown_attributes(std::span(unknown).first(unknown_count));
  } else if (!wish) {
    reply.add_error(400);
  } else {
    answer.from = addresses.other(server, wish->change_address, wish->change_port);
    answer.to.port = wish->port.value_or(source.port);
    reply.add_xor_address(Attribute::xor_mapped_address, source);
    // Once more in plain: where the two differ, something on the way rewrites addresses (§3.6).
    add_address(reply, Attribute::mapped_address, source);
    add_address(reply, Attribute::response_origin, answer.from);
    add_address(reply, Attribute::other_address, addresses.other(server, true, true));
    if (wish->padded) {
      add_padding(reply, request.bytes().size() - (fingerprint ? kFingerprintSize : 0));
    }
  }
  if (fingerprint) reply.add_fingerprint();
  answer.bytes = reply.finish();
  return answer;
}

}  // namespace bedside::stun
