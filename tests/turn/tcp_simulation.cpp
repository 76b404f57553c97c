#include "tests/turn/tcp_simulation.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "stun/binding.h"

namespace bedside::turn::testing {
namespace {

using stun::Attribute;
using stun::Method;

constexpr std::size_t kConnections = 3;  // of an allocation, at most
const stun::DiscoveryAddresses kFour{{address("198.41.0.4"), address("198.41.0.5")}, {3478, 3479}};

WorldOptions tcp_world() {
  WorldOptions options;
  options.tcp_relay = true;
  options.quotas.peer_connections_per_allocation = kConnections;
  options.quotas.new_peers_per_second = 1000;
  options.quotas.new_peers_burst = 1000;
  options.discovery[0] = kFour;
  return options;
}

template <typename Map>
auto entry_of(Map& map, std::uint64_t choice) {
  auto at = map.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(choice % map.size()));
  return at;
}

}  // namespace

TcpSimulation::TcpSimulation(Choices& choices) : choices_(choices), world_(tcp_world()) {
  for (int i = 0; i < 4; ++i) {
    const std::string user = i % 2 == 0 ? "alice" : "bob";
    clients_.emplace_back(world_, "192.0.2.7:" + std::to_string(4000 + i), user, user + "-password",
                          ClientTransport::tcp);
    clients_.back().refresh();  // takes a nonce
  }
}

bool TcpSimulation::step() {
  Client& client = clients_[choices_.below(clients_.size())];
  switch (choices_.below(13)) {
    case 0:
    case 1:
      ask(client, Method::allocate, family(Attribute::requested_transport, 6));
      break;
    case 2:
      ask(client, Method::create_permission, peers({peer()}));
      break;
    case 3:
    case 4:
      ask(client, Method::connect, peers({peer()}));
      break;
    case 5:
      connect_ends();
      break;
    case 6:
      peer_connects();
      break;
    case 7:
    case 8:
      bind();
      break;
    case 9:
      pass_data();
      break;
    case 10:
      world_.advance(std::chrono::seconds(choices_.below(25)));
      break;
    case 11:
      discover();
      break;
    default:
      end(client);
  }
  world_.relay.expire(world_.now);
  settle();
  check();
  return problem_.empty();
}

stun::Endpoint TcpSimulation::peer() {
  return {stun::IpAddress::v4(8, 8, 8, static_cast<std::uint8_t>(choices_.below(3))),
          static_cast<std::uint16_t>(5000 + choices_.below(3))};
}

std::uint32_t TcpSimulation::some_id() {
  if (open_.empty() || choices_.below(8) == 0) {
    return static_cast<std::uint32_t>(choices_.below(1U << 26));
  }
  return entry_of(open_, choices_.below(open_.size()))->first;
}

// One request in sixteen has bytes changed or is cut short on its way.
Packet TcpSimulation::perhaps_damaged(Packet packet) {
  if (choices_.below(16) != 0) return packet;
  for (std::uint64_t count = choices_.below(4); count > 0; --count) {
    std::uint8_t& byte = packet[choices_.below(packet.size())];
    byte = static_cast<std::uint8_t>(byte ^ choices_.below(256));
  }
  if (choices_.below(4) == 0) packet.resize(choices_.below(packet.size()));
  return packet;
}

// One in eight carries an attribute more, of any type.
Fill TcpSimulation::perhaps_more(Fill fill) {
  if (choices_.below(8) != 0) return fill;
  const auto type =
      static_cast<Attribute>(choices_.below(2) == 0 ? choices_.below(64) : choices_.below(65536));
  const Packet value(choices_.below(12), static_cast<std::uint8_t>(choices_.below(256)));
  return [fill = std::move(fill), type, value](stun::MessageWriter& writer) {
    if (fill) fill(writer);
    writer.add_bytes(type, value);
  };
}

void TcpSimulation::ask(Client& client, Method method, const Fill& fill) {
  const Fill filled = perhaps_more(fill);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Packet request = perhaps_damaged(client.request(method, filled));
    const auto verdict = world_.from_client(client.tuple, request);
    settle();
    if (const auto* out = std::get_if<ToConnect>(&verdict)) {
      const Open opened{Phase::connecting, world_.now.mono, client.signer.username};
      require(open_.emplace(out->id.value, opened).second, "a connection id is used twice");
      return;
    }
    const auto* answer = std::get_if<ToClient>(&verdict);
    if (answer == nullptr) return;
    const Reply reply(Packet(answer->bytes.begin(), answer->bytes.end()));
    understand(client, method, request, reply);
    if (reply.code() != 438) return;
    client.signer.nonce = reply.text(Attribute::nonce);
  }
}

// What an answer promises to the client that asked.
void TcpSimulation::understand(const Client& client, Method method, const Packet& request,
                               const Reply& answer) {
  if (!answer.ok()) return;
  const stun::Endpoint& who = client.tuple.client;
  if (method == Method::allocate) {
    const std::vector<stun::Endpoint> all = answer.all_relayed();
    require(!all.empty(), "a success without a relayed address");
    for (const stun::Endpoint& relayed : all) {
      promises_[relayed] = {who, client.signer.username, {}};
    }
  } else if (method == Method::create_permission) {
    const auto parsed = stun::MessageView::parse(request);
    const auto permitted = parsed ? parsed->xor_address(Attribute::xor_peer_address) : std::nullopt;
    require(permitted.has_value(), "a permission for nobody");
    if (!permitted) return;
    for (auto& [relayed, promise] : promises_) {
      if (promise.client != who) continue;
      promise.permissions[permitted->address] = world_.now.mono + limits::kPermissionLifetime;
    }
  }
}

void TcpSimulation::connect_ends() {
  const ConnectionId id{some_id()};
  const bool fails = choices_.below(3) == 0;
  const auto verdict = fails
                           ? world_.relay.on_connect_failed(id, ConnectFailure::failed, world_.now)
                           : world_.relay.on_connected(id, world_.now);
  settle();
  const auto found = open_.find(id.value);
  const bool waited = found != open_.end() && found->second.phase == Phase::connecting;
  require(std::holds_alternative<ToOwner>(verdict) == waited, "a Connect is answered once");
  if (!waited) return;
  if (fails) {
    open_.erase(found);
  } else {
    found->second.phase = Phase::unbound;
    found->second.since = world_.now.mono;
  }
}

void TcpSimulation::peer_connects() {
  if (world_.ports.open_count() == 0) return;
  const auto port = entry_of(world_.ports.open_ports(), choices_.below(world_.ports.open_count()));
  const RelayPort to = port->second;
  const stun::Endpoint from = peer();
  const auto verdict = world_.relay.on_accepted(to.id, from, world_.now);
  settle();
  const auto* out = std::get_if<Attempted>(&verdict);
  if (out == nullptr) return;
  ++figures_.attempts;
  const auto promise = promises_.find(to.relayed);
  require(promise != promises_.end(), "a peer reaches a port nobody was given");
  if (promise == promises_.end()) return;
  const auto permission = promise->second.permissions.find(from.address);
  require(permission != promise->second.permissions.end() && world_.now.mono < permission->second,
          "a peer without a live permission is let in");
  const Open opened{Phase::unbound, world_.now.mono, promise->second.user};
  require(open_.emplace(out->id.value, opened).second, "a connection id is used twice");
}

void TcpSimulation::bind() {
  const std::uint32_t id = some_id();
  const std::string user = choices_.below(2) == 0 ? "alice" : "bob";
  const auto transport = static_cast<ClientTransport>(choices_.below(4));
  Client data(world_, "192.0.2.7:" + std::to_string(6000 + choices_.below(1000)), user,
              user + "-password", transport);
  const auto challenge = data.send(data.unsigned_request(Method::refresh));
  if (!challenge) return;  // one of very many datagrams from there
  data.signer.nonce = challenge->text(Attribute::nonce);
  const Packet request = data.request(
      Method::connection_bind,
      perhaps_more([id](stun::MessageWriter& w) { w.add_u32(Attribute::connection_id, id); }));
  const auto verdict = world_.from_client(data.tuple, perhaps_damaged(request));
  settle();
  const auto* out = std::get_if<ToJoin>(&verdict);
  if (out == nullptr) return;
  const auto found = open_.find(out->id.value);
  require(found != open_.end(), "joined to nothing");
  if (found == open_.end()) return;
  require(found->second.phase == Phase::unbound, "joined to what is not there, or twice");
  require(found->second.user == user, "joined by another user");
  require(is_stream(transport), "joined to datagrams");
  found->second.phase = Phase::bound;
  ++figures_.joined;
}

void TcpSimulation::pass_data() {
  const ConnectionId id{some_id()};
  const auto direction = choices_.below(2) == 0 ? DataDirection::to_peer : DataDirection::to_client;
  const auto wait = world_.relay.on_data(id, direction, 1000, world_.now);
  settle();
  require(wait.has_value() == open_.contains(id.value), "bytes pass where nothing is open");
}

void TcpSimulation::end(Client& client) {
  switch (choices_.below(5)) {
    case 0:
      return ask(client, Method::refresh, lifetime(0));
    case 1:
      return world_.relay.on_client_closed(client.tuple, world_.now);
    case 2:
      world_.relay.revoke_user(client.signer.username, world_.now);
      for (const auto& [id, entry] : open_) {
        const bool closed = std::count(world_.data_connections.closed.begin(),
                                       world_.data_connections.closed.end(), ConnectionId{id}) == 1;
        require(closed || entry.user != client.signer.username,
                "a revoked user keeps a connection");
      }
      return;
    case 3: {
      PeerPolicyConfig config;
      const stun::IpAddress refused = peer().address;
      config.denied = {{refused, 32}};
      world_.relay.set_peer_policy(PeerPolicy::make(config).value());
      for (auto& [relayed, promise] : promises_) promise.permissions.erase(refused);
      return;
    }
    default: {
      const ConnectionId id{some_id()};
      world_.relay.on_data_connection_closed(id, world_.now);
      open_.erase(id.value);
    }
  }
}

// A Binding request to one of the four addresses, with whatever of RFC 5780 in it.
void TcpSimulation::discover() {
  const bool datagram = choices_.below(4) != 0;
  const FiveTuple asked{datagram ? ClientTransport::udp : ClientTransport::tcp,
                        endpoint("192.0.2.9:4000"),
                        {kFour.addresses[choices_.below(2)], kFour.ports[choices_.below(2)]}};
  const std::uint64_t parts = choices_.below(16);
  const auto flags = static_cast<std::uint32_t>(choices_.below(8));
  const auto port = static_cast<std::uint32_t>(choices_.below(65536));
  const std::size_t padding = choices_.below(1600);
  Signer stranger("", World::kRealm, "");
  stranger.fingerprint = (parts & 8U) != 0;
  const Fill fill = perhaps_more([=](stun::MessageWriter& writer) {
    if ((parts & 1U) != 0) writer.add_u32(Attribute::change_request, flags);
    if ((parts & 2U) != 0) writer.add_u32(Attribute::response_port, port << 16U);
    if ((parts & 4U) != 0) writer.add_bytes(Attribute::padding, Packet(padding));
  });
  const Packet request = perhaps_damaged(stranger.request(Method::binding, {}, fill, false));
  const auto verdict = world_.from_client(asked, request);
  const auto* out = std::get_if<ToClient>(&verdict);
  if (out == nullptr) return;
  // 420 may name attributes, at most kMaxBindingReply; padding only fills up to the request.
  constexpr std::size_t kLongest = 20 + 4 * 12 + 4 + 8;
  require(out->bytes.size() <= std::max({request.size(), kLongest, stun::kMaxBindingReply}),
          "an answer longer than its question");
  const auto answer = stun::MessageView::parse(out->bytes);
  require(answer.has_value(), "an answer that is no STUN message");
  if (!out->route) return;
  ++figures_.discovered;
  require(datagram, "an answer leaves its connection");
  require(answer && answer->message_class() == stun::Class::success, "an error goes elsewhere");
  require(kFour.has(out->route->from), "an answer from an address that is not ours");
  require(out->route->to.address == asked.client.address, "an answer to another host");
  require(out->route->to.port != 0, "an answer to port 0");
}

// What the relay has asked to close is open, and is closed once.
void TcpSimulation::settle() {
  for (const ConnectionId id : world_.data_connections.closed) {
    require(open_.erase(id.value) == 1, "closed what is not open");
  }
  world_.data_connections.closed.clear();
  world_.data_connections.answers.clear();
  world_.relay.drop_events(world_.relay.events().size());
}

void TcpSimulation::check() {
  require(world_.relay.counters().peer_connections == open_.size(), "the relay counts otherwise");
  require(open_.size() <= kConnections * world_.relay.counters().allocations,
          "connections without an allocation, or too many");
  for (const auto& [id, entry] : open_) {
    if (entry.phase == Phase::bound) continue;
    require(world_.now.mono - entry.since < std::chrono::seconds(30), "outlived its deadline");
  }
  // Permissions end with their allocation: a port that is used again begins without any.
  std::erase_if(promises_,
                [this](const auto& entry) { return world_.ports.find(entry.first) == nullptr; });
}

void TcpSimulation::require(bool holds, const char* what) {
  if (!holds && problem_.empty()) problem_ = what;
}

}  // namespace bedside::turn::testing
