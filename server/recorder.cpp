#include "server/recorder.h"

#include <utility>

namespace bedside::server {

Recorder::Recorder(net::Loop& loop, store::Store& store, std::size_t capacity)
    : store_(store),
      capacity_(capacity),
      verdicts_(loop, 2 * capacity, [this](const Verdict& verdict) { decided(verdict); }) {}

void Recorder::record(store::Commit commit, Done done) {
  record_at(std::move(commit),
            [done = std::move(done)](const store::CommitResult& result) { done(result.status); });
}

void Recorder::record_at(store::Commit commit, DoneAt done) {
  const store::CommitResult full{store::CommitStatus::full};
  if (waiting_.size() >= (commit.keep ? 2 * capacity_ : capacity_)) return done(full);
  const std::uint64_t id = next_id_++;
  const auto place = waiting_.emplace(id, std::move(done)).first;
  const bool taken =
      store_.submit(std::move(commit), [this, id](const store::CommitResult& result) {
        // There is a place for every waiting commit, so this is never refused.
        static_cast<void>(verdicts_.post({id, result}));
      });
  if (taken) return;
  const DoneAt refused = std::move(place->second);
  waiting_.erase(place);
  refused(full);
}

void Recorder::decided(const Verdict& verdict) {
  auto row = waiting_.extract(verdict.id);
  if (!row.empty()) row.mapped()(verdict.result);
}

}  // namespace bedside::server
