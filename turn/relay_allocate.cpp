// The Allocate request of a Relay (RFC 8656 §7.2), checked in the order the RFC gives.

#include <algorithm>
#include <utility>

#include "turn/relay_request.h"

namespace bedside::turn {

struct Relay::AllocateWish {
  PeerTransport transport = PeerTransport::udp;
  std::array<bool, 2> families{};  // IPv4, IPv6
  bool even = false;
  bool reserve_next = false;
  std::optional<ReservationToken> token;
  std::chrono::seconds lifetime{};
};

struct Relay::OpenedPorts {
  std::array<std::optional<RelayPort>, 2> ports;  // IPv4, IPv6
  std::optional<ReservationToken> token;
  int other_family_error = 0;  // 0: the client has everything it asked for

  bool any() const { return ports[0] || ports[1]; }
};

namespace {

using stun::Attribute;

constexpr std::uint8_t kFamilyIpv4 = 0x01;
constexpr std::uint8_t kFamilyIpv6 = 0x02;
constexpr std::size_t kRandomTries = 16;
constexpr std::size_t kScanTries = 1024;

int code_of(PortError error) { return error == PortError::family_unavailable ? 440 : 508; }

// Present but of the wrong size: nothing a conforming client sends.
bool broken_u32(const stun::MessageView& message, Attribute type) {
  return message.has(type) && !message.u32(type);
}
bool broken_u8(const stun::MessageView& message, Attribute type) {
  return message.has(type) && !message.u8(type);
}

// REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY (§7.2 step 6). 0 or an error code.
int read_families(const stun::MessageView& message, std::array<bool, 2>& families) {
  if (broken_u8(message, Attribute::requested_address_family) ||
      broken_u8(message, Attribute::additional_address_family)) {
    return 400;
  }
  const auto requested = message.u8(Attribute::requested_address_family);
  const auto additional = message.u8(Attribute::additional_address_family);
  if (requested && additional) return 400;
  if (additional) {
    families = {true, true};
    return *additional == kFamilyIpv6 ? 0 : 400;
  }
  if (requested && *requested != kFamilyIpv4 && *requested != kFamilyIpv6) return 440;
  const bool ipv6 = requested == kFamilyIpv6;
  families = {!ipv6, ipv6};
  return 0;
}

// RESERVATION-TOKEN and EVEN-PORT (§7.2 steps 5 to 7). 0 or an error code.
int read_port_wishes(const stun::MessageView& message, bool& even, bool& reserve_next,
                     std::optional<ReservationToken>& token) {
  if (broken_u8(message, Attribute::even_port)) return 400;
  const auto even_port = message.u8(Attribute::even_port);
  even = even_port.has_value();
  reserve_next = even && (*even_port & 0x80) != 0;
  const auto claimed = message.find(Attribute::reservation_token);
  if (claimed) {
    token.emplace();
    if (claimed->value.size() != token->size()) return 400;
    std::copy(claimed->value.begin(), claimed->value.end(), token->begin());
    const bool clashes = even || message.has(Attribute::requested_address_family) ||
                         message.has(Attribute::additional_address_family);
    if (clashes) return 400;
  }
  if (reserve_next && message.has(Attribute::additional_address_family)) return 400;
  return 0;
}

// RFC 8489 §14.15: in the form of MAPPED-ADDRESS (§14.1), without XOR.
void add_alternate_server(stun::MessageWriter& writer, const stun::Endpoint& server) {
  const stun::Bytes address = server.address.bytes();
  std::array<std::uint8_t, 20> value{};
  value[1] = static_cast<std::uint8_t>(server.address.family());
  stun::store_u16(value, 2, server.port);
  std::copy(address.begin(), address.end(), value.begin() + 4);
  writer.add_bytes(Attribute::alternate_server, stun::Bytes(value).first(4 + address.size()));
}

// RFC 6062 §5.1: over TCP and TLS only, and without what is about datagrams.
bool fits_tcp(const stun::MessageView& message, ClientTransport transport) {
  return is_stream(transport) && !message.has(Attribute::even_port) &&
         !message.has(Attribute::reservation_token) && !message.has(Attribute::dont_fragment);
}

}  // namespace

std::chrono::seconds granted_lifetime(std::optional<std::uint32_t> requested) {
  if (!requested) return limits::kDefaultLifetime;
  const std::chrono::seconds wanted(*requested);
  return std::clamp(wanted, limits::kDefaultLifetime, limits::kMaxLifetime);
}

ClientVerdict Relay::on_allocate(const Request& request, const Account& account) {
  if (const Allocation* existing = allocations_.find(request.client)) {
    const bool retransmitted = existing->reply.transaction == request.message.transaction() &&
                               request.now.mono - existing->reply.sent < limits::kRetransmitWindow;
    if (retransmitted) return allocate_reply(request, *existing);
    return error(request, account, 437);
  }
  const stun::MessageView& message = request.message;
  const auto transport = message.u8(Attribute::requested_transport);
  if (!transport) return error(request, account, 400);
  AllocateWish wish;
  wish.transport = static_cast<PeerTransport>(*transport);
  const bool tcp = wish.transport == PeerTransport::tcp && settings_.tcp_relay;
  if (!tcp && wish.transport != PeerTransport::udp) return error(request, account, 442);
  if (tcp && !fits_tcp(message, request.client.transport)) return error(request, account, 400);
  if (const int code = read_port_wishes(message, wish.even, wish.reserve_next, wish.token)) {
    return error(request, account, code);
  }
  if (const int code = read_families(message, wish.families)) return error(request, account, code);
  if (broken_u32(message, Attribute::lifetime)) return error(request, account, 400);
  const auto ticket = message.find(Attribute::mobility_ticket);
  if (settings_.mobility && ticket && !ticket->value.empty()) return error(request, account, 400);
  wish.lifetime = granted_lifetime(message.u32(Attribute::lifetime));

  if (!accepting_) return redirect(request, account);
  if (allocations_.size() >= settings_.quotas.allocations_per_shard) {
    return quota_reached(request, account, QuotaKind::server_allocations);
  }
  switch (around_.ledger->acquire(account.name, request.client.client.address, request.now.mono)) {
    case AllocationLedger::Answer::user_full:
      return quota_reached(request, account, QuotaKind::user_allocations);
    case AllocationLedger::Answer::source_full:
      return quota_reached(request, account, QuotaKind::source_allocations);
    case AllocationLedger::Answer::server_full:
      return quota_reached(request, account, QuotaKind::server_allocations);
    case AllocationLedger::Answer::granted:
      break;
  }
  return allocate(request, account, wish);
}

// RFC 8489 §10: the alternate server has the family of the client's address. The reply is signed:
// clients must not follow an unsigned one.
ClientVerdict Relay::redirect(const Request& request, const Account& account) {
  const auto& alternate =
      settings_.alternate_server[Allocation::index(request.client.client.address.family())];
  if (!alternate) return quota_reached(request, account, QuotaKind::not_accepting);
  ++counters_.redirects;
  stun::MessageWriter writer(scratch_, stun::Class::error, stun::Method::allocate,
                             request.message.transaction());
  writer.add_error(300);
  add_alternate_server(writer, *alternate);
  finish(request, writer, &account);
  return sent(writer.finish());
}

ClientVerdict Relay::allocate(const Request& request, const Account& account,
                              const AllocateWish& wish) {
  const Now& now = request.now;
  OpenedPorts opened;
  if (const int code = open_ports(wish, opened, now)) {
    around_.ledger->release(account.name, request.client.client.address);
    if (code == 508 && !wish.token) return quota_reached(request, account, QuotaKind::ports);
    return error(request, account, code);
  }
  ++opened_;
  Allocation allocation{
      .serial = {(std::uint64_t{settings_.shard} << 48) | opened_},
      .client = request.client,
      .account = account,
      .halves = {},
      .relayed_transport = wish.transport,
      .permissions = {},
      .channels = {},
      .reply = {request.message.transaction(), now.mono, wish.lifetime, opened.token,
                opened.other_family_error},
      .opened = now.mono,
      .to_peer = {},
      .to_client = {},
      .packet_rate = {},
      .bit_rate = {},
      .new_peer_rate = {},
      .icmp_rate = {},
      .slot = 0,
      .source = request.client.client.address,
      .mobility = {},
      .connections = {},
  };
  AllocationOpened event{allocation.serial,
                         Party{request.client, account.name, account.participant},
                         {},
                         wish.lifetime,
                         wish.transport};
  for (std::size_t i = 0; i < opened.ports.size(); ++i) {
    if (!opened.ports[i]) continue;
    allocation.halves[i] = RelayedHalf{*opened.ports[i], now.mono + wish.lifetime};
    event.relayed[i] = opened.ports[i]->relayed;
  }
  Allocation& placed = allocations_.insert(std::move(allocation));
  // The data connections of a TCP allocation could not follow.
  if (settings_.mobility && !placed.relays_tcp() &&
      request.message.has(Attribute::mobility_ticket)) {
    placed.mobility.emplace(
        MobilityTickets{MobilityTicket::make(placed.slot, *around_.random), {}});
  }
  ++counters_.allocations;
  ++counters_.allocations_opened;
  events_.emplace_back(std::move(event));
  return allocate_reply(request, placed);
}

// The same for the first answer and for each retransmission within the window.
ClientVerdict Relay::allocate_reply(const Request& request, const Allocation& allocation) {
  const AllocateReply& reply = allocation.reply;
  stun::MessageWriter writer(scratch_, stun::Class::success, stun::Method::allocate,
                             request.message.transaction());
  for (const auto& half : allocation.halves) {
    if (half) writer.add_xor_address(Attribute::xor_relayed_address, half->port.relayed);
  }
  writer.add_u32(Attribute::lifetime, static_cast<std::uint32_t>(reply.lifetime.count()));
  if (reply.token) writer.add_bytes(Attribute::reservation_token, *reply.token);
  if (allocation.mobility) {
    writer.add_text(Attribute::mobility_ticket, allocation.mobility->current.text());
  }
  writer.add_xor_address(Attribute::xor_mapped_address, request.client.client);
  if (reply.other_family_error != 0) {  // RFC 8656 §18.12: family, class, number
    const bool ipv4_missing = !allocation.halves[0];
    const auto family = static_cast<std::uint32_t>(ipv4_missing ? kFamilyIpv4 : kFamilyIpv6);
    const auto code = static_cast<std::uint32_t>(reply.other_family_error);
    writer.add_u32(Attribute::address_error_code,
                   (family << 24) | ((code / 100) << 8) | (code % 100));
  }
  return success(request, allocation.account, writer);
}

int Relay::open_ports(const AllocateWish& wish, OpenedPorts& opened, const Now& now) {
  if (wish.token) return open_reserved(*wish.token, opened, now);
  if (wish.reserve_next) {
    return open_pair(opened, wish.families[0] ? stun::Family::ipv4 : stun::Family::ipv6, now);
  }
  for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
    const std::size_t i = Allocation::index(family);
    if (!wish.families[i]) continue;
    const auto port = try_ports(wish.even, [&](std::uint16_t number) {
      return around_.ports->open(wish.transport, family, number, now);
    });
    if (port) {
      opened.ports[i] = *port;
    } else {
      opened.other_family_error = code_of(port.error());
    }
  }
  return opened.any() ? 0 : opened.other_family_error;
}

int Relay::open_reserved(const ReservationToken& token, OpenedPorts& opened, const Now& now) {
  const auto reservation = around_.ports->claim(token, now);
  if (!reservation) return 508;
  const auto port =
      around_.ports->open(PeerTransport::udp, reservation->family, reservation->port, now);
  if (!port) return code_of(port.error());
  opened.ports[Allocation::index(reservation->family)] = *port;
  return 0;
}

int Relay::open_pair(OpenedPorts& opened, stun::Family family, const Now& now) {
  Reservation next{{}, family, 0, now.mono + limits::kReservationLifetime};
  around_.random->fill(next.token);
  const auto port = try_ports(true, [&](std::uint16_t number) -> PortResult {
    if (number >= settings_.last_port) return tl::make_unexpected(PortError::in_use);
    next.port = static_cast<std::uint16_t>(number + 1);
    // The neighbour first: giving back a reservation costs nothing, a closed port has to rest.
    if (!around_.ports->reserve(next, now)) return tl::make_unexpected(PortError::in_use);
    auto even = around_.ports->open(PeerTransport::udp, family, number, now);
    if (!even) around_.ports->claim(next.token, now);
    return even;
  });
  if (!port) return code_of(port.error());
  opened.ports[Allocation::index(family)] = *port;
  opened.token = next.token;
  return 0;
}

// Random numbers first, so that nobody can guess the next port; then a bounded scan from a random
// place, so that a nearly full range still serves. An error is that of the last attempt.
template <typename Attempt>
Relay::PortResult Relay::try_ports(bool even, Attempt attempt) {
  const std::uint32_t count = std::uint32_t{settings_.last_port} - settings_.first_port + 1;
  const std::size_t tries = kRandomTries + std::min<std::size_t>(count, kScanTries);
  std::uint32_t offset = 0;
  PortResult result = tl::make_unexpected(PortError::in_use);
  for (std::size_t i = 0; i < tries; ++i) {
    offset = i <= kRandomTries ? random_below(count) : (offset + 1) % count;
    const std::uint32_t number = settings_.first_port + offset;
    if (even && number % 2 != 0) continue;
    result = attempt(static_cast<std::uint16_t>(number));
    if (result || result.error() != PortError::in_use) return result;
  }
  return result;
}

std::uint32_t Relay::random_below(std::uint32_t bound) {
  std::array<std::uint8_t, 4> bytes{};
  around_.random->fill(bytes);
  return static_cast<std::uint32_t>((std::uint64_t{stun::load_u32(bytes, 0)} * bound) >> 32);
}

}  // namespace bedside::turn
