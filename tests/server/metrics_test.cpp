#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

namespace bedside::server {
namespace {

using ::testing::HasSubstr;

Metrics two_shards() {
  Metrics metrics;
  metrics.version = "0.1.0";
  RelayMetrics relay;
  relay.allocations = 3;
  relay.bytes_to_peer = 5'000'000'000;
  relay.associations = 4;
  relay.moved = 6;
  relay.drops = {{"no_permission", 7}, {"malformed", 0}};
  metrics.relays = {relay, RelayMetrics{}};
  metrics.signaling.rooms = 2;
  metrics.store.audit_records = 11;
  metrics.store.lost_records = 13;
  metrics.store.epoch_overdue = true;
  return metrics;
}

TEST(Metrics, FiguresStandUnderTheirNames) {
  const std::string text = render_prometheus(two_shards());
  EXPECT_THAT(text, HasSubstr("\nbedside_turn_allocations{shard=\"0\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_turn_allocations{shard=\"1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_turn_bytes_to_peer_total{shard=\"0\"} 5000000000\n"));
  EXPECT_THAT(text,
              HasSubstr("\nbedside_turn_drops_total{shard=\"0\",reason=\"no_permission\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_turn_dtls_associations{shard=\"0\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_turn_moved_total{shard=\"0\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_rooms 2\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_audit_records_total 11\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_audit_records_lost_total 13\n"));
  EXPECT_THAT(text, HasSubstr("\nbedside_audit_epoch_problem 1\n"));
  EXPECT_THAT(text, HasSubstr("bedside_build_info{version=\"0.1.0\"} 1\n"));
}

// The grammar of the text format 0.0.4: HELP and TYPE once a family, before its samples.
TEST(Metrics, EveryLineObeysTheTextFormat) {
  const std::regex sample(R"(([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+]+)");
  const std::regex comment(R"(# (HELP|TYPE) ([a-z_]+) .+)");
  std::set<std::string> typed;
  std::istringstream lines(render_prometheus(two_shards()));
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      if (match[1] == "TYPE") {
        EXPECT_TRUE(typed.insert(match[2]).second) << line;
      }
    } else {
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_TRUE(typed.count(match[1]) == 1) << line;
    }
  }
  EXPECT_GT(typed.size(), 15U);
}

TEST(Metrics, TheProcessIsMeasured) {
  const ProcessMetrics process = measure_process();
  EXPECT_GT(process.resident_bytes, 1'000'000U);
  EXPECT_GT(process.open_files, 2U);
  EXPECT_GT(process.start_time_seconds, 1'500'000'000.0);
}

}  // namespace
}  // namespace bedside::server
