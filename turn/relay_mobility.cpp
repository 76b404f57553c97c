// How an allocation follows its client to another address (RFC 8016).

#include <charconv>

#include "stun/integrity.h"
#include "turn/mobility.h"
#include "turn/relay_request.h"

namespace bedside::turn {
namespace {

constexpr std::size_t kSlotDigits = 8;

void write_hex(stun::Bytes bytes, char* out) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 0x0F];
  }
}

}  // namespace

MobilityTicket MobilityTicket::make(std::uint32_t slot, Random& random) {
  std::array<std::uint8_t, kSize / 2> bytes{};
  random.fill(bytes);
  stun::store_u32(bytes, 0, slot);
  MobilityTicket ticket;
  write_hex(bytes, ticket.text_.data());
  return ticket;
}

std::optional<std::uint32_t> MobilityTicket::slot_in(stun::Bytes ticket) {
  if (ticket.size() != kSize) return std::nullopt;
  const std::string_view digits = stun::as_text(ticket).substr(0, kSlotDigits);
  std::uint32_t slot = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), slot, 16);
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return slot;
}

bool MobilityTicket::matches(stun::Bytes ticket) const {
  return stun::equal_in_constant_time(ticket, stun::as_bytes(text()));
}

// A Refresh from a 5-tuple without an allocation may name one by its ticket. Null: it names none.
Allocation* Relay::arriving(const stun::MessageView& message) {
  const auto ticket = message.find(stun::Attribute::mobility_ticket);
  if (!settings_.mobility || !ticket) return nullptr;
  const auto slot = MobilityTicket::slot_in(ticket->value);
  Allocation* allocation = slot ? allocations_.at(*slot) : nullptr;
  if (allocation == nullptr || !allocation->mobility) return nullptr;
  return allocation->mobility->accept(ticket->value) ? allocation : nullptr;
}

// The request was believed and its nonce is good for this address only, so the client really
// receives there: data goes there from now on, without waiting for more (RFC 8016 §3.2.2).
void Relay::move(Allocation& allocation, const Request& request) {
  const auto used = request.message.find(stun::Attribute::mobility_ticket);
  allocations_.rebind(allocation, request.client);
  for (const auto& half : allocation.halves) {
    if (half) around_.ports->hand_over(half->port.id);
  }
  allocation.mobility->rotate(used->value, MobilityTicket::make(allocation.slot, *around_.random));
  ++counters_.moved;
}

// Its connection is gone; until it expires the client may come back with its ticket.
void Relay::leave_behind(Allocation& allocation) {
  allocations_.detach(allocation);
  for (const auto& half : allocation.halves) {
    if (half) around_.ports->hand_over(half->port.id);
  }
}

}  // namespace bedside::turn
