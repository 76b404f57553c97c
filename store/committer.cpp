#include "store/committer.h"

#include <algorithm>
#include <utility>

namespace bedside::store {

Committer::Committer(Writer writer, std::size_t max_deferred, std::function<Clock()> clock)
    : writer_(std::move(writer)), max_deferred_(max_deferred), clock_(std::move(clock)) {}

Committer::Outage& Committer::outage() {
  if (!full_) full_ = Outage{clock_()};
  return *full_;
}

// One transaction. False: nothing was written, because the disk is full or (broken_) for good.
bool Committer::write(std::span<Writer::Item> items) {
  if (broken_) return false;
  switch (writer_.write(items)) {
    case Writer::Ending::done:
      break;
    case Writer::Ending::full:
      return false;
    case Writer::Ending::broken:
      broken_ = true;
      return false;
  }
  ++batches_;
  for (const Writer::Item& item : items) {
    if (!item.result.ok()) continue;
    ++commits_;
    records_ += item.commit->records.size();
  }
  return true;
}

// After a batch that found no space: each commit on its own, so that a large one does not fail the
// small ones beside it.
void Committer::write_each(std::span<Writer::Item> items) {
  for (Writer::Item& item : items) {
    if (write(std::span(&item, 1))) continue;
    item.result.status = broken_ ? CommitStatus::failed : CommitStatus::full;
  }
}

std::vector<CommitResult> Committer::serve(std::span<Queued> batch) {
  std::vector<Writer::Item> items;
  items.reserve(batch.size());
  for (const Queued& queued : batch) items.push_back({&queued.commit, queued.at, false, {}});

  if (!catch_up()) {
    const CommitStatus status = broken_ ? CommitStatus::failed : CommitStatus::full;
    for (Writer::Item& item : items) item.result.status = status;
  } else if (!items.empty() && !write(items)) {
    write_each(items);
  }

  std::vector<CommitResult> results;
  results.reserve(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    settle(batch[i], items[i].result);
    results.push_back(items[i].result);
  }
  return results;
}

// What was deferred is older than any batch and goes first; while it does not fit, nothing
// overtakes it.
bool Committer::catch_up() {
  if (broken_) return false;
  if (!full_) return true;
  return write_deferred() && write_recovered();
}

bool Committer::write_deferred() {
  while (!deferred_.empty()) {
    const std::size_t count = std::min(deferred_.size(), kMaxBatchRows);
    std::vector<Writer::Item> items;
    items.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      items.push_back({&deferred_[i].commit, deferred_[i].at, true, {}});
    }
    if (!write(items)) return false;
    deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return true;
}

// The log itself tells of the time in which it could not be written.
bool Committer::write_recovered() {
  Commit commit;
  AuditRecord& record = commit.records.emplace_back();
  record.type = "storage.recovered";
  record.actor.kind = "service";
  record.detail.set("full_since_us", full_->since.wall.count()).set("refused", full_->refused);
  record.detail.set("late", full_->late).set("lost", full_->lost);
  Writer::Item item{&commit, clock_(), false, {}};
  if (!write(std::span(&item, 1))) return false;
  full_.reset();
  return true;
}

// Turns "no space" into what it means for this commit.
void Committer::settle(Queued& queued, CommitResult& result) {
  if (result.status != CommitStatus::full) return;
  Outage& now = outage();
  if (!queued.commit.keep) {
    ++now.refused;
  } else if (deferred_.size() >= max_deferred_) {
    ++now.lost;
    ++lost_;
  } else {
    ++now.late;
    result.status = CommitStatus::deferred;
    deferred_.push_back(Queued{std::move(queued.commit), {}, queued.at});
  }
}

void Committer::checkpoint_if_due(bool idle) {
  if (broken_) return;
  // Full is no harm here: the WAL keeps everything.
  broken_ = writer_.checkpoint_if_due(idle) == Writer::Ending::broken;
}

void Committer::begin_epoch_if_due() {
  if (broken_ || full_) return;
  broken_ = writer_.begin_epoch_if_due(clock_()) == Writer::Ending::broken;
}

void Committer::finish() {
  catch_up();
  if (!broken_) broken_ = writer_.checkpoint_for_close() == Writer::Ending::broken;
}

}  // namespace bedside::store
