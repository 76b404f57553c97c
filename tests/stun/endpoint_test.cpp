#include "stun/endpoint.h"

#include <gtest/gtest.h>

#include <set>
#include <unordered_set>

namespace bedside::stun {
namespace {

TEST(IpAddress, is_read_from_and_written_as_text) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                           "fe80::1:2:3:4", "::ffff:192.0.2.1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(IpAddress::parse("2001:DB8:0:0:0:0:0:1"), IpAddress::parse("2001:db8::1"));
}

TEST(IpAddress, refuses_what_is_not_one) {
  using std::string_view_literals::operator""sv;
  for (const auto text :
       {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "1.2.3.256"sv, "01.2.3.4"sv, " 1.2.3.4"sv, "1.2.3.4 "sv,
        "[::1]"sv, "fe80::1%eth0"sv, ":::"sv, "1::2::3"sv, "12345::"sv, "localhost"sv,
        "1.2.3.4\0x"sv,
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, takes_four_or_sixteen_bytes) {
  const std::array<std::uint8_t, 17> bytes{1, 2, 3, 4};
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_EQ(IpAddress::from_bytes(Bytes(bytes).first(size)).has_value(), size == 4 || size == 16);
  }
  EXPECT_EQ(IpAddress::from_bytes(Bytes(bytes).first(4))->to_string(), "1.2.3.4");
}

TEST(IpAddress, unmaps_only_the_mapped_form) {
  EXPECT_EQ(IpAddress::parse("::ffff:192.0.2.1")->unmapped(), IpAddress::v4(192, 0, 2, 1));
  for (const char* text : {"::192.0.2.1", "::fffe:192.0.2.1", "::1:ffff:192.0.2.1", "192.0.2.1"}) {
    EXPECT_EQ(IpAddress::parse(text)->unmapped(), IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, keeps_the_families_apart) {
  EXPECT_NE(*IpAddress::parse("0.0.0.0"), *IpAddress::parse("::"));
  EXPECT_EQ(IpAddress(), IpAddress::v4(0, 0, 0, 0));
  EXPECT_TRUE(IpAddress::parse("::")->is_unspecified());
  EXPECT_FALSE(IpAddress::parse("::1")->is_unspecified());
}

TEST(Endpoint, is_read_from_and_written_as_text) {
  for (const char* text : {"192.0.2.1:3478", "[2001:db8::1]:443", "[::]:0", "0.0.0.0:65535"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
}

TEST(Endpoint, refuses_what_is_not_one) {
  for (const char* text : {"", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1",
                           "192.0.2.1:+1", "192.0.2.1: 1", "192.0.2.1:1x", "::1:3478",
                           "[192.0.2.1]:1", "[::1]", "[::1]3478", "[]:1", "[::1:3478"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(EndpointHash, spreads_neighbours_and_depends_on_the_seed) {
  std::set<std::size_t> buckets;
  for (std::uint16_t port = 0; port < 4096; ++port) {
    buckets.insert(EndpointHash{7}(Endpoint{IpAddress::v4(192, 0, 2, 1), port}) % 4096);
  }
  // 4,096 balls in 4,096 bins leave about 63 % of them used; a bad hash leaves far fewer.
  EXPECT_GT(buckets.size(), 2400U);
  const Endpoint one = *Endpoint::parse("192.0.2.1:1");
  EXPECT_EQ(EndpointHash{1}(one), EndpointHash{1}(one));
  EXPECT_NE(EndpointHash{1}(one), EndpointHash{2}(one));
}

TEST(EndpointHash, serves_containers) {
  std::unordered_set<Endpoint, EndpointHash> set(0, EndpointHash{42});
  set.insert(*Endpoint::parse("192.0.2.1:1"));
  set.insert(*Endpoint::parse("[2001:db8::1]:1"));
  set.insert(*Endpoint::parse("192.0.2.1:1"));
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace bedside::stun
