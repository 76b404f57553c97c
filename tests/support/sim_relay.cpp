#include "tests/support/sim_relay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <variant>

#include "turn/channel_data.h"

namespace bedside::sim {
namespace {

using stun::Attribute;
using stun::Endpoint;
using stun::MessageView;
using turn::testing::World;

// Protocol: revoked within one second. One tick more for two clocks.
constexpr milliseconds kRevokedWithin{1'010};

bool is_own_address(const Endpoint& peer) { return peer.address == SimRelay::address().address; }

std::string text(stun::Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::unique_ptr<World> make_world(std::uint64_t seed) {
  turn::testing::WorldOptions options;
  options.seed = seed;
  auto world = std::make_unique<World>(options);
  world->participants.live.clear();
  return world;
}

// "<expiry>:<room hash>:<participant id>"
std::string participant_in(std::string_view username) {
  return std::string(username.substr(username.rfind(':') + 1));
}

}  // namespace

SimRelay::SimRelay(Agenda& agenda, std::uint64_t seed, InRoom in_room)
    : agenda_(agenda), seed_(seed), in_room_(std::move(in_room)), world_(make_world(seed)) {}

const Endpoint& SimRelay::address() {
  static const Endpoint kAddress = turn::testing::endpoint("198.41.0.4:3478");
  return kAddress;
}

std::optional<SimRelay::Outgoing> SimRelay::from_client(const Endpoint& client,
                                                        const Packet& packet) {
  forget_expired();
  world_->now = agenda_.relay_now();
  const turn::FiveTuple tuple{turn::ClientTransport::udp, client, address()};
  const turn::ClientVerdict verdict = world_->from_client(tuple, packet);
  if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    Packet bytes(reply->bytes.begin(), reply->bytes.end());
    note_success(client, packet, bytes);
    note_events();
    return Outgoing{address(), client, std::move(bytes)};
  }
  if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
    const Endpoint from = world_->ports.open_ports().at(out->from.value).relayed;
    check_sent(client, packet, from, out->to, out->payload);
    ++relayed_packets_;
    return Outgoing{from, out->to, Packet(out->payload.begin(), out->payload.end())};
  }
  check_dropped(client, packet, std::get<turn::Drop>(verdict).reason);
  return std::nullopt;
}

std::optional<SimRelay::Outgoing> SimRelay::from_peer(const Endpoint& relayed, const Endpoint& peer,
                                                      std::string_view payload) {
  forget_expired();
  const turn::RelayPort* port = world_->ports.find(relayed);
  if (port == nullptr) return std::nullopt;
  constexpr std::size_t kHead = turn::PeerDatagram::kHeadroom;
  Packet buffer(kHead + payload.size() + turn::PeerDatagram::kTailroom, 0xEE);
  std::copy(payload.begin(), payload.end(), buffer.begin() + kHead);
  const turn::PortVerdict verdict = world_->relay.on_peer(
      port->id, peer, turn::PeerDatagram{buffer, kHead, payload.size()}, agenda_.relay_now());
  if (const auto* owned = std::get_if<turn::ToOwner>(&verdict)) {
    Packet framed(owned->bytes.begin(), owned->bytes.end());
    const Lease* owner = find(owned->client->client);
    EXPECT_TRUE(owner != nullptr && owner->relayed == relayed) << "not the owner of the port";
    check_delivered(owned->client->client, peer, payload, framed);
    ++relayed_packets_;
    return Outgoing{address(), owned->client->client, std::move(framed)};
  }
  for (const auto& [client, lease] : leases_) {
    EXPECT_FALSE(lease.relayed == relayed && permitted(lease, peer))
        << relayed.to_string() << " dropped what is permitted from " << peer.to_string();
  }
  return std::nullopt;
}

void SimRelay::forget_expired() {
  const milliseconds now = agenda_.now();
  std::erase_if(leases_, [&](const auto& entry) { return entry.second.expires <= now; });
}

SimRelay::Lease* SimRelay::find(const Endpoint& client) {
  const auto it = leases_.find(client);
  return it == leases_.end() ? nullptr : &it->second;
}

bool SimRelay::permitted(const Lease& lease, const Endpoint& peer) const {
  const auto it = lease.permissions.find(peer.address);
  return it != lease.permissions.end() && it->second > agenda_.now();
}

void SimRelay::note_success(const Endpoint& client, const Packet& request, const Packet& reply) {
  const MessageView asked = MessageView::parse(request).value();
  const MessageView answer = MessageView::parse(reply).value();
  if (answer.message_class() != stun::Class::success) return;
  if (asked.method() == stun::Method::allocate) return allocated(client, asked, answer);
  Lease* lease = find(client);
  if (lease == nullptr) {
    ADD_FAILURE() << "success without an allocation for " << client.to_string();
    return;
  }
  const auto permit = [&](const stun::IpAddress& peer) {
    lease->permissions[peer] = agenda_.now() + turn::limits::kPermissionLifetime;
  };
  if (asked.method() == stun::Method::refresh) {
    const seconds lifetime{answer.u32(Attribute::lifetime).value()};
    lease->expires = agenda_.now() + lifetime;
    if (lifetime == seconds{0}) leases_.erase(client);
  } else if (asked.method() == stun::Method::create_permission) {
    for (const stun::AttributeView& attribute : asked) {
      if (attribute.type == Attribute::xor_peer_address) {
        permit(asked.decode_xor_address(attribute).value().address);
      }
    }
  } else if (asked.method() == stun::Method::channel_bind) {
    const Endpoint peer = asked.xor_address(Attribute::xor_peer_address).value();
    lease->channels[asked.u16(Attribute::channel_number).value()] = {
        peer, agenda_.now() + turn::limits::kChannelLifetime};
    permit(peer.address);
  }
}

void SimRelay::allocated(const Endpoint& client, const MessageView& asked,
                         const MessageView& answer) {
  const Endpoint relayed = answer.xor_address(Attribute::xor_relayed_address).value();
  if (const Lease* lease = find(client)) {  // a retransmission
    EXPECT_EQ(lease->relayed, relayed);
    return;
  }
  Lease lease;
  lease.participant = participant_in(asked.text(Attribute::username).value());
  lease.relayed = relayed;
  lease.expires = agenda_.now() + seconds{answer.u32(Attribute::lifetime).value()};
  EXPECT_TRUE(in_room_(lease.participant)) << lease.participant << " is in no room, but allocates";
  for (const auto& [other, taken] : leases_)
    EXPECT_NE(taken.relayed, relayed) << "port given twice";
  leases_[client] = std::move(lease);
}

void SimRelay::check_may_relay(const Lease* lease, const Endpoint& peer) {
  if (lease == nullptr) {
    ADD_FAILURE() << "relayed without an allocation, peer " << peer.to_string();
    return;
  }
  EXPECT_TRUE(permitted(*lease, peer)) << "relayed without a permission for " << peer.to_string();
  EXPECT_FALSE(lease->homeless_since && *lease->homeless_since + kRevokedWithin < agenda_.now())
      << "relayed for " << lease->participant << ", who is in no room";
}

void SimRelay::check_sent(const Endpoint& client, const Packet& packet, const Endpoint& from,
                          const Endpoint& to, stun::Bytes payload) {
  const Lease* lease = find(client);
  check_may_relay(lease, to);
  if (lease == nullptr) return;
  EXPECT_EQ(lease->relayed, from);
  EXPECT_TRUE(!is_own_address(to) || is_relayed(to)) << "relayed to our own " << to.to_string();
  if (turn::classify(packet.at(0)) == turn::PacketKind::channel_data) {
    const auto data = turn::parse_channel_data(packet).value();
    const auto channel = lease->channels.find(data.number);
    const bool bound = channel != lease->channels.end() && channel->second.expires > agenda_.now();
    EXPECT_TRUE(bound && channel->second.peer == to) << "no such channel to " << to.to_string();
    EXPECT_EQ(text(payload), text(data.payload));
  } else {
    const MessageView send = MessageView::parse(packet).value();
    EXPECT_EQ(send.xor_address(Attribute::xor_peer_address), to);
    EXPECT_EQ(text(payload), send.text(Attribute::data).value());
  }
}

// Only data is looked at; requests that stay unanswered are the business of the relay's own tests.
void SimRelay::check_dropped(const Endpoint& client, const Packet& packet,
                             turn::DropReason reason) {
  const Lease* lease = find(client);
  if (lease == nullptr) return;
  std::optional<Endpoint> to;
  if (turn::classify(packet.at(0)) == turn::PacketKind::channel_data) {
    const auto channel = lease->channels.find(turn::parse_channel_data(packet).value().number);
    if (channel == lease->channels.end() || channel->second.expires <= agenda_.now()) return;
    to = channel->second.peer;
  } else {
    const MessageView message = MessageView::parse(packet).value();
    if (!message.is(stun::Class::indication, stun::Method::send)) return;
    to = message.xor_address(Attribute::xor_peer_address);
  }
  if (!permitted(*lease, *to) || (is_own_address(*to) && !is_relayed(*to))) return;
  ADD_FAILURE() << "dropped (" << turn::to_string(reason) << ") what is permitted to "
                << to->to_string();
}

void SimRelay::check_delivered(const Endpoint& client, const Endpoint& peer,
                               std::string_view payload, const Packet& framed) {
  const Lease* lease = find(client);
  check_may_relay(lease, peer);
  if (lease == nullptr) return;
  const turn::testing::Received received = turn::testing::read(framed);
  EXPECT_EQ(received.payload, payload);
  if (!received.channel) {
    EXPECT_EQ(received.peer, peer);
    return;
  }
  const auto channel = lease->channels.find(*received.channel);
  EXPECT_TRUE(channel != lease->channels.end() && channel->second.expires > agenda_.now() &&
              channel->second.peer == peer)
      << "delivered on a channel that is not bound to " << peer.to_string();
}

void SimRelay::revoke(const std::string& participant) {
  forget_expired();
  const std::size_t expected = std::erase_if(
      leases_, [&](const auto& entry) { return entry.second.participant == participant; });
  world_->relay.expire(agenda_.relay_now());
  EXPECT_EQ(world_->relay.revoke_participant(participant, agenda_.relay_now()), expected);
  note_events();
}

std::optional<milliseconds> SimRelay::next_deadline() const {
  const auto deadline = world_->relay.next_deadline();
  if (!deadline) return std::nullopt;
  return std::chrono::ceil<milliseconds>(*deadline);
}

void SimRelay::expire() {
  world_->relay.expire(agenda_.relay_now());
  note_events();
}

void SimRelay::restart() {
  leases_.clear();
  open_.clear();
  world_ = make_world(++seed_);
}

void SimRelay::note_events() {
  for (const turn::Event& event : world_->relay.events()) {
    if (const auto* opened = std::get_if<turn::AllocationOpened>(&event)) {
      EXPECT_TRUE(open_.emplace(opened->serial.value, opened->party.participant).second);
    } else if (const auto* closed = std::get_if<turn::AllocationClosed>(&event)) {
      EXPECT_EQ(open_.erase(closed->serial.value), 1U) << "closed twice";
    }
  }
  world_->relay.drop_events(world_->relay.events().size());
}

void SimRelay::check() {
  note_events();
  const milliseconds now = agenda_.now();
  const auto deadline = next_deadline();
  EXPECT_FALSE(deadline && *deadline + kTick < now) << "an allocation outlives its lifetime";
  for (auto& [client, lease] : leases_) {
    if (in_room_(lease.participant)) {
      lease.homeless_since.reset();
    } else if (!lease.homeless_since) {
      lease.homeless_since = now;
    } else {
      EXPECT_LE(now, *lease.homeless_since + kRevokedWithin)
          << lease.participant << " is in no room and still has an allocation";
    }
  }
  const std::uint64_t kept = world_->relay.counters().allocations;
  EXPECT_EQ(world_->ports.open_count(), kept);
  EXPECT_EQ(world_->ledger.in_use(), kept);
  EXPECT_EQ(open_.size(), kept);
  if (deadline && *deadline <= now) return;  // its timer comes with the next tick
  forget_expired();
  EXPECT_EQ(kept, leases_.size());
}

}  // namespace bedside::sim
