#include "server/source_counts.h"

#include <gtest/gtest.h>

namespace bedside::server {
namespace {

stun::IpAddress ip(const char* text) { return *stun::IpAddress::parse(text); }

TEST(SourceCounts, LimitIsPerAddressAndTheNeighbourDoesNotFeelIt) {
  SourceCounts counts(2);
  EXPECT_TRUE(counts.take(ip("192.0.2.1")));
  EXPECT_TRUE(counts.take(ip("192.0.2.1")));
  EXPECT_FALSE(counts.take(ip("192.0.2.1")));
  EXPECT_TRUE(counts.take(ip("192.0.2.2")));
  counts.give_back(ip("192.0.2.1"));
  EXPECT_TRUE(counts.take(ip("192.0.2.1")));
}

TEST(SourceCounts, Ipv6CountsByItsPrefixOf64Bits) {
  SourceCounts counts(1);
  EXPECT_TRUE(counts.take(ip("2001:db8:0:1::1")));
  EXPECT_FALSE(counts.take(ip("2001:db8:0:1:ffff::2")));
  EXPECT_TRUE(counts.take(ip("2001:db8:0:2::1")));
}

TEST(SourceCounts, NothingIsKeptOfWhoHoldsNothing) {
  SourceCounts counts(1);
  ASSERT_TRUE(counts.take(ip("192.0.2.1")));
  ASSERT_TRUE(counts.take(ip("2001:db8::1")));
  EXPECT_EQ(counts.sources(), 2U);
  counts.give_back(ip("192.0.2.1"));
  counts.give_back(ip("2001:db8::2"));
  counts.give_back(ip("198.51.100.1"));
  EXPECT_EQ(counts.sources(), 0U);
}

}  // namespace
}  // namespace bedside::server
