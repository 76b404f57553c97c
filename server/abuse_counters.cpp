#include "server/abuse_counters.h"

namespace bedside::server {

bool AbuseCounters::count(Abuse kind, const std::string& network, const std::string& ip_class,
                          Time now) {
  if (rows_.empty()) window_start_ = now;
  const auto known = rows_.find({kind, network});
  if (known != rows_.end()) {
    ++known->second.count;
    return false;
  }
  if (rows_of_day_.left(now) && rows_.size() < kMaxRows) {
    rows_of_day_.spend();
    rows_.emplace(std::pair(kind, network), Row{kind, network, ip_class, 1});
    return true;
  }
  // One row a kind more, whatever comes.
  Row& many = rows_[{kind, "many"}];
  many.kind = kind;
  many.network = "many";
  ++many.count;
  return false;
}

std::vector<AbuseCounters::Row> AbuseCounters::take_due(Time now) {
  if (empty() || now < due()) return {};
  return take_all();
}

std::vector<AbuseCounters::Row> AbuseCounters::take_all() {
  std::vector<Row> rows;
  rows.reserve(rows_.size());
  for (auto& [key, row] : rows_) rows.push_back(std::move(row));
  rows_.clear();
  return rows;
}

}  // namespace bedside::server
