#include "tests/support/turn_wire.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "turn/channel_data.h"

namespace bedside::turn::testing {

using stun::Attribute;
using stun::MessageWriter;

int Reply::code() const {
  const auto error = view().error_code();
  return error ? error->code : 0;
}

std::vector<stun::Endpoint> Reply::all_relayed() const {
  std::vector<stun::Endpoint> all;
  const stun::MessageView message = view();
  for (const stun::AttributeView& attribute : message) {
    if (attribute.type != Attribute::xor_relayed_address) continue;
    all.push_back(message.decode_xor_address(attribute).value());
  }
  return all;
}

Packet Signer::request(stun::Method method, const stun::TransactionId& id, const Fill& fill,
                       bool sign) const {
  Packet buffer(4096);
  MessageWriter writer(buffer, stun::Class::request, method, id);
  if (fill) fill(writer);
  if (sign) {
    writer.add_text(Attribute::username, username);
    writer.add_text(Attribute::realm, realm);
    writer.add_text(Attribute::nonce, nonce);
    writer.add_integrity(key.bytes());
  }
  if (fingerprint) writer.add_fingerprint();
  buffer.resize(writer.finish().size());
  return buffer;
}

Fill udp_transport() {
  return [](MessageWriter& writer) { writer.add_u32(Attribute::requested_transport, 17U << 24); };
}

Fill lifetime(std::uint32_t seconds) {
  return [=](MessageWriter& writer) { writer.add_u32(Attribute::lifetime, seconds); };
}

Fill even_port(bool reserve_next) {
  return [=](MessageWriter& writer) {
    const std::array<std::uint8_t, 1> value{static_cast<std::uint8_t>(reserve_next ? 0x80 : 0x00)};
    writer.add_bytes(Attribute::even_port, value);
  };
}

Fill family(Attribute attribute, std::uint8_t value) {
  return [=](MessageWriter& writer) { writer.add_u32(attribute, std::uint32_t{value} << 24); };
}

Fill peers(std::vector<stun::Endpoint> endpoints) {
  return [endpoints = std::move(endpoints)](MessageWriter& writer) {
    for (const stun::Endpoint& peer : endpoints) {
      writer.add_xor_address(Attribute::xor_peer_address, peer);
    }
  };
}

Fill channel(std::uint16_t number, stun::Endpoint peer) {
  return [=](MessageWriter& writer) {
    writer.add_u32(Attribute::channel_number, std::uint32_t{number} << 16);
    writer.add_xor_address(Attribute::xor_peer_address, peer);
  };
}

Received read(const Packet& packet) {
  if (classify(packet.at(0)) == PacketKind::channel_data) {
    const auto data = parse_channel_data(packet).value();
    return {data.number, std::nullopt, std::string(data.payload.begin(), data.payload.end())};
  }
  const auto message = stun::MessageView::parse(packet).value();
  assert(message.is(stun::Class::indication, stun::Method::data));
  return {std::nullopt, message.xor_address(Attribute::xor_peer_address),
          std::string(message.text(Attribute::data).value_or(""))};
}

Packet channel_data(std::uint16_t channel, std::string_view payload) {
  Packet packet(limits::kChannelHeaderSize + payload.size());
  write_channel_header(packet, channel, payload.size());
  std::copy(payload.begin(), payload.end(), packet.begin() + limits::kChannelHeaderSize);
  return packet;
}

Packet send_indication(const stun::Endpoint& peer, std::string_view payload, bool dont_fragment) {
  Packet buffer(payload.size() + 128);
  stun::TransactionId id{};
  id.fill(7);
  stun::MessageWriter writer(buffer, stun::Class::indication, stun::Method::send, id);
  writer.add_xor_address(Attribute::xor_peer_address, peer);
  writer.add_bytes(Attribute::data, stun::as_bytes(payload));
  if (dont_fragment) writer.add_flag(Attribute::dont_fragment);
  buffer.resize(writer.finish().size());
  return buffer;
}

}  // namespace bedside::turn::testing
