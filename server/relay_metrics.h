#pragma once

// The relay threads' counters as the operator's metrics and as the admin page's figures.
// Any thread.

#include <vector>

#include "server/admin_backend.h"
#include "server/metrics.h"
#include "server/relay_stats.h"

namespace bedside::server {

RelayMetrics relay_metrics(const RelayStats& shard);

// The sum over all shards.
RelayFigures relay_figures(const std::vector<const RelayStats*>& shards);

}  // namespace bedside::server
