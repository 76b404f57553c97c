#include "server/anchor_keeper.h"

#include <algorithm>
#include <utility>

namespace bedside::server {
namespace {

std::chrono::seconds unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

std::uint64_t newest_size(const store::Reader& log) {
  const auto note = log.newest_checkpoint();
  const auto parsed = note && *note ? store::parse_note(**note) : std::nullopt;
  const auto head = parsed ? store::read_tree_head(parsed->text) : std::nullopt;
  return head ? head->size : 0;
}

}  // namespace

AnchorKeeper::AnchorKeeper(std::string database, std::vector<std::unique_ptr<AnchorPlace>> places,
                           OnChange on_change)
    : database_(std::move(database)), on_change_(std::move(on_change)) {
  for (auto& place : places) {
    states_.push_back({place->name(), 0, {}, {}, false});
    Kept kept;
    kept.place = std::move(place);
    places_.push_back(std::move(kept));
  }
}

AnchorKeeper::~AnchorKeeper() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void AnchorKeeper::start() {
  if (places_.empty()) return;
  ended_ = false;
  thread_ = std::thread([this] { run(); });
}

void AnchorKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    step(std::chrono::steady_clock::now());
    lock.lock();
    wake_.wait_for(lock, kAnchorLook, [this] { return stopping_; });
  }
  ended_ = true;
  wake_.notify_all();
}

void AnchorKeeper::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

bool AnchorKeeper::finish(std::chrono::milliseconds patience) {
  stop();
  const auto log = store::Reader::open(database_);
  for (std::size_t i = 0; log && i < places_.size(); ++i) {
    if (!places_[i].place->local()) continue;
    const std::lock_guard local(local_mutex_);
    keep(*log, i, std::chrono::steady_clock::now());
  }
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, patience, [this] { return ended_; });
}

bool AnchorKeeper::is_due(const Kept& kept, std::uint64_t size, Time now) const {
  if (now >= kept.next) return size != kept.size || kept.failing;
  return !kept.failing && size - kept.size >= kAnchorRecords;
}

// A connection for each look: between them nothing is held open.
void AnchorKeeper::step(Time now) {
  const auto log = store::Reader::open(database_);
  if (!log) return;  // the store says so itself
  const std::uint64_t size = newest_size(*log);
  if (size == 0) return;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    std::unique_lock local(local_mutex_, std::defer_lock);
    if (places_[i].place->local()) local.lock();
    if (is_due(places_[i], size, now)) keep(*log, i, now);
  }
}

void AnchorKeeper::keep(const store::Reader& log, std::size_t index, Time now) {
  Kept& kept = places_[index];
  const auto done = kept.place->keep(log);
  AnchorState state;
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    AnchorState& shared = states_[index];
    const std::string problem = done ? std::string() : done.error().what;
    changed = problem != shared.problem || (done && shared.size == 0);
    shared.problem = problem;
    shared.contradiction = !done && done.error().contradiction;
    if (done) {
      shared.size = *done;
      shared.kept_at = unix_now();
    }
    state = shared;
  }
  kept.failing = !done.has_value();
  if (done) {
    kept.size = *done;
    kept.next = now + kAnchorEvery;
    kept.pause = kAnchorAgain;
  } else {
    kept.next = now + kept.pause;
    kept.pause = std::min<std::chrono::minutes>(2 * kept.pause, kAnchorEvery);
  }
  if (changed && on_change_) on_change_(state);
}

std::vector<AnchorState> AnchorKeeper::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

}  // namespace bedside::server
