#include "tests/turn/relay_simulation.h"

#include <algorithm>

#include "turn/channel_data.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;

WorldOptions options_of(std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.first_port = 50000;
  options.last_port = 50031;  // so few that they run out, rest and come back
  options.quotas.allocations_per_user = 4;
  options.quotas.allocations_per_shard = 6;
  options.quotas.permissions_per_allocation = 4;
  options.quotas.channels_per_allocation = 3;
  return options;
}

}  // namespace

void Witness::require(bool holds, const std::string& what) {
  if (!holds && problem_.empty()) problem_ = what;
}

Witness::Promise* Witness::live(const FiveTuple& client, const Now& now) {
  const auto found = clients_.find(client.client);
  if (found == clients_.end() || found->second.expires <= now.mono) return nullptr;
  return &found->second;
}

void Witness::saw_answer(const FiveTuple& client, const stun::MessageView& request,
                         const stun::MessageView& answer, const Now& now) {
  require(answer.transaction() == request.transaction(), "an answer to another transaction");
  if (answer.message_class() != stun::Class::success || answer.method() == Method::binding) return;
  Promise* promise = live(client, now);
  const auto lifetime = std::chrono::seconds(answer.u32(Attribute::lifetime).value_or(0));
  switch (answer.method()) {
    case Method::allocate:
      if (promise != nullptr) {  // a retransmission
        require(answer.xor_address(Attribute::xor_relayed_address) == promise->relayed,
                "a retransmitted Allocate was answered differently");
      } else {
        clients_[client.client] = {answer.xor_address(Attribute::xor_relayed_address).value(),
                                   now.mono + lifetime,
                                   {},
                                   {}};
      }
      break;
    case Method::refresh:
      require(promise != nullptr, "Refresh succeeded without an allocation");
      if (lifetime == 0s) {
        clients_.erase(client.client);
      } else if (promise != nullptr) {
        promise->expires = now.mono + lifetime;
      }
      break;
    default:
      require(promise != nullptr, "a permission without an allocation");
      if (promise != nullptr) promise_peers(*promise, request, now);
  }
}

void Witness::promise_peers(Promise& promise, const stun::MessageView& request, const Now& now) {
  for (const stun::AttributeView& attribute : request) {
    if (attribute.type != Attribute::xor_peer_address) continue;
    const stun::Endpoint peer = request.decode_xor_address(attribute)->unmapped();
    promise.permissions[peer.address] = now.mono + limits::kPermissionLifetime;
    const auto number = request.u32(Attribute::channel_number);
    if (request.method() != Method::channel_bind || !number) continue;
    promise.channels[static_cast<std::uint16_t>(*number >> 16)] = {
        peer, now.mono + limits::kChannelLifetime};
    return;  // only the first counts there
  }
}

void Witness::saw_channel(const FiveTuple& client, std::uint16_t number, const stun::Endpoint& peer,
                          const Now& now) {
  const Promise* promise = live(client, now);
  if (promise == nullptr) return;  // saw_to_peer complains
  const auto channel = promise->channels.find(number);
  require(channel != promise->channels.end() && channel->second.peer == peer,
          "ChannelData on a channel that is not bound to that peer");
  require(channel == promise->channels.end() || now.mono < channel->second.expires,
          "ChannelData on a channel that has ended");
}

void Witness::saw_to_peer(const FiveTuple& client, const stun::Endpoint& from,
                          const stun::Endpoint& to, const Now& now) {
  const Promise* promise = live(client, now);
  require(promise != nullptr, "relayed for a client without a live allocation");
  if (promise == nullptr) return;
  require(promise->relayed == from, "relayed from somebody else's port");
  const auto permission = promise->permissions.find(to.address);
  require(permission != promise->permissions.end() && now.mono < permission->second,
          "relayed to a peer without a live permission");
}

void Witness::saw_to_client(const FiveTuple& client, const stun::Endpoint& relayed,
                            const stun::Endpoint& from, const Now& now) {
  saw_to_peer(client, relayed, from, now);  // the same rules the other way round
}

void Witness::saw_inside(const stun::Endpoint& to, bool inside, const Now& now) {
  const bool alive = std::any_of(clients_.begin(), clients_.end(), [&](const auto& entry) {
    return entry.second.relayed == to && now.mono < entry.second.expires;
  });
  require(inside == alive, "only what goes to a live relayed address stays inside, and all of it");
}

void Witness::check(const World& world) {
  std::erase_if(clients_,
                [&](const auto& entry) { return entry.second.expires <= world.now.mono; });
  require(world.ports.open_count() == clients_.size(),
          "open relay ports and promised allocations differ");
  require(world.relay.counters().allocations == clients_.size(), "the gauge is wrong");
  require(world.ledger.in_use() == clients_.size(), "the ledger leaks");
  require(clients_.size() <= quotas_.allocations_per_shard, "more allocations than the limit");
  const auto deadline = world.relay.next_deadline();
  require(deadline.has_value() == !clients_.empty(), "a deadline without an allocation or none");
  require(!deadline || *deadline > world.now.mono, "something outlived its deadline");
  for (const auto& [client, promise] : clients_) {
    require(promise.expires <= world.now.mono + limits::kMaxLifetime, "a lifetime above the limit");
    require(world.ports.contains(promise.relayed), "a promised relay port is closed");
  }
  check_limits(world);
}

// Every table and queue that a client can make grow.
void Witness::check_limits(const World& world) {
  for (auto& [client, promise] : clients_) {
    std::erase_if(promise.permissions,
                  [&](const auto& entry) { return entry.second <= world.now.mono; });
    std::erase_if(promise.channels,
                  [&](const auto& entry) { return entry.second.expires <= world.now.mono; });
    require(promise.permissions.size() <= quotas_.permissions_per_allocation,
            "more permissions than the limit");
    require(promise.channels.size() <= quotas_.channels_per_allocation,
            "more channels than the limit");
  }
  std::size_t lifecycle = 0;
  for (const Event& event : world.relay.events()) {
    lifecycle += std::holds_alternative<AllocationOpened>(event) ||
                         std::holds_alternative<AllocationClosed>(event)
                     ? 1U
                     : 0U;
  }
  require(world.relay.events().size() - lifecycle <= limits::kMaxPendingAbuseEvents,
          "more refusals wait than the limit");
}

RelaySimulation::Figures& RelaySimulation::Figures::operator+=(const Figures& other) {
  to_peers += other.to_peers;
  to_clients += other.to_clients;
  answers += other.answers;
  allocations += other.allocations;
  by_channel += other.by_channel;
  port_failures += other.port_failures;
  return *this;
}

RelaySimulation::RelaySimulation(std::uint64_t seed)
    : random_(seed),
      world_(options_of(seed)),
      witness_(options_of(seed).quotas),
      network_(seed, testing_support::NetworkConditions{}) {
  for (std::size_t i = 0; i < kClients; ++i) {
    const std::string user = i % 2 == 0 ? "alice" : "bob";
    actors_.push_back(
        Actor{Client(world_, "192.0.2.7:" + std::to_string(4000 + i), user, user + "-password"),
              std::nullopt,
              {},
              {},
              0});
  }
}

bool RelaySimulation::step() {
  pass_time();
  for (Actor& actor : actors_) retransmit(actor);
  act(actors_[random_.below(kClients)]);
  peer_speaks();
  if (random_.below(200) == 0) disturb();
  for (const Parcel& parcel : network_.take(world_.now.mono)) deliver(parcel);
  world_.relay.expire(world_.now);
  witness_.check(world_);
  // Whoever reads the events is sometimes late.
  if (random_.below(30) == 0) {
    for (const Event& event : world_.relay.events()) {
      if (std::holds_alternative<AllocationOpened>(event)) ++figures_.allocations;
    }
    world_.relay.drop_events(world_.relay.events().size());
  }
  return problem().empty();
}

void RelaySimulation::pass_time() {
  world_.advance(std::chrono::milliseconds(random_.below(60)));
  if (random_.below(500) == 0) world_.advance(std::chrono::seconds(random_.below(1500)));
  // Somebody sets the wall clock: nothing of what exists may depend on it.
  if (random_.below(300) == 0) world_.now.wall += std::chrono::hours(random_.below(5)) - 2h;
}

stun::Endpoint RelaySimulation::random_peer() {
  if (random_.below(3) == 0) {  // one of our own relay ports, or what was one
    const Actor& other = actors_[random_.below(kClients)];
    if (other.relayed) return *other.relayed;
  }
  const auto host = static_cast<std::uint8_t>(1 + random_.below(6));
  return {stun::IpAddress::v4(8, 8, 8, host), static_cast<std::uint16_t>(9000 + random_.below(3))};
}

void RelaySimulation::act(Actor& actor) {
  const FiveTuple& tuple = actor.client.tuple;
  const auto number = static_cast<std::uint16_t>(0x4000 + random_.below(4));
  if (random_.below(2) == 0) {
    const Packet data = random_.below(2) == 0 ? channel_data(number, "media")
                                              : send_indication(random_peer(), "media");
    network_.send({tuple.client, tuple.server, data}, world_.now.mono);
    return;
  }
  if (!actor.waiting_for_answer.empty()) return;
  switch (random_.below(6)) {
    case 0:
      return ask(actor, Method::allocate, udp_transport());
    case 1: {
      const auto wanted =
          static_cast<std::uint32_t>(random_.below(4) == 0 ? 0 : random_.below(900));
      return ask(actor, Method::refresh, lifetime(wanted));
    }
    case 2:
    case 3:
      return ask(actor, Method::create_permission, peers({random_peer(), random_peer()}));
    default:
      return ask(actor, Method::channel_bind, channel(number, random_peer()));
  }
}

void RelaySimulation::ask(Actor& actor, Method method, const Fill& fill) {
  const bool known = !actor.client.signer.nonce.empty();
  actor.waiting_for_answer =
      known ? actor.client.request(method, fill) : actor.client.unsigned_request(method, fill);
  actor.attempts = 0;
  actor.retransmit_at = world_.now.mono;
}

// RFC 8489 §6.2.1, shortened: 500 ms, doubled, four times.
void RelaySimulation::retransmit(Actor& actor) {
  if (actor.waiting_for_answer.empty() || world_.now.mono < actor.retransmit_at) return;
  if (actor.attempts == 4) {
    actor.waiting_for_answer.clear();
    return;
  }
  const FiveTuple& tuple = actor.client.tuple;
  network_.send({tuple.client, tuple.server, actor.waiting_for_answer}, world_.now.mono);
  actor.retransmit_at = world_.now.mono + (500ms * (1 << actor.attempts));
  ++actor.attempts;
}

void RelaySimulation::peer_speaks() {
  const Actor& actor = actors_[random_.below(kClients)];
  if (!actor.relayed) return;
  network_.send({random_peer(), *actor.relayed, Packet(8, 0x55)}, world_.now.mono);
}

void RelaySimulation::disturb() {
  Actor& actor = actors_[random_.below(kClients)];
  switch (random_.below(5)) {
    case 0:
      world_.relay.on_client_closed(actor.client.tuple, world_.now);
      witness_.saw_end(actor.client.tuple);
      return;
    case 1:  // the kernel gives no ports, for a while
      world_.ports.exhausted = !world_.ports.exhausted;
      if (world_.ports.exhausted) ++figures_.port_failures;
      return;
    case 2:  // drain, and the end of it
      return world_.relay.set_accepting(!world_.relay.accepting());
    default:
      break;
  }
  world_.relay.revoke_user(actor.client.signer.username, world_.now);
  for (const Actor& other : actors_) {
    if (other.client.signer.username == actor.client.signer.username) {
      witness_.saw_end(other.client.tuple);
    }
  }
}

void RelaySimulation::deliver(const Parcel& parcel) {
  if (parcel.to == actors_[0].client.tuple.server) return deliver_to_relay(parcel);
  if (parcel.to.address == address("198.41.0.4")) return deliver_to_relay_port(parcel);
  for (Actor& actor : actors_) {
    if (actor.client.tuple.client == parcel.to) return deliver_to_client(actor, parcel);
  }
}

void RelaySimulation::deliver_to_relay(const Parcel& parcel) {
  const FiveTuple tuple{ClientTransport::udp, parcel.from, parcel.to};
  const ClientVerdict verdict = world_.relay.on_client(tuple, parcel.bytes, world_.now);
  if (const auto* reply = std::get_if<ToClient>(&verdict)) {
    const Packet answer(reply->bytes.begin(), reply->bytes.end());
    witness_.saw_answer(tuple, stun::MessageView::parse(parcel.bytes).value(),
                        stun::MessageView::parse(answer).value(), world_.now);
    ++figures_.answers;
    network_.send({parcel.to, parcel.from, answer}, world_.now.mono);
  } else if (const auto* out = std::get_if<ToPeer>(&verdict)) {
    const stun::Endpoint from = world_.ports.open_ports().at(out->from.value).relayed;
    witness_.saw_to_peer(tuple, from, out->to, world_.now);
    if (const auto data = parse_channel_data(parcel.bytes);
        data && classify(parcel.bytes[0]) == PacketKind::channel_data) {
      witness_.saw_channel(tuple, data->number, out->to, world_.now);
      ++figures_.by_channel;
    }
    ++figures_.to_peers;
    const Parcel onwards{from, out->to, Packet(out->payload.begin(), out->payload.end())};
    witness_.saw_inside(out->to, out->inside.has_value(), world_.now);
    if (out->inside) return deliver_to_relay_port(onwards);
    network_.send(onwards, world_.now.mono);
  }
}

void RelaySimulation::deliver_to_relay_port(const Parcel& parcel) {
  const RelayPort* port = world_.ports.find(parcel.to);
  if (port == nullptr) return;
  Packet buffer(PeerDatagram::kHeadroom + parcel.bytes.size() + PeerDatagram::kTailroom);
  std::copy(parcel.bytes.begin(), parcel.bytes.end(), buffer.begin() + PeerDatagram::kHeadroom);
  const PeerDatagram datagram{buffer, PeerDatagram::kHeadroom, parcel.bytes.size()};
  const PortVerdict verdict = world_.relay.on_peer(port->id, parcel.from, datagram, world_.now);
  const auto* out = std::get_if<ToOwner>(&verdict);
  if (out == nullptr) return;
  witness_.saw_to_client(*out->client, parcel.to, parcel.from, world_.now);
  if (const auto number = read(Packet(out->bytes.begin(), out->bytes.end())).channel) {
    witness_.saw_channel(*out->client, *number, parcel.from, world_.now);
    ++figures_.by_channel;
  }
  ++figures_.to_clients;
}

void RelaySimulation::deliver_to_client(Actor& actor, const Parcel& parcel) {
  const auto answer = stun::MessageView::parse(parcel.bytes);
  const auto asked = stun::MessageView::parse(actor.waiting_for_answer);
  if (!answer || !asked || answer->transaction() != asked->transaction()) return;
  actor.waiting_for_answer.clear();
  if (const auto nonce = answer->text(Attribute::nonce)) actor.client.signer.nonce = *nonce;
  if (const auto relayed = answer->xor_address(Attribute::xor_relayed_address)) {
    actor.relayed = relayed;
  }
}

}  // namespace bedside::turn::testing
