#include "tests/turn/relay_world.h"

#include <algorithm>
#include <cassert>

namespace bedside::turn::testing {
namespace {

using stun::Attribute;

Credentials make_credentials(const WorldOptions& options) {
  CredentialsConfig config;
  config.realm = World::kRealm;
  config.participant_secrets = {std::string(World::kParticipantSecret)};
  if (options.shared_secret) config.shared_secrets = {std::string(World::kSharedSecret)};
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
  settings.shard = World::kShard;
  settings.first_port = options.first_port;
  settings.last_port = options.last_port;
  settings.quotas = options.quotas;
  settings.accept_rfc5766_channels = options.accept_rfc5766_channels;
  settings.mobility = options.mobility;
  settings.tcp_relay = options.tcp_relay;
  settings.shards = options.shards;
  settings.nonce_key.fill(0x5a);
  settings.alternate_server = options.alternate_server;
  settings.discovery = options.discovery;
  return settings;
}

}  // namespace

tl::expected<RelayPort, PortError> FakePorts::open(PeerTransport transport, stun::Family family,
                                                   std::uint16_t port, const Now& now) {
  if (exhausted) return tl::make_unexpected(PortError::exhausted);
  const auto& public_address = external[Allocation::index(family)];
  if (!public_address) return tl::make_unexpected(PortError::family_unavailable);
  const stun::Endpoint relayed{*public_address, port};
  const auto rest = rests_until_.find(relayed);
  const bool taken = find(relayed) != nullptr;
  const bool resting = rest != rests_until_.end() && now.mono < rest->second;
  if (taken || resting || reservations.holds(family, port, now)) {
    return tl::make_unexpected(PortError::in_use);
  }
  std::uint32_t id = 0;
  while (open_.contains(id)) ++id;
  const RelayPort opened{{id}, relayed, relayed};
  open_.emplace(id, opened);
  if (transport == PeerTransport::tcp) listening_.insert(id);
  return opened;
}

void FakePorts::close(RelayPortId id, const Now& now) {
  const auto found = open_.find(id.value);
  assert(found != open_.end());
  rests_until_[found->second.relayed] = now.mono + limits::kRelayPortRest;
  open_.erase(found);
  listening_.erase(id.value);
}

bool FakePorts::reserve(const Reservation& reservation, const Now& now) {
  const stun::Endpoint relayed{*external[Allocation::index(reservation.family)], reservation.port};
  return find(relayed) == nullptr && reservations.add(reservation, now);
}

std::optional<Reservation> FakePorts::claim(const ReservationToken& token, const Now& now) {
  return reservations.claim(token, now);
}

std::optional<LiveRelay> FakePorts::locate(const stun::Endpoint& relayed) const noexcept {
  const RelayPort* port = find(relayed);
  if (port == nullptr || listening_.contains(port->id.value)) return std::nullopt;
  return LiveRelay{World::kShard, port->id};
}

bool FakePorts::listens(const stun::Endpoint& relayed) const noexcept {
  const RelayPort* port = find(relayed);
  return port != nullptr && listening_.contains(port->id.value);
}

const RelayPort* FakePorts::find(const stun::Endpoint& relayed) const {
  for (const auto& [id, port] : open_) {
    if (port.relayed == relayed) return &port;
  }
  return nullptr;
}

World::World(const WorldOptions& options)
    : credentials(make_credentials(options)),
      ledger(options.quotas),
      random(options.seed),
      relay(make_settings(options),
            RelaySurroundings{&credentials, &participants, &ports, &ledger, &ports, &random,
                              &data_connections},
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
  return to_owner(relay.on_peer(port->id, endpoint(from), datagram, now));
}

std::optional<Packet> World::hand_over(const ToPeer& out) {
  const RelayPort& from = ports.open_ports().at(out.from.value);
  const std::string payload(out.payload.begin(), out.payload.end());
  if (!out.inside || out.inside->shard != kShard) return std::nullopt;
  const RelayPort& to = ports.open_ports().at(out.inside->port.value);
  return from_peer(to.relayed, from.relayed.to_string(), payload);
}

std::optional<Packet> World::icmp(const stun::Endpoint& relayed, std::string_view destination,
                                  const IcmpError& error) {
  const RelayPort* port = ports.find(relayed);
  if (port == nullptr) return std::nullopt;
  return to_owner(relay.on_icmp(port->id, endpoint(destination), error, now));
}

std::optional<Packet> World::to_owner(const PortVerdict& verdict) {
  if (const Drop* drop = std::get_if<Drop>(&verdict)) {
    last_drop_ = drop->reason;
    return std::nullopt;
  }
  last_owner = *std::get<ToOwner>(verdict).client;
  const stun::Bytes bytes = std::get<ToOwner>(verdict).bytes;
  return Packet(bytes.begin(), bytes.end());
}

void World::advance(std::chrono::nanoseconds by) {
  now.mono += by;
  now.wall += std::chrono::duration_cast<std::chrono::seconds>(by);
}

Client::Client(World& in, std::string_view client_address, std::string name,
               const std::string& password, ClientTransport transport)
    : world(in),
      tuple{transport, endpoint(client_address), endpoint("198.41.0.4:3478")},
      signer(std::move(name), World::kRealm, password) {}

stun::TransactionId Client::next_transaction() {
  stun::TransactionId id{};
  world.random.fill(id);
  return id;
}

Packet Client::request(stun::Method method, const Fill& fill) {
  return signer.request(method, next_transaction(), fill);
}

Packet Client::unsigned_request(stun::Method method, const Fill& fill) {
  return signer.request(method, next_transaction(), fill, false);
}

std::optional<Reply> Client::send(const Packet& packet) {
  const ClientVerdict verdict = world.from_client(tuple, packet);
  const ToClient* reply = std::get_if<ToClient>(&verdict);
  if (reply == nullptr) return std::nullopt;
  return Reply(Packet(reply->bytes.begin(), reply->bytes.end()));
}

Reply Client::ask(stun::Method method, const Fill& fill) {
  if (signer.nonce.empty()) {
    const auto challenge = send(unsigned_request(method, fill));
    signer.nonce = challenge.value().text(Attribute::nonce);
  }
  Reply reply = send(request(method, fill)).value();
  if (reply.code() != 438) return reply;
  signer.nonce = reply.text(Attribute::nonce);
  return send(request(method, fill)).value();
}

Reply Client::allocate(const Fill& fill) {
  return ask(stun::Method::allocate, [&](stun::MessageWriter& writer) {
    udp_transport()(writer);
    if (fill) fill(writer);
  });
}

Reply Client::refresh(std::optional<std::uint32_t> seconds) {
  return ask(stun::Method::refresh, seconds ? lifetime(*seconds) : Fill{});
}

Reply Client::permit(const std::vector<std::string_view>& wanted) {
  std::vector<stun::Endpoint> endpoints;
  endpoints.reserve(wanted.size());
  for (const std::string_view peer : wanted) endpoints.push_back(endpoint(peer));
  return ask(stun::Method::create_permission, peers(std::move(endpoints)));
}

Reply Client::bind(std::uint16_t number, std::string_view peer) {
  return ask(stun::Method::channel_bind, channel(number, endpoint(peer)));
}

std::optional<Sent> Client::sent(const ClientVerdict& verdict) const {
  const ToPeer* out = std::get_if<ToPeer>(&verdict);
  if (out == nullptr) return std::nullopt;
  const stun::Endpoint from = world.ports.open_ports().at(out->from.value).relayed;
  return Sent{from, out->to, std::string(out->payload.begin(), out->payload.end()),
              out->dont_fragment, out->inside};
}

std::optional<Received> Client::heard_inside(const Packet& packet) {
  const ClientVerdict verdict = world.from_client(tuple, packet);
  const ToPeer* out = std::get_if<ToPeer>(&verdict);
  if (out == nullptr) return std::nullopt;
  const auto heard = world.hand_over(*out);
  if (!heard) return std::nullopt;
  return read(*heard);
}

std::optional<Sent> Client::send_data(std::string_view peer, std::string_view payload) {
  return sent(world.from_client(tuple, send_indication(endpoint(peer), payload)));
}

std::optional<Sent> Client::send_channel(std::uint16_t number, std::string_view payload) {
  return sent(world.from_client(tuple, channel_data(number, payload)));
}

}  // namespace bedside::turn::testing
