#pragma once

// A batch of commits and a disk that may be full or broken.

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/commit_codec.h"
#include "store/journal.h"
#include "store/store.h"
#include "store/writer.h"

namespace bedside::store {

// A commit on its way to the disk.
struct Queued {
  Commit commit;
  Completion completion;
  Clock at;  // when it was submitted
};

// What happens when the disk does not take a batch: smaller attempts, deferral of what must be
// kept, the journal, recovery, or the end. Store's thread; no locks, no waiting.
class Committer {
 public:
  // What a former process left in the journal is written first, as far as it can be.
  Committer(Writer writer, std::size_t max_deferred, std::function<Clock()> clock,
            std::optional<Journal> journal);

  // One result per commit, in order. Deferred commits are moved out of the batch; completions are
  // left to the caller. An empty batch only retries what is deferred.
  std::vector<CommitResult> serve(std::span<Queued> batch);

  void checkpoint_if_due(bool idle);
  // What is left of deleted rows (erasure.h); not while the disk is full.
  void erase_if_due(bool idle);
  // When it cannot be begun (disk full, no place for its key), the present epoch goes on and the
  // next call tries again.
  void begin_epoch_if_due();
  const std::string& epoch_trouble() const { return epoch_trouble_; }  // empty: it is not overdue
  std::uint64_t epoch() const { return writer_.epoch(); }
  // The last attempt for what is deferred, nothing left of deleted rows, the whole WAL into the
  // file.
  void finish();

  std::size_t deferred() const { return deferred_.size(); }
  std::size_t journaled() const;  // of those
  bool full() const { return full_.has_value(); }
  bool locked() const { return full() && writer_.locked(); }
  bool broken() const { return broken_; }
  // Under another name than the database knows it would not be merged at the next start.
  bool has_journal() const {
    return journal_.has_value() && journal_->usable() &&
           (known_journal_.empty() || known_journal_ == journal_->id());
  }
  const std::string& journal_trouble() const { return journal_trouble_; }
  const std::string& trouble() const { return writer_.trouble(); }
  // Durable since the start, deferred commits and the committer's own records included.
  std::uint64_t batches() const { return batches_; }
  std::uint64_t commits() const { return commits_; }
  std::uint64_t records() const { return records_; }
  std::uint64_t lost() const { return lost_; }

 private:
  struct Outage {
    Clock since = {};
    std::uint64_t refused = 0;
    std::uint64_t late = 0;
    std::uint64_t lost = 0;
    std::string damage = {};  // of the journal a former process left
  };
  // Has happened, or was granted in an emergency; goes into the database when that takes it.
  struct Deferred {
    Commit commit;
    Clock at;
    std::uint64_t journaled = 0;  // its number in the journal; 0: in memory only
    std::string boot_id = {};     // of a former process
    std::string build = {};
  };

  void adopt_left_over();
  bool adopt_entries(const Journal::LeftOver& left, std::uint64_t merged);
  void begin_journal();
  void rename_journal(std::string id);
  void set_aside();
  bool write(std::span<Writer::Item> items);
  void write_each(std::span<Writer::Item> items);
  bool catch_up();
  bool write_deferred();
  bool write_recovered();
  void settle(std::span<Queued> batch, std::span<Writer::Item> items);
  std::uint64_t journal(std::span<const StampedCommit> commits);
  Outage& outage();

  Writer writer_;
  std::size_t max_deferred_;
  std::function<Clock()> clock_;
  std::optional<Journal> journal_;
  std::string journal_trouble_;
  std::string epoch_trouble_;
  std::string known_journal_;  // the name that the database has of the journal; empty: none yet
  std::deque<Deferred> deferred_;
  std::optional<Outage> full_;  // set while the disk is full
  bool broken_ = false;
  std::uint64_t batches_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace bedside::store
