#include "turn/five_tuple.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace bedside::turn {
namespace {

const FiveTuple kTuple{ClientTransport::udp, *stun::Endpoint::parse("192.0.2.1:5000"),
                       *stun::Endpoint::parse("198.51.100.1:3478")};

TEST(FiveTuple, differs_by_each_of_its_parts) {
  std::unordered_set<FiveTuple, FiveTupleHash> tuples(0, FiveTupleHash{1});
  tuples.insert(kTuple);
  FiveTuple other = kTuple;
  other.transport = ClientTransport::tcp;
  tuples.insert(other);
  other = kTuple;
  other.client.port = 5001;
  tuples.insert(other);
  other = kTuple;
  other.server.port = 443;
  tuples.insert(other);
  other = kTuple;
  std::swap(other.client, other.server);
  tuples.insert(other);
  tuples.insert(kTuple);
  EXPECT_EQ(tuples.size(), 5U);
}

TEST(FiveTuple, hash_depends_on_the_seed_and_on_each_part) {
  const FiveTupleHash hash{1};
  EXPECT_NE(hash(kTuple), FiveTupleHash{2}(kTuple));
  FiveTuple other = kTuple;
  other.transport = ClientTransport::tls;
  EXPECT_NE(hash(kTuple), hash(other));
  std::swap(other.client, other.server);
  EXPECT_NE(hash(kTuple), hash(other));
}

TEST(ClientTransport, is_a_stream_over_tcp_and_tls) {
  EXPECT_FALSE(is_stream(ClientTransport::udp));
  EXPECT_TRUE(is_stream(ClientTransport::tcp));
  EXPECT_TRUE(is_stream(ClientTransport::tls));
  EXPECT_FALSE(is_stream(ClientTransport::dtls));
}

}  // namespace
}  // namespace bedside::turn
