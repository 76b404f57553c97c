#include "server/live_relay_table.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bedside::server {
namespace {

using namespace std::chrono_literals;
using stun::Family;
using turn::Now;

constexpr Now kStart{1000s, 0s};
constexpr turn::LiveRelay kOwner{2, {7}};

Now after(std::chrono::nanoseconds time) { return {kStart.mono + time, 0s}; }

RelayAddresses mapped() {
  RelayAddresses addresses;
  addresses.by_family[0] =
      RelayAddress{stun::IpAddress::v4(10, 0, 0, 5), stun::IpAddress::v4(203, 0, 113, 5)};
  return addresses;
}

TEST(LiveRelayTable, A_taken_port_is_alive_until_it_is_released) {
  LiveRelayTable table(mapped());
  const stun::Endpoint relayed{stun::IpAddress::v4(203, 0, 113, 5), 50000};
  EXPECT_FALSE(table.contains(relayed));
  ASSERT_TRUE(table.take(Family::ipv4, 50000, kOwner, kStart));
  EXPECT_TRUE(table.contains(relayed));
  EXPECT_FALSE(table.contains({relayed.address, 50001}));
  EXPECT_FALSE(table.contains({stun::IpAddress::v4(10, 0, 0, 5), 50000}));
  EXPECT_FALSE(table.take(Family::ipv4, 50000, kOwner, kStart));
  table.release(Family::ipv4, 50000, LiveRelayTable::Rest::yes, kStart);
  EXPECT_FALSE(table.contains(relayed));
}

TEST(LiveRelayTable, A_used_port_rests_and_one_that_could_not_be_bound_does_not) {
  LiveRelayTable table(mapped());
  ASSERT_TRUE(table.take(Family::ipv4, 50000, kOwner, kStart));
  table.release(Family::ipv4, 50000, LiveRelayTable::Rest::no, kStart);
  ASSERT_TRUE(table.take(Family::ipv4, 50000, kOwner, kStart));
  table.release(Family::ipv4, 50000, LiveRelayTable::Rest::yes, kStart);
  EXPECT_FALSE(table.take(Family::ipv4, 50000, kOwner, after(turn::limits::kRelayPortRest)));
  EXPECT_TRUE(table.take(Family::ipv4, 50000, kOwner, after(turn::limits::kRelayPortRest + 2s)));
}

TEST(LiveRelayTable, A_family_without_addresses_has_no_ports) {
  LiveRelayTable table(mapped());
  EXPECT_FALSE(table.take(Family::ipv6, 50000, kOwner, kStart));
  EXPECT_FALSE(table.reserve({{}, Family::ipv6, 50000, after(30s).mono}, kStart));
}

TEST(LiveRelayTable, A_reserved_port_is_for_the_bearer_of_the_token_only) {
  LiveRelayTable table(mapped());
  const turn::Reservation reservation{{1, 2, 3}, Family::ipv4, 50001, after(30s).mono};
  ASSERT_TRUE(table.reserve(reservation, kStart));
  EXPECT_FALSE(table.take(Family::ipv4, 50001, kOwner, kStart));
  EXPECT_FALSE(table.claim({9}, kStart));
  const auto claimed = table.claim({1, 2, 3}, kStart);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->port, 50001);
  EXPECT_FALSE(table.claim({1, 2, 3}, kStart));
  EXPECT_TRUE(table.take(Family::ipv4, 50001, kOwner, kStart));
  EXPECT_FALSE(table.reserve(reservation, kStart)) << "alive ports cannot be reserved";
}

TEST(LiveRelayTable, An_unused_reservation_ends_by_itself) {
  LiveRelayTable table(mapped());
  ASSERT_TRUE(table.reserve({{1}, Family::ipv4, 50001, after(30s).mono}, kStart));
  EXPECT_FALSE(table.claim({1}, after(30s)));
  EXPECT_TRUE(table.take(Family::ipv4, 50001, kOwner, after(30s)));
}

TEST(LiveRelayTable, Holds_a_bounded_number_of_reservations) {
  LiveRelayTable table(mapped());
  const auto reserve = [&](std::size_t number, const turn::Now& now) {
    const auto port = static_cast<std::uint16_t>(50'001 + 2 * number);
    turn::ReservationToken token{};
    stun::store_u16(token, 0, port);
    return table.reserve({token, Family::ipv4, port, now.mono + 30s}, now);
  };
  for (std::size_t i = 0; i < turn::limits::kMaxReservations; ++i) {
    ASSERT_TRUE(reserve(i, kStart)) << i;
  }
  EXPECT_FALSE(reserve(turn::limits::kMaxReservations, kStart));
  EXPECT_TRUE(reserve(turn::limits::kMaxReservations, after(30s))) << "nobody came for the others";
}

TEST(LiveRelayTable, Names_the_shard_and_the_port_that_serve_an_address) {
  LiveRelayTable table(mapped());
  const stun::Endpoint relayed{stun::IpAddress::v4(203, 0, 113, 5), 65535};
  const turn::LiveRelay last{63, {131071}};  // the largest of both
  EXPECT_FALSE(table.locate(relayed));
  ASSERT_TRUE(table.take(Family::ipv4, 65535, last, kStart));
  ASSERT_TRUE(table.take(Family::ipv4, 50000, {0, {0}}, kStart));
  EXPECT_EQ(table.locate(relayed), last);
  EXPECT_EQ(table.locate({relayed.address, 50000}), (turn::LiveRelay{0, {0}}));
  EXPECT_FALSE(table.locate({stun::IpAddress::v4(10, 0, 0, 5), 65535})) << "not the bound address";
}

TEST(LiveRelayTable, Knows_ports_by_the_address_of_their_time_after_a_change) {
  LiveRelayTable table(mapped());
  const stun::IpAddress before = stun::IpAddress::v4(203, 0, 113, 5);
  const stun::IpAddress after = stun::IpAddress::v4(203, 0, 113, 6);
  RelayAddresses changed = mapped();
  changed.by_family[0]->advertised = after;
  changed.by_family[0]->bind = after;  // decided at the start
  ASSERT_TRUE(table.take(Family::ipv4, 50000, kOwner, kStart));
  ASSERT_TRUE(table.advertise(changed));
  EXPECT_EQ(table.addresses().of(Family::ipv4)->advertised, after);
  EXPECT_EQ(table.addresses().of(Family::ipv4)->bind, mapped().of(Family::ipv4)->bind);
  EXPECT_TRUE(table.locate({before, 50000}));
  EXPECT_TRUE(table.locate({after, 50000}));
  for (std::size_t i = 1; i < LiveRelayTable::kMaxChanges; ++i) {
    changed.by_family[0]->advertised = stun::IpAddress::v4(203, 0, 113, i % 2 == 0 ? 6 : 7);
    EXPECT_TRUE(table.advertise(changed));
  }
  EXPECT_TRUE(table.can_advertise(changed)) << "it is advertised already";
  changed.by_family[0]->advertised = before;
  EXPECT_FALSE(table.can_advertise(changed));
  EXPECT_FALSE(table.advertise(changed)) << "full, and said so";
  EXPECT_EQ(table.addresses().of(Family::ipv4)->advertised, stun::IpAddress::v4(203, 0, 113, 7));
}

TEST(LiveRelayTable, Asking_whether_an_address_can_be_advertised_changes_nothing) {
  LiveRelayTable table(mapped());
  RelayAddresses changed = mapped();
  changed.by_family[0]->advertised = stun::IpAddress::v4(203, 0, 113, 6);
  for (std::size_t i = 0; i <= LiveRelayTable::kMaxChanges; ++i) {
    EXPECT_TRUE(table.can_advertise(changed));
  }
  EXPECT_EQ(table.addresses(), mapped());
  ASSERT_TRUE(table.take(Family::ipv4, 50000, kOwner, kStart));
  EXPECT_FALSE(table.locate({changed.of(Family::ipv4)->advertised, 50000}));
  EXPECT_TRUE(table.advertise(changed)) << "nor does it use up a change";
}

TEST(RelayAddresses, Relay_ports_live_on_the_listening_address_and_show_the_external_one) {
  const auto endpoint = [](std::string_view text) { return stun::Endpoint::parse(text).value(); };
  const auto external = stun::IpAddress::v4(203, 0, 113, 5);
  const RelayAddresses chosen =
      choose_relay_addresses({endpoint("0.0.0.0:3478"), endpoint("10.0.0.5:3478")}, {external});
  ASSERT_TRUE(chosen.of(Family::ipv4));
  EXPECT_EQ(chosen.of(Family::ipv4)->bind, stun::IpAddress::v4(10, 0, 0, 5));
  EXPECT_EQ(chosen.of(Family::ipv4)->advertised, external);
  EXPECT_FALSE(chosen.of(Family::ipv6)) << "nobody listens on IPv6";
  EXPECT_EQ(
      choose_relay_addresses({endpoint("[::1]:3478")}, {external}).of(Family::ipv6),
      (RelayAddress{stun::IpAddress::parse("::1").value(), stun::IpAddress::parse("::1").value()}))
      << "an external IPv4 address says nothing about IPv6";
}

TEST(RelayAddresses, Relay_ports_live_on_loopback_only_when_nobody_else_is_served) {
  const auto endpoint = [](std::string_view text) { return stun::Endpoint::parse(text).value(); };
  const auto own = stun::IpAddress::v4(192, 0, 2, 1);
  const RelayAddresses chosen = choose_relay_addresses(
      {endpoint("127.0.0.1:3478"), endpoint("192.0.2.1:3478"), endpoint("[::1]:3478")}, {});
  EXPECT_EQ(chosen.of(Family::ipv4), (RelayAddress{own, own}));
  EXPECT_FALSE(chosen.of(Family::ipv6));
  const auto local = stun::IpAddress::v4(127, 0, 0, 1);
  EXPECT_EQ(choose_relay_addresses({endpoint("127.0.0.1:3478"), endpoint("[::1]:3478")}, {})
                .of(Family::ipv4),
            (RelayAddress{local, local}));
}

TEST(InterfaceAddresses, Include_loopback) {
  const auto addresses = interface_addresses();
  EXPECT_NE(std::find(addresses.begin(), addresses.end(), stun::IpAddress::v4(127, 0, 0, 1)),
            addresses.end());
}

}  // namespace
}  // namespace bedside::server
