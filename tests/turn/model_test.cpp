// The relay against a model that is too simple to be wrong: random histories of requests, packets
// and time, in which both must agree on every answer and on the fate of every packet.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::size_t kClients = 3;
constexpr std::size_t kPermissionLimit = 4;
constexpr std::size_t kChannelLimit = 3;
constexpr std::uint16_t kFirstNumber = 0x4000;
constexpr std::uint64_t kNumbers = 5;

// What the RFC says about one client, written as plainly as possible.
struct ModelClient {
  std::optional<nanoseconds> expires;
  std::map<stun::IpAddress, nanoseconds> permissions;
  std::map<std::uint16_t, std::pair<stun::Endpoint, nanoseconds>> channels;

  void age(nanoseconds now) {
    if (expires && *expires <= now) *this = {};
    std::erase_if(permissions, [&](const auto& p) { return p.second <= now; });
    std::erase_if(channels, [&](const auto& c) { return c.second.second <= now; });
  }
  int allocate(nanoseconds now) {
    if (expires) return 437;
    expires = now + seconds(600);
    return 0;
  }
  int refresh(nanoseconds now, std::uint32_t wanted) {
    if (!expires) return 437;
    if (wanted == 0) {
      *this = {};
    } else {
      expires = now + seconds(std::min(std::max(wanted, 600U), 3600U));
    }
    return 0;
  }
  int permit(nanoseconds now, const std::vector<stun::Endpoint>& wanted) {
    if (!expires) return 437;
    std::set<stun::IpAddress> all;
    for (const auto& [peer, until] : permissions) all.insert(peer);
    for (const stun::Endpoint& peer : wanted) all.insert(peer.address);
    if (all.size() > kPermissionLimit) return 508;
    for (const stun::Endpoint& peer : wanted) permissions[peer.address] = now + seconds(300);
    return 0;
  }
  int bind(nanoseconds now, std::uint16_t number, const stun::Endpoint& peer) {
    if (!expires) return 437;
    bool known = false;
    for (const auto& [bound, to] : channels) {
      if ((bound == number) != (to.first == peer)) return 400;
      known = known || bound == number;
    }
    if (!known && channels.size() >= kChannelLimit) return 508;
    const auto code = permit(now, {peer});
    if (code == 0) channels[number] = {peer, now + seconds(600)};
    return code;
  }
  bool may_talk(const stun::Endpoint& peer) const {
    return expires && permissions.contains(peer.address);
  }
  std::optional<std::uint16_t> channel_of(const stun::Endpoint& peer) const {
    for (const auto& [number, to] : channels) {
      if (to.first == peer) return number;
    }
    return std::nullopt;
  }
};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed), world_(options(seed)) {
    for (std::size_t i = 0; i < kClients; ++i) {
      clients_.emplace_back(world_, "192.0.2.7:" + std::to_string(4000 + i));
    }
  }

  void step() {
    if (random_.below(4) == 0) world_.advance(seconds(random_.below(250)));
    const std::size_t who = random_.below(kClients);
    Client& client = clients_[who];
    ModelClient& model = models_[who];
    const nanoseconds now = world_.now.mono;
    model.age(now);
    const stun::Endpoint peer = random_peer();
    const auto number = static_cast<std::uint16_t>(kFirstNumber + random_.below(kNumbers));
    switch (random_.below(9)) {
      case 0: {
        const int code = client.allocate().code();
        ASSERT_EQ(code, model.allocate(now));
        break;
      }
      case 1: {
        const std::uint32_t wanted =
            random_.below(3) == 0 ? 0 : static_cast<std::uint32_t>(random_.below(5000));
        ASSERT_EQ(client.refresh(wanted).code(), model.refresh(now, wanted));
        break;
      }
      case 2: {
        std::vector<stun::Endpoint> wanted;
        for (std::uint64_t i = random_.below(3) + 1; i > 0; --i) wanted.push_back(random_peer());
        ASSERT_EQ(client.ask(stun::Method::create_permission, peers(wanted)).code(),
                  model.permit(now, wanted));
        break;
      }
      case 3:
      case 4:
        ASSERT_EQ(client.bind(number, peer.to_string()).code(), model.bind(now, number, peer));
        break;
      case 5:
        check_send(client, model, peer);
        break;
      case 6:
        check_channel(client, model, number);
        break;
      default:
        check_peer(client, model, peer);
        break;
    }
    ASSERT_EQ(world_.relay.counters().allocations, live_models(now));
  }

 private:
  static WorldOptions options(std::uint64_t seed) {
    WorldOptions options;
    options.seed = seed;
    options.quotas.permissions_per_allocation = kPermissionLimit;
    options.quotas.channels_per_allocation = kChannelLimit;
    options.quotas.new_peers_per_second = 0;  // no limit: the model does not count them
    return options;
  }

  stun::Endpoint random_peer() {
    const auto host = static_cast<std::uint8_t>(1 + random_.below(6));
    return {stun::IpAddress::v4(8, 8, 8, host),
            static_cast<std::uint16_t>(9000 + random_.below(2))};
  }

  std::uint64_t live_models(nanoseconds now) {
    world_.relay.expire(world_.now);
    std::uint64_t live = 0;
    for (ModelClient& model : models_) {
      model.age(now);
      live += model.expires ? 1 : 0;
    }
    return live;
  }

  void check_send(Client& client, const ModelClient& model, const stun::Endpoint& peer) {
    const auto sent = client.send_data(peer.to_string(), "data");
    ASSERT_EQ(sent.has_value(), model.may_talk(peer));
    if (sent) {
      ASSERT_EQ(sent->to, peer);
    }
  }

  void check_channel(Client& client, const ModelClient& model, std::uint16_t number) {
    const auto sent = client.send_channel(number, "data");
    const auto bound = model.channels.find(number);
    const bool passes = bound != model.channels.end() && model.may_talk(bound->second.first);
    ASSERT_EQ(sent.has_value(), passes);
    if (sent) {
      ASSERT_EQ(sent->to, bound->second.first);
    }
  }

  void check_peer(const Client& client, const ModelClient& model, const stun::Endpoint& peer) {
    const auto open = world_.ports.open_ports();  // a copy: what has expired closes on use
    for (const auto& [id, port] : open) {
      Packet buffer(PeerDatagram::kHeadroom + 4 + PeerDatagram::kTailroom);
      const PeerDatagram datagram{buffer, PeerDatagram::kHeadroom, 4};
      const PortVerdict verdict = world_.relay.on_peer({id}, peer, datagram, world_.now);
      const ToOwner* out = std::get_if<ToOwner>(&verdict);
      if (out == nullptr || *out->client != client.tuple) continue;
      ASSERT_TRUE(model.may_talk(peer));
      ASSERT_EQ(read(Packet(out->bytes.begin(), out->bytes.end())).channel, model.channel_of(peer));
      return;
    }
    ASSERT_FALSE(model.may_talk(peer));
  }

  SeededRandom random_;
  World world_;
  std::vector<Client> clients_;
  std::array<ModelClient, kClients> models_;
};

TEST(Model, Agrees_with_the_relay_on_random_histories) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    for (int step = 0; step < 500; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      history.step();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace bedside::turn::testing
