#include "tests/support/sim_turn_client.h"

#include <algorithm>
#include <array>
#include <utility>

namespace bedside::sim {
namespace {

using stun::Attribute;
using stun::Endpoint;
using stun::Method;
using turn::testing::Reply;
using turn::testing::World;

constexpr int kTransmissions = 5;
constexpr std::size_t kMaxPeers = 12;

// What no server may relay to: a private network, this machine, our own STUN port.
const std::array<Endpoint, 3>& forbidden() {
  static const std::array<Endpoint, 3> kForbidden{turn::testing::endpoint("10.0.0.1:40000"),
                                                  turn::testing::endpoint("127.0.0.1:40000"),
                                                  SimRelay::address()};
  return kForbidden;
}

}  // namespace

SimTurnClient::SimTurnClient(SimServer& server, Agenda& agenda,
                             testing_support::SeededRandom& random, std::uint16_t number,
                             IceLogin login)
    : server_(server),
      agenda_(agenda),
      random_(random),
      client_{turn::testing::address("9.9.9.9"), static_cast<std::uint16_t>(10'000 + number)},
      direct_{stun::IpAddress::v4(93, 184, 216, static_cast<std::uint8_t>(number % 200 + 1)),
              static_cast<std::uint16_t>(40'000 + number)},
      login_(std::move(login)) {
  peers_.push_back(direct_);
}

void SimTurnClient::learn(const Endpoint& peer) {
  if (std::find(peers_.begin(), peers_.end(), peer) != peers_.end()) return;
  if (peers_.size() >= kMaxPeers) peers_.erase(peers_.begin());
  peers_.push_back(peer);
}

const Endpoint& SimTurnClient::any_peer() {
  if (random_.one_in(20)) return forbidden()[random_.below(forbidden().size())];
  return peers_[random_.below(peers_.size())];
}

void SimTurnClient::step() {
  if (pending_) return;
  if (!relayed_) return allocate();
  const std::size_t lot = random_.below(24);
  if (lot == 0) return refresh();
  if (lot < 4) return bind();
  if (lot < 6) return permit();
  if (lot == 6 && random_.one_in(8)) return move();
  for (std::size_t i = random_.below(3) + 1; i > 0; --i) data();
}

// ---- requests

void SimTurnClient::ask(Method method, turn::testing::Fill fill, Then then, bool again) {
  Transaction transaction;
  for (std::uint8_t& byte : transaction.id) byte = random_.byte();
  transaction.method = method;
  transaction.again = again;
  transaction.packet = signer_->request(method, transaction.id, fill, !signer_->nonce.empty());
  transaction.fill = std::move(fill);
  transaction.then = std::move(then);
  pending_ = std::move(transaction);
  transmit();
}

void SimTurnClient::transmit() {
  if (pending_->sent == kTransmissions) {
    if (pending_->method != Method::allocate) relayed_.reset();
    pending_.reset();
    return;
  }
  server_.send(client_, SimRelay::address(), pending_->packet);
  agenda_.after(milliseconds{500 << pending_->sent++}, [this, id = pending_->id] {
    if (pending_ && pending_->id == id) transmit();
  });
}

void SimTurnClient::on_reply(const Reply& reply) {
  if (!pending_ || reply.view().transaction() != pending_->id) return;
  const Transaction asked = std::move(*pending_);
  pending_.reset();
  const int code = reply.code();
  if ((code == 401 || code == 438) && !asked.again) {
    signer_->nonce = reply.text(Attribute::nonce);
    return ask(asked.method, asked.fill, asked.then, true);
  }
  if (code == 437 || code == 401) return lost();
  if (code == 0) asked.then(reply);
}

void SimTurnClient::lost() {
  // An allocation of ours may still be there under this address: only another one helps.
  move();
}

void SimTurnClient::move() {
  relayed_.reset();
  client_.port = static_cast<std::uint16_t>(client_.port + 500);
  if (client_.port < 10'000) client_.port = static_cast<std::uint16_t>(client_.port + 10'000);
}

void SimTurnClient::allocate() {
  signer_.emplace(login_.username, World::kRealm, login_.password);
  const std::uint32_t lifetime = 60 + static_cast<std::uint32_t>(random_.below(1'200));
  const auto fill = [lifetime](stun::MessageWriter& writer) {
    turn::testing::udp_transport()(writer);
    turn::testing::lifetime(lifetime)(writer);
  };
  ask(Method::allocate, fill, [this](const Reply& reply) {
    relayed_ = reply.relayed();
    channels_.clear();
    next_channel_ = 0x4000;
  });
}

void SimTurnClient::refresh() {
  const bool end = random_.one_in(12);
  const std::uint32_t lifetime = end ? 0 : static_cast<std::uint32_t>(random_.below(1'000));
  ask(Method::refresh, turn::testing::lifetime(lifetime), [this, end](const Reply&) {
    if (end) relayed_.reset();
  });
}

void SimTurnClient::bind() {
  const Endpoint peer = any_peer();
  std::uint16_t number = next_channel_;
  for (const auto& [channel, bound] : channels_) {
    if (bound == peer) number = channel;
  }
  ask(Method::channel_bind, turn::testing::channel(number, peer),
      [this, number, peer](const Reply&) {
        channels_.insert_or_assign(number, peer);
        if (number == next_channel_) ++next_channel_;
      });
}

void SimTurnClient::permit() {
  ask(Method::create_permission, turn::testing::peers({any_peer()}), [](const Reply&) {});
}

// ---- data: with a permission or without, the relay decides

void SimTurnClient::data() {
  const std::string payload = direct_.to_string() + " #" + std::to_string(++payloads_);
  const std::size_t lot = random_.below(4);
  if (lot == 0) {  // from the outside towards somebody's relayed address
    const Endpoint& peer = any_peer();
    if (server_.relay().is_relayed(peer)) {
      server_.send(direct_, peer, Packet(payload.begin(), payload.end()));
    }
    return;
  }
  if (lot == 1 || channels_.empty()) {
    return server_.send(client_, SimRelay::address(),
                        turn::testing::send_indication(any_peer(), payload));
  }
  auto channel = channels_.begin();
  std::advance(channel, random_.below(channels_.size()));
  server_.send(client_, SimRelay::address(), turn::testing::channel_data(channel->first, payload));
}

void SimTurnClient::on_packet(const Endpoint& to, const Packet& packet) {
  if (to == direct_ || packet.empty() || (packet[0] & 0xC0U) == 0x40U) {
    ++received_;
    return;
  }
  const auto message = stun::MessageView::parse(packet).value();
  if (message.message_class() == stun::Class::indication) {
    ++received_;
    return;
  }
  on_reply(Reply(packet));
}

}  // namespace bedside::sim
