#include "tests/server/shard_rig.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "server/net/tcp_listener.h"
#include "stun/bytes.h"
#include "tests/net/test_certificate.h"
#include "turn/channel_data.h"

namespace bedside::server::testing {
namespace {

using namespace std::chrono_literals;

turn::Credentials make_credentials() {
  turn::CredentialsConfig config;
  config.realm = kRealm;
  config.participant_secrets = {"participant-secret-0123456789"};
  config.shared_secrets = {std::string(kSharedSecret)};
  config.users = {{"alice", "alice-password"}, {"bob", "bob-password"}};
  return turn::Credentials::make(std::move(config)).value();
}

turn::PeerPolicy make_policy(const RigOptions& options) {
  turn::PeerPolicyConfig config;
  config.allow_loopback = options.allow_loopback_peers;
  config.own_addresses = options.external;
  for (const stun::Endpoint& listening : options.listen) {
    config.own_addresses.push_back(listening.address);
  }
  return turn::PeerPolicy::make(std::move(config)).value();
}

const tests::TestCertificate& certificate() {
  static const tests::TestCertificate kCertificate;
  return kCertificate;
}
const net::TlsContext& default_tls() {
  static const auto kTls =
      net::TlsContext::load(certificate().certificate(), certificate().key()).value();
  return kTls;
}
const net::DtlsContext& dtls() {
  static const auto kDtls =
      net::DtlsContext::load(certificate().certificate(), certificate().key()).value();
  return kDtls;
}

std::string_view as_text(const Packet& packet) { return stun::as_text(packet); }

}  // namespace

ShardRig::ShardRig(const RigOptions& options)
    : mailbox_(control_, options.event_queue,
               [this](RelayEvent event) { events_.push_back(std::move(event)); }),
      credentials_(make_credentials()),
      peers_(make_policy(options)),
      live_relays_(choose_relay_addresses(options.listen, options.external)) {
  settings_.listen = options.listen;
  settings_.sessions = options.sessions;
  settings_.relay.first_port = 20000;  // below what the kernel gives to sockets bound to port 0
  settings_.relay.last_port = 29999;
  settings_.relay.accept_rfc5766_channels = options.accept_rfc5766_channels;
  settings_.relay.shards = kMaxShards;
  settings_.relay.mobility = options.mobility;
  settings_.relay.tcp_relay = options.tcp_relay;
  settings_.relay.quotas = options.quotas;
  if (options.behavior_discovery) {
    settings_.relay.discovery = {discovery_addresses(options.listen, stun::Family::ipv4),
                                 discovery_addresses(options.listen, stun::Family::ipv6)};
  }
  settings_.relay.nonce_key.fill(0x33);
  settings_.relay.alternate_server[0] = options.alternate_server;
  endpoints_ = add_shard().listening();
  settings_.listen = endpoints_;
}

RelayShard& ShardRig::add_shard() {
  settings_.relay.shard = static_cast<std::uint16_t>(shards_.size());
  settings_.first = shards_.empty();
  auto shard = RelayShard::open(settings_, {&credentials_, &participants_, &live_relays_, &ledger_,
                                            &peers_, &mailbox_, &dtls(), &handover_});
  if (!shard) throw std::runtime_error(shard.error().message);
  shards_.push_back(std::move(*shard));
  return *shards_.back();
}

FrontDoor& ShardRig::open_door(const FrontDoorLimits& limits, const net::TlsContext* tls,
                               std::uint16_t port) {
  const ListenerSpec spec{
      {server().address, port}, "turn", net::TlsMode::detect, false, false, true};
  auto door =
      FrontDoor::open(shard().loop(), {&spec, 1}, tls != nullptr ? tls : &default_tls(), limits);
  if (!door) throw std::runtime_error(door.error().message);
  door_ = std::move(*door);
  door_->start([this](net::DetachedConnection connection,
                      const ListenerSpec&) { shard().adopt(std::move(connection)); },
               {});
  return *door_;
}

UdpEnd::UdpEnd(ShardRig& rig, std::string_view bind)
    : rig_(rig), socket_(net::UdpSocket::bind(endpoint(bind)).value()) {
  socket_.watch(rig.shard().loop(), [this] { collect(); });
}

void UdpEnd::collect() {
  for (const net::Datagram& datagram : socket_.receive(received_)) {
    const stun::MutableBytes payload = datagram.payload();
    inbox_.emplace_back(Packet(payload.begin(), payload.end()), datagram.from);
  }
}

void UdpEnd::send(const stun::Endpoint& to, stun::Bytes packet) {
  outgoing_.add(socket_, to, packet);
  outgoing_.flush();
}

std::optional<std::pair<Packet, stun::Endpoint>> UdpEnd::receive() {
  if (!rig_.run_until([this] { return !inbox_.empty(); })) return std::nullopt;
  auto first = std::move(inbox_.front());
  inbox_.erase(inbox_.begin());
  return first;
}

// Whatever the shard does with what was sent before, it has done when a Binding of the same socket
// is answered: one socket's datagrams are handled in order.
bool UdpEnd::silent() {
  const Packet binding = Signer("", kRealm, "").request(stun::Method::binding, {}, {}, false);
  send(rig_.server(), binding);
  rig_.run_until([this] { return !inbox_.empty(); });
  const bool only_the_answer =
      inbox_.size() == 1 &&
      stun::MessageView::parse(inbox_[0].first)
          .map([](const auto& m) { return m.is(stun::Class::success, stun::Method::binding); })
          .value_or(false);
  inbox_.clear();
  return only_the_answer;
}

Reply TurnEnd::ask(stun::Method method, const Fill& fill) {
  const auto exchange = [&](bool sign) {
    stun::TransactionId id{};
    stun::store_u32(id, 8, ++transactions_);
    send(signer.request(method, id, fill, sign));
    return Reply(receive().value());
  };
  if (signer.nonce.empty()) signer.nonce = exchange(false).text(stun::Attribute::nonce);
  return exchange(true);
}

stun::Endpoint TurnEnd::allocate(const Fill& fill) {
  const Reply reply = ask(stun::Method::allocate, [&](stun::MessageWriter& writer) {
    udp_transport()(writer);
    if (fill) fill(writer);
  });
  EXPECT_TRUE(reply.ok()) << reply.code();
  return reply.relayed().value();
}

std::optional<Packet> UdpTurnEnd::receive() {
  auto datagram = udp.receive();
  if (!datagram) return std::nullopt;
  EXPECT_EQ(datagram->second, server) << "replies must leave from the address that was asked";
  return std::move(datagram->first);
}

TcpTurnEnd::TcpTurnEnd(ShardRig& rig, int receive_buffer, std::size_t shard) : rig_(rig) {
  auto listener = net::TcpListener::open(endpoint("127.0.0.1:0")).value();
  std::optional<net::AcceptedSocket> accepted;
  tcp = std::make_unique<tests::LoopbackClient>(listener->local(), receive_buffer);
  listener->start(rig.shard().loop(),
                  [&](net::AcceptedSocket socket) { accepted.emplace(std::move(socket)); });
  rig.run_until([&] { return accepted.has_value(); });
  if (receive_buffer >
      0) {  // small on our side too, or the kernel hides a slow reader for megabytes
    ::setsockopt(accepted->fd.get(), SOL_SOCKET, SO_SNDBUF, &receive_buffer, sizeof receive_buffer);
  }
  net::DetachedConnection connection;
  connection.fd = std::move(accepted->fd);
  connection.peer = accepted->peer;
  connection.local = accepted->local;
  rig.shard(shard).adopt(std::move(connection));
}

namespace {

void send_padded(tests::LoopbackClient& tcp, const Packet& packet) {
  Packet padded = packet;
  padded.resize(stun::padded(padded.size()));
  tcp.send(as_text(padded));
}

std::optional<Packet> receive_frame(ShardRig& rig, tests::LoopbackClient& tcp,
                                    std::string& unread) {
  std::optional<Packet> frame;
  const auto complete = [&] {
    unread += tcp.pump().take_received();
    if (unread.size() < 4) return false;
    const stun::Bytes bytes = stun::as_bytes(unread);
    const bool data = turn::classify(bytes[0]) == turn::PacketKind::channel_data;
    const std::size_t length = stun::load_u16(bytes, 2);
    const std::size_t size = stun::padded(length) + (data ? 4 : stun::kHeaderSize);
    if (bytes.size() < size) return false;
    frame.emplace(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    return true;
  };
  if (!rig.run_until(complete)) return std::nullopt;
  unread.erase(0, frame->size());
  return frame;
}

}  // namespace

void TcpTurnEnd::send(const Packet& packet) { send_padded(*tcp, packet); }
std::optional<Packet> TcpTurnEnd::receive() { return receive_frame(rig_, *tcp, unread_); }

DoorTurnEnd::DoorTurnEnd(ShardRig& rig, turn::ClientTransport transport, int receive_buffer)
    : tcp(std::make_unique<tests::LoopbackClient>(rig.door().listeners()[0].endpoint,
                                                  receive_buffer)),
      rig_(rig) {
  if (transport == turn::ClientTransport::tls) tcp->start_tls();
}

void DoorTurnEnd::send(const Packet& packet) { send_padded(*tcp, packet); }
std::optional<Packet> DoorTurnEnd::receive() { return receive_frame(rig_, *tcp, unread_); }

std::string DoorTurnEnd::receive_raw(std::size_t size) {
  rig_.run_until([&] {
    unread_ += tcp->pump().take_received();
    return unread_.size() >= size;
  });
  return std::exchange(unread_, {});
}

std::optional<Packet> DtlsTurnEnd::receive() {
  const bool came = rig_.run_until([this] {
    for (std::string& message : dtls.pump().take_received()) inbox_.push_back(std::move(message));
    return !inbox_.empty();
  });
  if (!came) return std::nullopt;
  const Packet first(inbox_.front().begin(), inbox_.front().end());
  inbox_.erase(inbox_.begin());
  return first;
}

}  // namespace bedside::server::testing
