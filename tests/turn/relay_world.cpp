#include "relay_world.h"

#include <algorithm>
#include <cassert>

#include "turn/channel_data.h"

namespace bedside::turn::testing {
namespace {

using stun::Attribute;

Credentials make_credentials() {
  CredentialsConfig config;
  config.realm = World::kRealm;
  config.participant_secrets = {std::string(World::kParticipantSecret)};
  config.shared_secrets = {std::string(World::kSharedSecret)};
  config.users = {{"alice", "alice-password"}, {"bob", "bob-password"}};
  return Credentials::make(std::move(config)).value();
}

PeerPolicyConfig with_own_addresses(PeerPolicyConfig config) {
  config.own_addresses.push_back(address("198.41.0.4"));
  config.own_addresses.push_back(address("2606:4700::4"));
  config.own_ports.push_back(3478);
  return config;
}

RelaySettings make_settings(const WorldOptions& options) {
  RelaySettings settings;
  settings.shard = 3;
  settings.first_port = options.first_port;
  settings.last_port = options.last_port;
  settings.quotas = options.quotas;
  settings.accept_rfc5766_channels = options.accept_rfc5766_channels;
  settings.nonce_key.fill(0x5a);
  return settings;
}

}  // namespace

tl::expected<RelayPort, PortError> FakePorts::open(stun::Family family, std::uint16_t port,
                                                   const Now& now) {
  if (exhausted) return tl::make_unexpected(PortError::exhausted);
  const auto& public_address = external[Allocation::index(family)];
  if (!public_address) return tl::make_unexpected(PortError::family_unavailable);
  const stun::Endpoint relayed{*public_address, port};
  const auto rest = rests_until_.find(relayed);
  const bool resting = rest != rests_until_.end() && now.mono < rest->second;
  if (contains(relayed) || resting || reservations_.holds(family, port, now)) {
    return tl::make_unexpected(PortError::in_use);
  }
  std::uint32_t id = 0;
  while (open_.contains(id)) ++id;
  const RelayPort opened{{id}, relayed, relayed};
  open_.emplace(id, opened);
  return opened;
}

void FakePorts::close(RelayPortId id, const Now& now) {
  const auto found = open_.find(id.value);
  assert(found != open_.end());
  rests_until_[found->second.relayed] = now.mono + limits::kRelayPortRest;
  open_.erase(found);
}

bool FakePorts::reserve(const Reservation& reservation, const Now& now) {
  const stun::Endpoint relayed{*external[Allocation::index(reservation.family)], reservation.port};
  return !contains(relayed) && reservations_.add(reservation, now);
}

std::optional<Reservation> FakePorts::claim(const ReservationToken& token, const Now& now) {
  return reservations_.claim(token, now);
}

bool FakePorts::contains(const stun::Endpoint& relayed) const noexcept {
  return find(relayed) != nullptr;
}

const RelayPort* FakePorts::find(const stun::Endpoint& relayed) const {
  for (const auto& [id, port] : open_) {
    if (port.relayed == relayed) return &port;
  }
  return nullptr;
}

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

World::World(const WorldOptions& options)
    : credentials(make_credentials()),
      ledger(options.quotas.allocations_per_user),
      random(options.seed),
      relay(make_settings(options),
            RelaySurroundings{&credentials, &participants, &ports, &ledger, &ports, &random},
            PeerPolicy::make(with_own_addresses(options.peers)).value()) {}

ClientVerdict World::from_client(const FiveTuple& client, Packet packet) {
  // Verdicts may borrow the packet: it stays here until the next one.
  static thread_local Packet held;
  held = std::move(packet);
  const ClientVerdict verdict = relay.on_client(client, held, now);
  if (const Drop* drop = std::get_if<Drop>(&verdict)) last_drop_ = drop->reason;
  return verdict;
}

std::optional<Packet> World::from_peer(const stun::Endpoint& relayed, std::string_view from,
                                       std::string_view payload) {
  const RelayPort* port = ports.find(relayed);
  if (port == nullptr) return std::nullopt;
  // Not zero around the payload: padding must be written, not found.
  Packet buffer(PeerDatagram::kHeadroom + payload.size() + PeerDatagram::kTailroom, 0xEE);
  std::copy(payload.begin(), payload.end(), buffer.begin() + PeerDatagram::kHeadroom);
  const PeerDatagram datagram{buffer, PeerDatagram::kHeadroom, payload.size()};
  const PortVerdict verdict = relay.on_peer(port->id, endpoint(from), datagram, now);
  if (const Drop* drop = std::get_if<Drop>(&verdict)) {
    last_drop_ = drop->reason;
    return std::nullopt;
  }
  const stun::Bytes bytes = std::get<ToOwner>(verdict).bytes;
  return Packet(bytes.begin(), bytes.end());
}

void World::advance(std::chrono::nanoseconds by) {
  now.mono += by;
  now.wall += std::chrono::duration_cast<std::chrono::seconds>(by);
}

Client::Client(World& in, std::string_view client_address, std::string name, std::string password,
               ClientTransport transport)
    : world(in),
      tuple{transport, endpoint(client_address), endpoint("198.41.0.4:3478")},
      username(std::move(name)),
      key(stun::LongTermKey::md5(username, World::kRealm, password)) {}

stun::TransactionId Client::next_transaction() {
  stun::TransactionId id{};
  world.random.fill(id);
  return id;
}

Packet Client::build(stun::Method method, const Fill& fill, bool sign) {
  Packet buffer(4096);
  stun::MessageWriter writer(buffer, stun::Class::request, method, next_transaction());
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

Packet Client::request(stun::Method method, const Fill& fill) { return build(method, fill, true); }

Packet Client::unsigned_request(stun::Method method, const Fill& fill) {
  return build(method, fill, false);
}

std::optional<Reply> Client::send(const Packet& packet) {
  const ClientVerdict verdict = world.from_client(tuple, packet);
  const ToClient* reply = std::get_if<ToClient>(&verdict);
  if (reply == nullptr) return std::nullopt;
  return Reply(Packet(reply->bytes.begin(), reply->bytes.end()));
}

Reply Client::ask(stun::Method method, const Fill& fill) {
  if (nonce.empty()) {
    const auto challenge = send(unsigned_request(method, fill));
    nonce = challenge.value().text(Attribute::nonce);
  }
  Reply reply = send(request(method, fill)).value();
  if (reply.code() != 438) return reply;
  nonce = reply.text(Attribute::nonce);
  return send(request(method, fill)).value();
}

Reply Client::allocate(const Fill& fill) {
  return ask(stun::Method::allocate, [&](stun::MessageWriter& writer) {
    writer.add_u32(Attribute::requested_transport, 17U << 24);
    if (fill) fill(writer);
  });
}

Reply Client::refresh(std::optional<std::uint32_t> lifetime) {
  return ask(stun::Method::refresh, [&](stun::MessageWriter& writer) {
    if (lifetime) writer.add_u32(Attribute::lifetime, *lifetime);
  });
}

Reply Client::permit(const std::vector<std::string_view>& peers) {
  return ask(stun::Method::create_permission, [&](stun::MessageWriter& writer) {
    for (const std::string_view peer : peers) {
      writer.add_xor_address(Attribute::xor_peer_address, endpoint(peer));
    }
  });
}

Reply Client::bind(std::uint16_t channel, std::string_view peer) {
  return ask(stun::Method::channel_bind, [&](stun::MessageWriter& writer) {
    writer.add_u32(Attribute::channel_number, std::uint32_t{channel} << 16);
    writer.add_xor_address(Attribute::xor_peer_address, endpoint(peer));
  });
}

std::optional<Sent> Client::sent(const ClientVerdict& verdict) const {
  const ToPeer* out = std::get_if<ToPeer>(&verdict);
  if (out == nullptr) return std::nullopt;
  const stun::Endpoint from = world.ports.open_ports().at(out->from.value).relayed;
  return Sent{from, out->to, std::string(out->payload.begin(), out->payload.end())};
}

std::optional<Sent> Client::send_data(std::string_view peer, std::string_view payload) {
  return sent(world.from_client(tuple, send_indication(endpoint(peer), payload)));
}

std::optional<Sent> Client::send_channel(std::uint16_t channel, std::string_view payload) {
  return sent(world.from_client(tuple, channel_data(channel, payload)));
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

Packet send_indication(const stun::Endpoint& peer, std::string_view payload) {
  Packet buffer(payload.size() + 128);
  stun::TransactionId id{};
  id.fill(7);
  stun::MessageWriter writer(buffer, stun::Class::indication, stun::Method::send, id);
  writer.add_xor_address(Attribute::xor_peer_address, peer);
  writer.add_bytes(Attribute::data, stun::as_bytes(payload));
  buffer.resize(writer.finish().size());
  return buffer;
}

}  // namespace bedside::turn::testing
