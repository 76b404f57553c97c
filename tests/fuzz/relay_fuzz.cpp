// A relay driven by an arbitrary program of operations: raw bytes from strangers, requests with
// valid integrity and arbitrary attributes, the same with bytes changed or cut off, channel data,
// peers' datagrams, ICMP errors, datagrams from one relay port of ours to another, time,
// revocation, drain, a changed peer policy, ports that run out. Whatever happens, nothing may be
// relayed for somebody who was not promised it (the witness of the simulation keeps the books), and
// nothing may outlive its deadline.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/turn/relay_simulation.h"

namespace {

using namespace bedside::turn::testing;
namespace stun = bedside::stun;
namespace turn = bedside::turn;

// Reads the program; past its end everything is zero.
class Program {
 public:
  Program(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}
  bool ended() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t word() { return static_cast<std::uint16_t>((byte() << 8) | byte()); }
  Packet bytes(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

 private:
  stun::Bytes bytes_;
};

turn::testing::WorldOptions small_world() {
  WorldOptions options;
  options.last_port = 50015;
  options.quotas.allocations_per_shard = 3;
  options.quotas.allocations_per_user = 2;
  options.quotas.permissions_per_allocation = 3;
  options.quotas.channels_per_allocation = 3;
  return options;
}

class Machine {
 public:
  Machine() {
    clients_.emplace_back(world_, "192.0.2.7:4000");
    clients_.emplace_back(world_, "192.0.2.7:4001");
    clients_.emplace_back(world_, "192.0.2.8:4000", "bob", "bob-password");
    for (Client& client : clients_) client.refresh();  // takes a nonce
  }

  void run(Program program) {
    while (!program.ended()) {
      step(program);
      world_.relay.expire(world_.now);
      world_.relay.drop_events(world_.relay.events().size());
      witness_.check(world_);
      if (!witness_.problem().empty()) std::abort();
    }
  }

 private:
  void step(Program& program) {
    const std::uint8_t what = program.byte();
    Client& client = clients_[program.byte() % clients_.size()];
    if (what >= 240) return icmp(program);
    switch (what % 10) {
      case 0:
        return from_client(client, program.bytes(program.byte()));
      case 1:
      case 2:
        return from_client(client, signed_request(client, program));
      case 3:
        return from_client(client, channel_data(program.word(), "media"));
      case 4:
        return from_client(client, send_indication(peer(program), "media"));
      case 5:
        return from_peer(program);
      case 6:
        return world_.advance(std::chrono::seconds(program.word() % 4000));
      case 7:
        return end(client, program.byte());
      case 8:
        return from_client(client, damaged(signed_request(client, program), program));
      default:
        return intervene(program.byte());
    }
  }

  stun::Endpoint peer(Program& program) {
    const std::uint8_t which = program.byte();
    const std::uint16_t port = program.word();
    if (which >= 192) return {address("198.41.0.4"), static_cast<std::uint16_t>(50000 + port % 16)};
    if (which >= 128) return {address("198.41.0.4"), port};  // ours, mostly no relay port
    return {stun::IpAddress::v4(8, 8, 8, which % 6), port};
  }

  // Any method, up to six attributes of any kind, typical values half of the time; then a
  // signature.
  Packet signed_request(const Client& client, Program& program) {
    const auto method = static_cast<stun::Method>(program.byte() % 12);
    stun::TransactionId id{};
    id[0] = program.byte();
    const auto fill = [&](stun::MessageWriter& writer) {
      for (int count = program.byte() % 7; count > 0; --count) add_attribute(writer, program);
    };
    return client.signer.request(method, id, fill);
  }

  // A message that was valid: up to three bytes changed, sometimes cut short.
  static Packet damaged(Packet packet, Program& program) {
    for (int count = 1 + program.byte() % 3; count > 0; --count) {
      const std::size_t at = program.word() % packet.size();
      packet[at] = static_cast<std::uint8_t>(packet[at] ^ program.byte());
    }
    if (program.byte() % 4 == 0) packet.resize(program.byte() % packet.size());
    return packet;
  }

  void add_attribute(stun::MessageWriter& writer, Program& program) {
    using stun::Attribute;
    switch (program.byte() % 8) {
      case 0:
        return udp_transport()(writer);
      case 1:
        return lifetime(program.word())(writer);
      case 2:
        return even_port(program.byte() % 2 == 0)(writer);
      case 3:
        return family(Attribute::requested_address_family, program.byte() % 4)(writer);
      case 4:
        return channel(program.word(), peer(program))(writer);
      case 5:
        return peers({peer(program), peer(program)})(writer);
      default: {
        const auto type = static_cast<Attribute>(program.word());
        const Packet value = program.bytes(program.byte() % 24);
        writer.add_bytes(type, value);
      }
    }
  }

  void from_client(Client& client, const Packet& packet) {
    const turn::ClientVerdict verdict = world_.relay.on_client(client.tuple, packet, world_.now);
    if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
      const Packet answer(reply->bytes.begin(), reply->bytes.end());
      const auto message = stun::MessageView::parse(answer);
      if (!message) std::abort();
      witness_.saw_answer(client.tuple, stun::MessageView::parse(packet).value(), *message,
                          world_.now);
      // Hours may pass: a client that never renewed its nonce would soon hear nothing but 438.
      if (const auto nonce = message->text(stun::Attribute::nonce)) client.signer.nonce = *nonce;
    } else if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
      const stun::Endpoint from = world_.ports.open_ports().at(out->from.value).relayed;
      if (denied_ == out->to.address) std::abort();
      witness_.saw_to_peer(client.tuple, from, out->to, world_.now);
      witness_.saw_inside(out->to, out->inside.has_value(), world_.now);
      if (out->inside) to_port(out->inside->port, out->to, from, out->payload.size());
    }
  }

  void from_peer(Program& program) {
    if (world_.ports.open_count() == 0) return;
    auto port = world_.ports.open_ports().begin();
    std::advance(port, program.byte() % world_.ports.open_count());
    const stun::Endpoint from = peer(program);
    to_port(port->second.id, port->second.relayed, from, program.byte());
  }

  void to_port(turn::RelayPortId port, const stun::Endpoint& relayed, const stun::Endpoint& from,
               std::size_t size) {
    Packet buffer(turn::PeerDatagram::kHeadroom + size + turn::PeerDatagram::kTailroom);
    const turn::PeerDatagram datagram{buffer, turn::PeerDatagram::kHeadroom, size};
    delivered(world_.relay.on_peer(port, from, datagram, world_.now), relayed, from);
  }

  // An error of any kind about a datagram to any peer.
  void icmp(Program& program) {
    if (world_.ports.open_count() == 0) return;
    auto port = world_.ports.open_ports().begin();
    std::advance(port, program.byte() % world_.ports.open_count());
    const turn::RelayPort to = port->second;
    const stun::Endpoint destination = peer(program);
    turn::IcmpError error;
    error.type = program.byte();
    error.code = program.byte();
    error.data = program.word();
    delivered(world_.relay.on_icmp(to.id, destination, error, world_.now), to.relayed, destination);
  }

  void delivered(const turn::PortVerdict& verdict, const stun::Endpoint& relayed,
                 const stun::Endpoint& from) {
    const auto* out = std::get_if<turn::ToOwner>(&verdict);
    if (out == nullptr) return;
    if (denied_ == from.address) std::abort();
    witness_.saw_to_client(*out->client, relayed, from, world_.now);
    (void)read(Packet(out->bytes.begin(), out->bytes.end()));
  }

  void end(const Client& client, std::uint8_t how) {
    if (how % 2 == 0) {
      world_.relay.on_client_closed(client.tuple, world_.now);
      witness_.saw_end(client.tuple);
      return;
    }
    world_.relay.close_all(world_.now);
    for (const Client& other : clients_) witness_.saw_end(other.tuple);
  }

  // What an operator or the machine does while calls go on.
  void intervene(std::uint8_t how) {
    switch (how % 4) {
      case 0: {
        const std::string user = how < 128 ? "alice" : "bob";
        world_.relay.revoke_user(user, world_.now);
        for (const Client& client : clients_) {
          if (client.signer.username == user) witness_.saw_end(client.tuple);
        }
        return;
      }
      case 1:
        return world_.relay.set_accepting(!world_.relay.accepting());
      case 2:
        world_.ports.exhausted = !world_.ports.exhausted;
        return;
      default:
        turn::PeerPolicyConfig config;
        denied_ = stun::IpAddress::v4(8, 8, 8, how / 4 % 6);
        config.denied = {{*denied_, 32}};
        config.own_addresses = {address("198.41.0.4")};
        world_.relay.set_peer_policy(turn::PeerPolicy::make(config).value());
        witness_.saw_refused(*denied_);
    }
  }

  World world_{small_world()};
  Witness witness_{small_world().quotas};
  std::deque<Client> clients_;
  std::optional<stun::IpAddress> denied_;  // since the policy changed
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Machine().run(Program(data, size));
  return 0;
}
