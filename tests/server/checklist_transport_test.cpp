// The relay checklist's lines about transports, on real loopback sockets.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "server/net/tls.h"
#include "tests/net/test_certificate.h"
#include "tests/server/shard_rig.h"
#include "turn/channel_data.h"

namespace bedside::server::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;
using turn::ClientTransport;

Packet packet_of(std::string_view text) { return {text.begin(), text.end()}; }

std::uint64_t allocations(ShardRig& rig) { return rig.shard().stats().read().allocations; }

std::unique_ptr<TurnEnd> connect(ShardRig& rig, ClientTransport transport) {
  switch (transport) {
    case ClientTransport::udp:
      return std::make_unique<UdpTurnEnd>(rig);
    case ClientTransport::dtls:
      return std::make_unique<DtlsTurnEnd>(rig);
    default:
      return std::make_unique<DoorTurnEnd>(rig, transport);
  }
}

class ChecklistStreams : public ::testing::TestWithParam<ClientTransport> {};
INSTANTIATE_TEST_SUITE_P(Streams, ChecklistStreams,
                         ::testing::Values(ClientTransport::tcp, ClientTransport::tls),
                         [](const auto& tested) {
                           return tested.param == ClientTransport::tls ? "Tls" : "Tcp";
                         });

class ChecklistSessions : public ::testing::TestWithParam<ClientTransport> {};
INSTANTIATE_TEST_SUITE_P(Sessions, ChecklistSessions,
                         ::testing::Values(ClientTransport::tcp, ClientTransport::tls,
                                           ClientTransport::dtls),
                         [](const auto& tested) {
                           if (tested.param == ClientTransport::dtls) return "Dtls";
                           return tested.param == ClientTransport::tls ? "Tls" : "Tcp";
                         });

// --- A
// ---------------------------------------------------------------------------------------------

TEST(ChecklistA, Line7_TcpRelayMobilityOauthDiscoveryAndRfc3489AreOff) {
  ShardRig rig;
  UdpTurnEnd client(rig);
  EXPECT_EQ(client.ask(Method::allocate, family(Attribute::requested_transport, 6)).code(), 442);

  const auto mobility = static_cast<Attribute>(0x8030);
  const Reply allocated = client.ask(Method::allocate, [&](stun::MessageWriter& writer) {
    udp_transport()(writer);
    writer.add_flag(mobility);
  });
  ASSERT_TRUE(allocated.ok());
  EXPECT_FALSE(allocated.has(mobility));

  const auto access_token = static_cast<Attribute>(0x001B);
  EXPECT_EQ(client
                .ask(Method::refresh,
                     [&](stun::MessageWriter& writer) { writer.add_u32(access_token, 0); })
                .code(),
            420);

  UdpEnd stranger(rig);
  const auto change_request = static_cast<Attribute>(0x0003);
  stranger.send(rig.server(),
                client.signer.request(
                    Method::binding, {},
                    [&](stun::MessageWriter& w) { w.add_u32(change_request, 6); }, false));
  EXPECT_EQ(Reply(stranger.receive().value().first).code(), 420);

  // RFC 3489: the same header without the magic cookie.
  Packet old = client.signer.request(Method::binding, {}, {}, false);
  std::fill(old.begin() + 4, old.begin() + 8, std::uint8_t{0});
  stranger.send(rig.server(), old);
  EXPECT_TRUE(stranger.silent());
}

TEST_P(ChecklistSessions, LineA13_WhoNeverAllocatesIsClosedByItsDeadline) {
  RigOptions options;
  options.sessions.unproven = 50ms;
  ShardRig rig(options);
  rig.open_door();
  const auto silent = connect(rig, GetParam());
  const auto proven = connect(rig, GetParam());
  proven->allocate();
  EXPECT_EQ(silent->ask(Method::refresh).code(), 437);  // talks, even with a good password
  const auto ended = [&] {
    if (auto* dtls = dynamic_cast<DtlsTurnEnd*>(silent.get())) return dtls->dtls.pump().ended();
    return dynamic_cast<DoorTurnEnd*>(silent.get())->tcp->ended();
  };
  EXPECT_TRUE(rig.run_until(ended));
  EXPECT_TRUE(proven->ask(Method::refresh).ok());
}

TEST_P(ChecklistSessions, LineA13_TheUnprovenOfOneSourceAreLimited) {
  RigOptions options;
  options.sessions.unproven_per_source = 3;
  ShardRig rig(options);
  rig.open_door();
  const auto proven = connect(rig, GetParam());
  proven->allocate();
  std::vector<std::unique_ptr<TurnEnd>> strangers;
  for (int i = 0; i < 4; ++i) {
    strangers.push_back(connect(rig, GetParam()));
    EXPECT_EQ(strangers.back()->ask(Method::refresh).code(), 437);
  }
  const auto ended = [](TurnEnd& end) {
    if (auto* dtls = dynamic_cast<DtlsTurnEnd*>(&end)) return dtls->dtls.pump().ended();
    return dynamic_cast<DoorTurnEnd&>(end).tcp->ended();
  };
  EXPECT_TRUE(rig.run_until([&] { return ended(*strangers[0]); })) << "the oldest makes room";
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(strangers[static_cast<std::size_t>(i)]->ask(Method::refresh).code(), 437);
  }
  EXPECT_TRUE(proven->ask(Method::refresh).ok()) << "the proven do not count";
}

TEST(ChecklistA, Line13_DtlsAssociationsAreLimitedInTotal) {
  RigOptions options;
  options.sessions.associations = 2;
  ShardRig rig(options);
  DtlsTurnEnd first(rig);
  DtlsTurnEnd second(rig);
  first.allocate();
  second.allocate();
  tests::DtlsTestClient third(rig.server());
  UdpEnd marker(rig);
  third.pump();
  EXPECT_TRUE(marker.silent());  // what was sent before it has been handled
  third.pump();
  EXPECT_EQ(third.bytes_in(), 0U) << "no answer at all";
  EXPECT_TRUE(second.ask(Method::refresh).ok());
}

TEST(ChecklistA, Line13_ADtlsHandshakeThatStallsIsForgotten) {
  RigOptions options;
  options.sessions.handshake = 50ms;
  options.sessions.associations = 1;
  ShardRig rig(options);
  tests::DtlsTestClient stalled(rig.server());
  stalled.lose_second_answer();
  stalled.never_repeat();
  // It shows its cookie and then hears nothing any more.
  ASSERT_TRUE(rig.run_until([&] { return stalled.pump().bytes_in() > 200; }));
  DtlsTurnEnd next(rig);
  EXPECT_FALSE(next.allocate().address.is_unspecified()) << "its place is free again";
}

// --- B
// ---------------------------------------------------------------------------------------------

TEST_P(ChecklistStreams, LineB12_MessagesMayBeSplitAndMergedAnywhere) {
  ShardRig rig;
  rig.open_door();
  DoorTurnEnd client(rig, GetParam());
  UdpEnd peer(rig);
  client.allocate();
  ASSERT_TRUE(client.ask(Method::channel_bind, channel(0x4000, peer.local())).ok());

  stun::TransactionId id{};
  Packet all;
  const auto append = [&all](Packet packet) {
    packet.resize(stun::padded(packet.size()));
    all.insert(all.end(), packet.begin(), packet.end());
  };
  for (std::uint8_t i = 0; i < 5; ++i) {
    id.fill(i);
    append(client.signer.request(Method::refresh, id, {}));
    append(channel_data(0x4000, std::string(i, 'x')));  // every padding
    append(send_indication(peer.local(), std::string(i, 'y')));
  }
  const auto expect_all = [&] {
    for (std::uint8_t i = 0; i < 5; ++i) {
      EXPECT_EQ(peer.receive().value().first, packet_of(std::string(i, 'x')));
      EXPECT_EQ(peer.receive().value().first, packet_of(std::string(i, 'y')));
      EXPECT_TRUE(Reply(client.receive().value()).ok());
    }
  };
  const std::string_view wire = stun::as_text(all);
  client.tcp->send(wire);  // merged
  expect_all();
  for (std::size_t cut = 1; cut < 60; ++cut) {  // split once, anywhere in the first messages
    client.tcp->send(wire.substr(0, cut));
    rig.shard().loop().run_once(1ms);
    client.tcp->send(wire.substr(cut));
    expect_all();
  }
  for (const char byte : wire) {  // one byte at a time
    client.tcp->send(std::string_view(&byte, 1));
    rig.shard().loop().run_once(0ms);
  }
  expect_all();
}

TEST_P(ChecklistSessions, LineB58_ClosingDeletesTheAllocationWithinASecond) {
  ShardRig rig;
  rig.open_door();
  auto client = connect(rig, GetParam());
  UdpTurnEnd same_user(rig);
  const stun::Endpoint relayed = client->allocate();
  same_user.allocate();
  ASSERT_EQ(allocations(rig), 2U) << "the transport is part of the 5-tuple";
  if (auto* dtls = dynamic_cast<DtlsTurnEnd*>(client.get())) {
    dtls->dtls.say_goodbye();
  } else {
    dynamic_cast<DoorTurnEnd&>(*client).tcp->close();
  }
  EXPECT_TRUE(rig.shard().loop().run_until([&] { return allocations(rig) == 1; }, 1s));
  EXPECT_FALSE(rig.live_relays().contains(relayed));
  const auto closed = rig.events<turn::AllocationClosed>();
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].reason, turn::CloseReason::connection_closed);
}

TEST_P(ChecklistSessions, LineB58_AMobileAllocationWaitsForItsClient) {
  RigOptions options;
  options.mobility = true;
  ShardRig rig(options);
  rig.open_door();
  auto before = connect(rig, GetParam());
  UdpEnd peer(rig);
  std::string ticket;
  const auto with_ticket = [&](stun::MessageWriter& writer) {
    writer.add_text(Attribute::mobility_ticket, ticket);
  };
  const Reply allocated = before->ask(Method::allocate, [&](stun::MessageWriter& writer) {
    udp_transport()(writer);
    with_ticket(writer);
  });
  const stun::Endpoint relayed = allocated.relayed().value();
  ticket = allocated.text(Attribute::mobility_ticket);
  ASSERT_TRUE(before->ask(Method::channel_bind, channel(0x4000, peer.local())).ok());
  if (auto* dtls = dynamic_cast<DtlsTurnEnd*>(before.get())) {
    dtls->dtls.say_goodbye();
  } else {
    dynamic_cast<DoorTurnEnd&>(*before).tcp->close();
  }
  peer.send(relayed, packet_of("to nobody"));
  auto after = connect(rig, GetParam());
  const Reply moved = after->ask(Method::refresh, with_ticket);
  ASSERT_TRUE(moved.ok()) << moved.code();
  peer.send(relayed, packet_of("to the new place"));
  Received heard = read(after->receive().value());
  if (heard.payload == "to nobody") heard = read(after->receive().value());
  EXPECT_EQ(heard.payload, "to the new place");
  EXPECT_EQ(allocations(rig), 1U);

  // The old association or connection ends late: the allocation has left it already.
  UdpTurnEnd third(rig);
  ticket = moved.text(Attribute::mobility_ticket);
  ASSERT_TRUE(third.ask(Method::refresh, with_ticket).ok());
  after.reset();
  peer.send(relayed, packet_of("over udp now"));
  EXPECT_EQ(read(third.receive().value()).payload, "over udp now");
  EXPECT_EQ(allocations(rig), 1U);
}

TEST(ChecklistB, Line58_ADtlsClientThatBeginsAnewLosesItsOldAllocation) {
  ShardRig rig;
  DtlsTurnEnd client(rig);
  client.allocate();
  client.dtls.start_again();
  client.signer.nonce.clear();
  EXPECT_TRUE(client.ask(Method::allocate, udp_transport()).ok()) << "not 437";
  EXPECT_EQ(allocations(rig), 1U);
  EXPECT_EQ(rig.events<turn::AllocationClosed>().size(), 1U);
}

TEST(ChecklistB, Line58_UdpAndDtlsFromOnePortAreTwoClients) {
  ShardRig rig;
  DtlsTurnEnd secure(rig);
  secure.allocate();
  // Plain STUN from the port of the association: another 5-tuple, without an allocation.
  net::SendBatch outgoing;
  secure.dtls.send_plain(secure.signer.request(Method::binding, {}, {}, false));
  ASSERT_TRUE(rig.run_until([&] { return secure.dtls.pump().plain_received() == 1; }));
  EXPECT_TRUE(secure.ask(Method::refresh).ok()) << "and the association lives";
}

TEST_P(ChecklistStreams, LineB59_ASlowReaderLosesMediaButNoAnswerAndNobodyElseFeelsIt) {
  ShardRig rig;
  rig.open_door();
  DoorTurnEnd slow(rig, GetParam(), 32768);
  DoorTurnEnd quick(rig, GetParam());
  UdpEnd peer(rig);
  const stun::Endpoint to_slow = slow.allocate();
  const stun::Endpoint to_quick = quick.allocate();
  ASSERT_TRUE(slow.ask(Method::channel_bind, channel(0x4000, peer.local())).ok());
  ASSERT_TRUE(quick.ask(Method::channel_bind, channel(0x4000, peer.local())).ok());
  slow.tcp->stop_reading();
  const Packet kilobyte(1000, 'x');
  constexpr std::uint64_t kPackets = 5000;  // more than every buffer on the way holds
  for (std::uint64_t i = 1; i <= kPackets; ++i) {
    peer.send(to_slow, kilobyte);
    if (i % 50 != 0) continue;  // in portions, so that UDP itself loses nothing
    rig.run_until(
        [&] { return rig.shard().stats().read().packets_to_client >= i + (i - 1) / 500; });
    if (i % 500 != 0) continue;
    peer.send(to_quick, packet_of("for the other one"));
    EXPECT_EQ(read(quick.receive().value()).payload, "for the other one");
  }
  stun::TransactionId id{};
  id.fill(0x77);
  slow.send(slow.signer.request(Method::refresh, id, {}));
  slow.tcp->start_reading();
  std::uint64_t media = 0;
  bool answered = false;
  while (!answered) {
    const auto frame = slow.receive();
    ASSERT_TRUE(frame);
    if (turn::classify((*frame)[0]) == turn::PacketKind::stun) {
      answered = Reply(*frame).ok();
    } else {
      ++media;
    }
  }
  EXPECT_GT(media, 100U);
  EXPECT_LT(media, kPackets - 100) << "the queue must be bounded";
  EXPECT_EQ(media + rig.shard().stats().slow_reader_drops, kPackets) << "and each is accounted for";
}

TEST(ChecklistB, Line60_AHandshakeStalledAtAnyByteIsClosedByATimer) {
  // A whole ClientHello, as a client of TLS 1.2 or 1.3 begins with it.
  ShardRig rig;
  FrontDoorLimits limits;
  limits.handshake = 20ms;
  limits.first_byte = 20ms;
  rig.open_door(limits);
  const stun::Endpoint door = rig.door().listeners()[0].endpoint;
  const std::string hello = tests::client_hello();
  std::vector<std::unique_ptr<tests::LoopbackClient>> stalled;
  for (std::size_t size = 0; size <= hello.size(); size += size < 16 ? 1 : 37) {
    stalled.push_back(std::make_unique<tests::LoopbackClient>(door));
    stalled.back()->send(hello.substr(0, size));
  }
  ASSERT_GT(stalled.size(), 16U);
  EXPECT_TRUE(rig.run_until([&] {
    return std::all_of(stalled.begin(), stalled.end(),
                       [](auto& client) { return client->ended(); });
  }));
  EXPECT_EQ(rig.door().counters().refused_overdue, stalled.size());
  EXPECT_EQ(rig.door().undecided(), 0U);
}

TEST(ChecklistB, Line60_TlsBelow12IsRefused) {
  ShardRig rig;
  rig.open_door();
  tests::LoopbackClient old(rig.door().listeners()[0].endpoint);
  old.start_tls({}, nullptr, TLS1_1_VERSION);
  EXPECT_TRUE(rig.run_until([&] { return old.ended(); }));
  EXPECT_FALSE(old.handshake_done());
  tests::LoopbackClient current(rig.door().listeners()[0].endpoint);
  current.start_tls({}, nullptr, TLS1_2_VERSION);
  EXPECT_TRUE(rig.run_until([&] { return current.handshake_done(); }));
}

TEST(ChecklistB, Line60_ConnectionsOutliveASwapOfTheCertificate) {
  const tests::TestCertificate old_one;
  const tests::TestCertificate new_one;
  net::TlsContext tls = net::TlsContext::load(old_one.certificate(), old_one.key()).value();
  ShardRig rig;
  rig.open_door({}, &tls);
  DoorTurnEnd before(rig, ClientTransport::tls);
  before.allocate();
  const std::string old_certificate = before.tcp->server_certificate();
  tls = net::TlsContext::load(new_one.certificate(), new_one.key()).value();
  EXPECT_TRUE(before.ask(Method::refresh).ok());
  DoorTurnEnd after(rig, ClientTransport::tls);
  after.allocate();
  EXPECT_NE(after.tcp->server_certificate(), old_certificate);
  EXPECT_TRUE(before.ask(Method::refresh).ok());
}

TEST(ChecklistB, Line60_AlpnIsAHintAndNeverH2) {
  ShardRig rig;
  rig.open_door();
  const auto offer = [](std::initializer_list<std::string_view> names) {
    std::vector<unsigned char> wire;
    for (const std::string_view name : names) {
      wire.push_back(static_cast<unsigned char>(name.size()));
      wire.insert(wire.end(), name.begin(), name.end());
    }
    return wire;
  };
  const auto chosen = [&](std::vector<unsigned char> offered) {
    tests::LoopbackClient client(rig.door().listeners()[0].endpoint);
    client.start_tls(std::move(offered));
    EXPECT_TRUE(rig.run_until([&] { return client.handshake_done(); }));
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(client.ssl(), &name, &size);
    return std::string(name, name + size);
  };
  EXPECT_EQ(chosen({}), "") << "browsers send none on TURN over TLS";
  EXPECT_EQ(chosen(offer({"stun.turn"})), "stun.turn") << "RFC 7443";
  EXPECT_EQ(chosen(offer({"h2", "http/1.1"})), "http/1.1");
  EXPECT_EQ(chosen(offer({"h2"})), "");
  EXPECT_EQ(chosen(offer({"stun.nat-discovery", "h2"})), "");
}

TEST(ChecklistB, Line61_MappedClientsAreReportedAsIpv4) {
  RigOptions options;
  options.listen = {endpoint("[::]:0"), endpoint("0.0.0.0:0")};
  ShardRig rig(options);
  UdpTurnEnd client(rig, "127.0.0.1:0");
  client.server = {address("127.0.0.1"), rig.endpoints()[1].port};
  const auto mapped_at = [](const Reply& reply) {
    return reply.view().xor_address(Attribute::xor_mapped_address).value();
  };
  EXPECT_EQ(mapped_at(client.ask(Method::binding)), client.udp.local());
  // Our IPv6 sockets take no IPv4 at all; should a system deliver it all the same, the message
  // writer is the last guard.
  Packet buffer(256);
  stun::MessageWriter writer(buffer, stun::Class::success, Method::binding, {});
  writer.add_xor_address(Attribute::xor_mapped_address, endpoint("[::ffff:192.0.2.1]:1234"));
  const Packet written(buffer.begin(),
                       buffer.begin() + static_cast<std::ptrdiff_t>(writer.finish().size()));
  EXPECT_EQ(mapped_at(Reply(written)), endpoint("192.0.2.1:1234"));
}

TEST(ChecklistB, Line62_AnswersLeaveFromTheAddressThatWasAsked) {
  RigOptions listening;
  listening.listen = {endpoint("127.0.0.1:0"), endpoint("127.0.0.2:0")};
  ShardRig several(listening);
  for (const stun::Endpoint& asked : several.endpoints()) {
    UdpTurnEnd client(several);
    client.server = asked;
    client.allocate();  // receive() compares the source of every answer
  }
  RigOptions anywhere;
  anywhere.listen = {endpoint("0.0.0.0:0")};
  ShardRig wildcard(anywhere);
  UdpEnd peer(wildcard);
  for (const std::string_view asked : {"127.0.0.1", "127.0.0.2"}) {
    UdpTurnEnd client(wildcard);
    client.server = {address(asked), wildcard.server().port};
    ASSERT_EQ(client.ask(Method::refresh).code(), 437);
    tests::DtlsTestClient dtls({address(asked), wildcard.server().port});
    EXPECT_TRUE(wildcard.run_until([&] { return dtls.pump().secured(); }))
        << "a flight from another address would be no answer";
    EXPECT_EQ(dtls.last_sender(), client.server);
  }
}

}  // namespace
}  // namespace bedside::server::testing
