#include "server/relay_shard.h"

#include <openssl/rand.h>

#include <cstdlib>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "server/net/timer.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "server/relay_port_sockets.h"
#include "server/turn_stream.h"

namespace bedside::server {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kCommandQueue = 1024;
constexpr int kBatchesPerWakeup = 4;  // then the other sockets have their turn
constexpr auto kEventRetry = 10ms;
constexpr auto kLastEventsWait = 1s;

class SystemRandom final : public turn::Random {
 public:
  void fill(stun::MutableBytes out) override {
    // Without randomness ports and tokens could be guessed: better no server than that one.
    if (::RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
  }
};

struct RevokeParticipant {
  std::string id;
};
struct RevokeUser {
  std::string name;
};
struct SetDraining {
  bool draining;
};
using Command = std::variant<RevokeParticipant, RevokeUser, SetDraining>;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

struct RelayShard::Core final : TurnStream::Owner {
  Core(const RelayShardSettings& settings, const RelayShardShared& with);

  turn::Now now() const;
  tl::expected<void, net::SocketError> listen(const RelayShardSettings& settings);
  void adopt(net::DetachedConnection connection);
  void on_client_readable(net::UdpSocket& socket);
  void on_client_datagram(const net::UdpSocket& socket, const net::Datagram& datagram,
                          const turn::Now& time);
  void on_port_readable(turn::RelayPortId id);
  void on_port_datagram(PortSocket& port, const net::Datagram& datagram, const turn::Now& time);
  void on_frame(TurnStream& stream, stun::Bytes frame) override;
  void on_frames_done(TurnStream& stream) override;
  void on_over(TurnStream& stream) override;
  void to_peer(const turn::ToPeer& out, bool copy);
  void on_command(const Command& command);
  void settle();
  void deliver_events();
  void arm_expiry();
  void close_all();
  void finish();

  net::Loop loop;
  RelayShardShared shared;
  std::uint16_t number;
  bool accept_rfc5766_channels;
  SystemRandom random;
  net::ReceiveBatch received;
  net::SendBatch outgoing;
  PortSockets ports;
  turn::Relay relay;
  std::vector<std::unique_ptr<net::UdpSocket>> clients;
  std::unordered_map<TurnStream*, std::unique_ptr<TurnStream>> streams;
  net::Timer expiry;
  net::Timer event_retry;
  net::Mailbox<Command> commands;
  net::Wakeup stop_bell;
  RelayStats stats;
  bool draining = false;
  bool backlogged = false;  // events wait because the mailbox is full
  bool stopping = false;
  net::MonoTime give_up{};  // when stopping: the last events are not waited for any longer
};

RelayShard::Core::Core(const RelayShardSettings& settings, const RelayShardShared& with)
    : shared(with),
      number(settings.relay.shard),
      accept_rfc5766_channels(settings.relay.accept_rfc5766_channels),
      ports(loop, *with.live_relays, outgoing,
            [this](turn::RelayPortId id) { on_port_readable(id); }),
      relay(settings.relay,
            turn::RelaySurroundings{with.credentials, with.participants, with.live_relays,
                                    with.ledger, &ports, &random},
            *with.peers),
      expiry(loop,
             [this] {
               relay.expire(now());
               settle();
             }),
      event_retry(loop, [this] { settle(); }),
      commands(loop, kCommandQueue, [this](const Command& command) { on_command(command); }),
      stop_bell(loop, [this] { close_all(); }) {}

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

void RelayShard::Core::on_client_readable(net::UdpSocket& socket) {
  const turn::Now time = now();
  ports.set_owner({&socket, nullptr});
  for (int i = 0; i < kBatchesPerWakeup; ++i) {
    const auto datagrams = socket.receive(received);
    for (const net::Datagram& datagram : datagrams) on_client_datagram(socket, datagram, time);
    outgoing.flush();  // what it borrows lies in `received`
    if (datagrams.size() < received.slots()) break;
  }
  settle();
}

void RelayShard::Core::on_client_datagram(const net::UdpSocket& socket,
                                          const net::Datagram& datagram, const turn::Now& time) {
  const turn::FiveTuple tuple{turn::ClientTransport::udp, datagram.from, datagram.to};
  const turn::ClientVerdict verdict = relay.on_client(tuple, datagram.payload(), time);
  if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
    to_peer(*out, false);
  } else if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    outgoing.add_copy(socket, datagram.from, reply->bytes, &datagram.to.address);
  }
}

void RelayShard::Core::to_peer(const turn::ToPeer& out, bool copy) {
  const PortSocket* port = ports.find(out.from);
  if (port == nullptr) return;
  const stun::Endpoint to = shared.live_relays->as_local(out.to);
  if (copy) {
    outgoing.add_copy(port->socket, to, out.payload);
  } else {
    outgoing.add(port->socket, to, out.payload);
  }
}

void RelayShard::Core::on_port_readable(turn::RelayPortId id) {
  PortSocket* port = ports.find(id);
  if (port == nullptr) return;
  const turn::Now time = now();
  for (const net::Datagram& datagram : port->socket.receive(received)) {
    on_port_datagram(*port, datagram, time);
    if (ports.find(id) != port) break;  // its allocation has just expired
  }
  outgoing.flush();
  settle();
}

void RelayShard::Core::on_port_datagram(PortSocket& port, const net::Datagram& datagram,
                                        const turn::Now& time) {
  const ClientLink owner = port.owner;
  const turn::PeerDatagram from_peer{datagram.buffer, datagram.offset, datagram.size};
  const turn::PortVerdict verdict =
      relay.on_peer(port.port.id, shared.live_relays->as_relayed(datagram.from), from_peer, time);
  const auto* out = std::get_if<turn::ToOwner>(&verdict);
  if (out == nullptr) return;
  if (owner.stream != nullptr) {
    owner.stream->media(out->bytes);
  } else {
    outgoing.add(*owner.udp, out->client->client, out->bytes, &out->client->server.address);
  }
}

void RelayShard::Core::adopt(net::DetachedConnection connection) {
  if (streams.size() >= kMaxStreams || stopping) return;  // destroying it closes it
  auto stream =
      std::make_unique<TurnStream>(loop, std::move(connection), accept_rfc5766_channels, *this);
  TurnStream* key = stream.get();
  streams.emplace(key, std::move(stream));
  stats.streams.store(streams.size(), std::memory_order_relaxed);
}

void RelayShard::Core::on_frame(TurnStream& stream, stun::Bytes frame) {
  ports.set_owner({nullptr, &stream});
  const turn::ClientVerdict verdict = relay.on_client(stream.tuple(), frame, now());
  if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
    // A frame does not stay until the batch is full. One too large to be copied leaves at once.
    const bool fits = out->payload.size() <= net::kUdpPayload;
    to_peer(*out, fits);
    if (!fits) outgoing.flush();
  } else if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    stream.answer(reply->bytes);
  }
}

void RelayShard::Core::on_frames_done(TurnStream& /*stream*/) { settle(); }

void RelayShard::Core::on_over(TurnStream& stream) {
  const auto found = streams.find(&stream);
  if (found == streams.end()) return;
  relay.on_client_closed(stream.tuple(), now());
  streams.erase(found);
  stats.streams.store(streams.size(), std::memory_order_relaxed);
  settle();
}

void RelayShard::Core::on_command(const Command& command) {
  std::visit(Overloaded{[this](const RevokeParticipant& revoke) {
                          relay.revoke_participant(revoke.id, now());
                        },
                        [this](const RevokeUser& revoke) { relay.revoke_user(revoke.name, now()); },
                        [this](const SetDraining& set) {
                          draining = set.draining;
                          relay.set_accepting(!draining && !backlogged);
                        }},
             command);
  settle();
}

// After every wake-up: nothing waits to be sent, told, counted or timed.
void RelayShard::Core::settle() {
  outgoing.flush();
  deliver_events();
  arm_expiry();
  stats.publish(relay.counters());
  const net::SendCounters& sent = outgoing.counters();
  stats.udp_send_drops.store(sent.dropped_error + sent.dropped_would_block,
                             std::memory_order_relaxed);
  stats.udp_receive_drops.store(received.dropped_truncated() + received.dropped_unusable(),
                                std::memory_order_relaxed);
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

void RelayShard::stop() {
  if (thread_.joinable()) {
    core_->stop_bell.signal();
    thread_.join();
  } else {
    core_->close_all();
  }
}

}  // namespace bedside::server
