#include "server/relay_shard.h"

#include <openssl/rand.h>

#include <cstdlib>
#include <utility>

#include "server/relay_shard_core.h"

namespace bedside::server {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kCommandQueue = 1024;
constexpr auto kEventRetry = 10ms;
constexpr auto kLastEventsWait = 1s;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

void SystemRandom::fill(stun::MutableBytes out) {
  // Without randomness ports and tokens could be guessed: better no server than that one.
  if (::RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
}

RelayShard::Core::Core(const RelayShardSettings& settings, const RelayShardShared& with)
    : shared(with),
      number(settings.relay.shard),
      accept_rfc5766_channels(settings.relay.accept_rfc5766_channels),
      ports(
          loop, number, *with.live_relays, outgoing,
          [this](turn::RelayPortId id) { on_port_readable(id); },
          [this](turn::RelayPortId id, net::AcceptedSocket peer) {
            on_peer_connection(id, std::move(peer));
          }),
      links(loop, ports, *this),
      relay(settings.relay,
            turn::RelaySurroundings{with.credentials, with.participants, with.live_relays,
                                    with.ledger, &ports, &random, &links},
            *with.peers),
      sessions(settings.sessions),
      expiry(loop,
             [this] {
               relay.expire(now());
               settle();
             }),
      event_retry(loop, [this] { settle(); }),
      commands(loop, kCommandQueue, [this](const ShardCommand& command) { on_command(command); }),
      stop_bell(loop, [this] { close_all(); }) {
  if (with.dtls != nullptr) dtls.emplace(loop, *with.dtls, outgoing, sessions, *this);
  HandoverQueue* queue = with.handover != nullptr ? with.handover->queue(number) : nullptr;
  if (queue == nullptr) return;
  handover_bell = std::make_unique<net::FdWatch>(loop, queue->bell(), net::FdWatch::Direction::read,
                                                 [this] { on_handed_over(); });
  handover_bell->start();
}

turn::Now RelayShard::Core::now() const {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {loop.now(), std::chrono::duration_cast<std::chrono::seconds>(wall)};
}

tl::expected<void, net::SocketError> RelayShard::Core::listen(const RelayShardSettings& settings) {
  for (const stun::Endpoint& endpoint : settings.listen) {
    net::UdpOptions options;
    options.reuse_port = true;
    options.first = settings.first;
    auto socket = net::UdpSocket::bind(endpoint, options);
    if (!socket) return tl::make_unexpected(std::move(socket.error()));
    clients.push_back(std::make_unique<net::UdpSocket>(std::move(*socket)));
    net::UdpSocket& bound = *clients.back();
    bound.watch(loop, [this, &bound] { on_client_readable(bound); });
  }
  return {};
}

void RelayShard::Core::on_command(const ShardCommand& command) {
  ports.set_revoking(std::holds_alternative<RevokeParticipant>(command) ||
                     std::holds_alternative<RevokeUser>(command));
  std::visit(Overloaded{[this](const RevokeParticipant& revoke) {
                          relay.revoke_participant(revoke.id, now());
                        },
                        [this](const RevokeUser& revoke) { relay.revoke_user(revoke.name, now()); },
                        [this](const SetDraining& set) {
                          draining = set.draining;
                          relay.set_accepting(!draining && !backlogged);
                        },
                        [this](const SetCredentials& set) {
                          auto next = std::make_unique<const turn::Credentials>(set.credentials);
                          relay.set_credentials(*next);
                          credentials = std::move(next);
                        },
                        [this](const SetPeerPolicy& set) { relay.set_peer_policy(set.peers); },
                        [this](const SetQuotas& set) { relay.set_quotas(set.quotas); }},
             command);
  ports.set_revoking(false);
  settle();
}

// After every wake-up: nothing waits to be sent, told, counted or timed.
void RelayShard::Core::settle() {
  outgoing.flush();
  ring();
  deliver_events();
  arm_expiry();
  stats.publish(relay.counters());
  const net::SendCounters& sent = outgoing.counters();
  stats.udp_send_drops.store(sent.dropped_error + sent.dropped_would_block,
                             std::memory_order_relaxed);
  stats.handover_drops.store(handover_drops, std::memory_order_relaxed);
  stats.udp_receive_drops.store(received.dropped_truncated() + received.dropped_unusable(),
                                std::memory_order_relaxed);
  stats.slow_reader_drops.store(slow_reader_drops, std::memory_order_relaxed);
  stats.streams.store(streams(), std::memory_order_relaxed);
  stats.associations.store(dtls ? dtls->size() : 0, std::memory_order_relaxed);
  if (stopping) finish();
}

void RelayShard::Core::deliver_events() {
  const std::vector<turn::Event>& events = relay.events();
  if (events.empty()) return;
  std::size_t delivered = 0;
  while (delivered < events.size() && shared.events->post(RelayEvent{number, events[delivered]})) {
    ++delivered;
  }
  relay.drop_events(delivered);
  backlogged = !relay.events().empty();
  relay.set_accepting(!draining && !backlogged && !stopping);
  if (backlogged) event_retry.arm(kEventRetry);
}

void RelayShard::Core::arm_expiry() {
  const auto deadline = relay.next_deadline();
  if (!deadline) {
    expiry.cancel();
  } else if (!expiry.armed() || expiry.deadline() != *deadline) {
    expiry.arm_at(*deadline);
  }
}

void RelayShard::Core::close_all() {
  if (stopping) return;
  stopping = true;
  give_up = net::steady_now() + kLastEventsWait;
  relay.set_accepting(false);
  relay.close_all(now());
  settle();
}

void RelayShard::Core::finish() {
  if (!relay.events().empty() && loop.now() < give_up) return;  // event_retry comes back here
  loop.stop();
}

tl::expected<std::unique_ptr<RelayShard>, net::SocketError> RelayShard::open(
    const RelayShardSettings& settings, const RelayShardShared& shared) {
  auto core = std::make_unique<Core>(settings, shared);
  if (auto bound = core->listen(settings); !bound) {
    return tl::make_unexpected(std::move(bound.error()));
  }
  return std::unique_ptr<RelayShard>(new RelayShard(std::move(core)));
}

RelayShard::RelayShard(std::unique_ptr<Core> core) : core_(std::move(core)) {}

RelayShard::~RelayShard() { stop(); }

net::Loop& RelayShard::loop() { return core_->loop; }

std::vector<stun::Endpoint> RelayShard::listening() const {
  std::vector<stun::Endpoint> endpoints;
  for (const auto& socket : core_->clients) endpoints.push_back(socket->local());
  return endpoints;
}

const RelayStats& RelayShard::stats() const { return core_->stats; }

void RelayShard::adopt(net::DetachedConnection connection) { core_->adopt(std::move(connection)); }

void RelayShard::start() {
  thread_ = std::thread([this] { core_->loop.run(); });
}

bool RelayShard::revoke_participant(std::string participant) {
  return core_->commands.post(RevokeParticipant{std::move(participant)});
}

bool RelayShard::revoke_user(std::string name) {
  return core_->commands.post(RevokeUser{std::move(name)});
}

bool RelayShard::set_draining(bool draining) { return core_->commands.post(SetDraining{draining}); }

bool RelayShard::set_credentials(turn::Credentials credentials) {
  return core_->commands.post(SetCredentials{std::move(credentials)});
}

bool RelayShard::set_peer_policy(turn::PeerPolicy peers) {
  return core_->commands.post(SetPeerPolicy{std::move(peers)});
}

bool RelayShard::set_quotas(const turn::Quotas& quotas) {
  return core_->commands.post(SetQuotas{quotas});
}

void RelayShard::stop() {
  if (thread_.joinable()) {
    core_->stop_bell.signal();
    thread_.join();
  } else {
    core_->close_all();
  }
}

}  // namespace bedside::server
