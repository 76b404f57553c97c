// TCP allocations under random programs: connections that come about or not, peers that connect,
// bindings right and wrong, time, ends of every kind. A book of what is open is kept from the
// relay's verdicts alone, and the relay must agree with it after each step.
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <string>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using stun::Attribute;
using stun::Method;

constexpr int kTcpSeeds = 60;
constexpr int kTcpSteps = 250;

WorldOptions options_for(std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.tcp_relay = true;
  options.quotas.peer_connections_per_allocation = 3;
  options.quotas.new_peers_per_second = 1000;
  options.quotas.new_peers_burst = 1000;
  return options;
}

class TcpSimulation {
 public:
  explicit TcpSimulation(std::uint64_t seed) : random_(seed), world_(options_for(seed)) {
    for (int i = 0; i < 4; ++i) {
      const std::string user = i % 2 == 0 ? "alice" : "bob";
      clients_.emplace_back(world_, "192.0.2.7:" + std::to_string(4000 + i), user,
                            user + "-password", ClientTransport::tcp);
      clients_.back().refresh();
    }
  }

  void step() {
    Client& client = clients_[random_.below(clients_.size())];
    switch (random_.below(12)) {
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
        world_.advance(std::chrono::seconds(random_.below(25)));
        break;
      default:
        end(client);
    }
    world_.relay.expire(world_.now);
    settle();
    check();
  }
  std::uint64_t joined() const { return joins_; }

 private:
  enum class Phase { connecting, unbound, bound };
  struct Open {
    Phase phase;
    std::chrono::nanoseconds since;
  };

  stun::Endpoint peer() {
    return {stun::IpAddress::v4(8, 8, 8, static_cast<std::uint8_t>(random_.below(3))),
            static_cast<std::uint16_t>(5000 + random_.below(3))};
  }
  std::uint32_t some_id() {
    if (open_.empty() || random_.below(8) == 0)
      return static_cast<std::uint32_t>(random_.below(1U << 26));
    auto at = open_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(open_.size())));
    return at->first;
  }

  void ask(Client& client, Method method, const Fill& fill) {
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto verdict = world_.from_client(client.tuple, client.request(method, fill));
      settle();
      if (const auto* out = std::get_if<ToConnect>(&verdict)) {
        EXPECT_TRUE(open_.emplace(out->id.value, Open{Phase::connecting, world_.now.mono}).second);
        return;
      }
      const auto* answer = std::get_if<ToClient>(&verdict);
      if (answer == nullptr) return;
      const Reply reply(Packet(answer->bytes.begin(), answer->bytes.end()));
      if (reply.code() != 438) return;
      client.signer.nonce = reply.text(Attribute::nonce);
    }
  }

  void connect_ends() {
    const ConnectionId id{some_id()};
    const bool fails = random_.below(3) == 0;
    const auto verdict =
        fails ? world_.relay.on_connect_failed(id, ConnectFailure::failed, world_.now)
              : world_.relay.on_connected(id, world_.now);
    settle();
    const auto found = open_.find(id.value);
    const bool waited = found != open_.end() && found->second.phase == Phase::connecting;
    EXPECT_EQ(std::holds_alternative<ToOwner>(verdict), waited);
    if (!waited) return;
    if (fails) {
      open_.erase(found);
    } else {
      found->second = {Phase::unbound, world_.now.mono};
    }
  }

  void peer_connects() {
    if (world_.ports.open_count() == 0) return;
    auto port = world_.ports.open_ports().begin();
    std::advance(port, static_cast<std::ptrdiff_t>(random_.below(world_.ports.open_count())));
    const auto verdict = world_.relay.on_accepted(port->second.id, peer(), world_.now);
    settle();
    if (const auto* out = std::get_if<Attempted>(&verdict)) {
      EXPECT_TRUE(open_.emplace(out->id.value, Open{Phase::unbound, world_.now.mono}).second);
    }
  }

  void bind() {
    const std::uint32_t id = some_id();
    const std::string user = random_.below(2) == 0 ? "alice" : "bob";
    Client data(world_, "192.0.2.7:" + std::to_string(6000 + random_.below(1000)), user,
                user + "-password", ClientTransport::tcp);
    data.refresh();
    const auto verdict = world_.from_client(
        data.tuple, data.request(Method::connection_bind, [&](stun::MessageWriter& writer) {
          writer.add_u32(Attribute::connection_id, id);
        }));
    settle();
    const auto* out = std::get_if<ToJoin>(&verdict);
    if (out == nullptr) return;
    ASSERT_TRUE(open_.contains(id)) << "joined to nothing";
    EXPECT_EQ(open_.at(id).phase, Phase::unbound);
    open_.at(id) = {Phase::bound, world_.now.mono};
    ++joins_;
  }

  void pass_data() {
    const ConnectionId id{some_id()};
    const auto wait = world_.relay.on_data(id, DataDirection::to_peer, 1000, world_.now);
    settle();
    EXPECT_EQ(wait.has_value(), open_.contains(id.value));
  }

  void end(Client& client) {
    switch (random_.below(5)) {
      case 0:
        return ask(client, Method::refresh, lifetime(0));
      case 1:
        return world_.relay.on_client_closed(client.tuple, world_.now);
      case 2:
        world_.relay.revoke_user(client.signer.username, world_.now);
        return;
      case 3: {
        PeerPolicyConfig config;
        config.denied = {{peer().address, 32}};
        return world_.relay.set_peer_policy(PeerPolicy::make(config).value());
      }
      default: {
        const ConnectionId id{some_id()};
        world_.relay.on_data_connection_closed(id, world_.now);
        open_.erase(id.value);
      }
    }
  }

  // What the relay has asked to close is open, and is closed once.
  void settle() {
    for (const ConnectionId id : world_.data_connections.closed) {
      EXPECT_EQ(open_.erase(id.value), 1U);
    }
    world_.data_connections.closed.clear();
    world_.data_connections.answers.clear();
    world_.relay.drop_events(world_.relay.events().size());
  }

  void check() {
    EXPECT_EQ(world_.relay.counters().peer_connections, open_.size());
    EXPECT_LE(open_.size(), 3 * world_.relay.counters().allocations);
    for (const auto& [id, entry] : open_) {
      if (entry.phase == Phase::bound) continue;
      EXPECT_LT(world_.now.mono - entry.since, std::chrono::seconds(30)) << "outlived its deadline";
    }
  }

  SeededRandom random_;
  World world_;
  std::deque<Client> clients_;
  std::map<std::uint32_t, Open> open_;
  std::uint64_t joins_ = 0;
};

TEST(TcpSimulation, The_relay_and_its_verdicts_agree_on_what_is_open) {
  std::uint64_t joined = 0;
  for (std::uint64_t seed = 1; seed <= kTcpSeeds; ++seed) {
    TcpSimulation simulation(seed);
    for (int i = 0; i < kTcpSteps && !::testing::Test::HasFailure(); ++i) simulation.step();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    joined += simulation.joined();
  }
  EXPECT_GT(joined, std::uint64_t{kTcpSeeds}) << "the programs bind too few to say anything";
}

}  // namespace
}  // namespace bedside::turn::testing
