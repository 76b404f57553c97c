#include "store/committer.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace bedside::store {

namespace {

// What is in the database of the journal's content: "ID:NUMBER", in the transaction that wrote it.
// So a crash between that and the emptying of the journal merges nothing twice.
constexpr std::string_view kMergedSetting = "journal.merged";
// The name of the content that the journal has, or will have once it is emptied: content of another
// name is an old copy, or somebody else's, and is not merged.
constexpr std::string_view kCurrentSetting = "journal.current";

// How much of the journal `id` is merged.
std::uint64_t merged_of(std::string_view setting, std::string_view id) {
  const std::size_t colon = setting.find(':');
  if (colon == setting.npos || setting.substr(0, colon) != id) return 0;
  const std::string_view digits = setting.substr(colon + 1);
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

Committer::Committer(Writer writer, std::size_t max_deferred, std::function<Clock()> clock,
                     std::optional<Journal> journal)
    : writer_(std::move(writer)),
      max_deferred_(max_deferred),
      clock_(std::move(clock)),
      journal_(std::move(journal)) {
  if (journal_) adopt_left_over();
}

void Committer::adopt_left_over() {
  const auto merged = writer_.setting(kMergedSetting);
  const auto current = writer_.setting(kCurrentSetting);
  if (!merged || !current) {
    broken_ = true;
    return;
  }
  known_journal_ = *current;
  const Journal::LeftOver& left = journal_->left_over();
  const bool of_this_log = current->empty() || *current == journal_->id();
  const bool emptied = !of_this_log && merged->starts_with(journal_->id() + ':');
  if (!left.entries.empty() && !of_this_log && !emptied) {
    journal_trouble_ =
        "the journal is not the one that this database was used with last (an old copy?): nothing "
        "of it was merged. Move it away to find out what is in it, and start again";
    journal_.reset();
    return;
  }
  if (!left.damage.empty()) outage().damage = left.damage;
  if (!emptied && adopt_entries(left, merged_of(*merged, left.id)) && !full_) {
    // All of it was merged, and the process died before that was told.
    full_ = Outage{.since = clock_()};
  }
  if (full_) {
    catch_up();
  } else if (!of_this_log || current->empty() || !left.entries.empty()) {
    begin_journal();
  }
}

// False: there are none.
bool Committer::adopt_entries(const Journal::LeftOver& left, std::uint64_t merged) {
  for (const Journal::Entry& entry : left.entries) {
    if (entry.number <= merged) continue;
    auto stamped = decode_commit(entry.commit);
    if (stamped) {
      if (!full_) full_ = Outage{.since = stamped->at};
      ++full_->late;
      deferred_.push_back({std::move(stamped->commit), stamped->at, entry.number,
                           std::move(stamped->boot_id), std::move(stamped->build)});
    } else {
      ++outage().lost;
      ++lost_;
      set_aside();
    }
  }
  return !left.entries.empty();
}

// A line that this version does not understand: before the journal is emptied, a copy of it.
void Committer::set_aside() {
  if (!outage().damage.empty()) return;
  auto copy = journal_->copy_aside();
  if (copy) {
    outage().damage = std::move(*copy);
  } else {
    journal_trouble_ = std::move(copy.error());
  }
}

// Empty, under a name that the database knows.
void Committer::begin_journal() {
  const std::string id = Journal::fresh_id();
  Commit named;
  named.changes.emplace_back(SettingSet{std::string(kCurrentSetting), id});
  Writer::Item item{&named, clock_(), false, {}};
  if (!id.empty() && write(std::span(&item, 1))) return rename_journal(id);
  if (!has_journal()) journal_trouble_ = "the database cannot be told of the journal yet";
}

void Committer::rename_journal(std::string id) {
  known_journal_ = id;
  if (auto cleared = journal_->clear(std::move(id)); !cleared) {
    journal_trouble_ = std::move(cleared.error());
  }
}

std::size_t Committer::journaled() const {
  return static_cast<std::size_t>(
      std::count_if(deferred_.begin(), deferred_.end(),
                    [](const Deferred& each) { return each.journaled != 0; }));
}

Committer::Outage& Committer::outage() {
  if (!full_) full_ = Outage{.since = clock_()};
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

  settle(batch, items);
  std::vector<CommitResult> results;
  results.reserve(batch.size());
  for (Writer::Item& item : items) results.push_back(std::move(item.result));
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
    items.reserve(count + 1);
    std::uint64_t merged = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Deferred& each = deferred_[i];
      items.push_back({&each.commit, each.at, true, {}, {}, each.boot_id, each.build});
      merged = std::max(merged, deferred_[i].journaled);
    }
    Commit mark;
    if (merged != 0) {
      mark.changes.emplace_back(
          SettingSet{std::string(kMergedSetting), journal_->id() + ':' + std::to_string(merged)});
      items.push_back({&mark, clock_(), false, {}});
    }
    if (!write(items)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (items[i].result.ok()) continue;
      ++lost_;
      ++full_->lost;
    }
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
  if (!full_->damage.empty()) {
    record.outcome = Outcome::failed;
    record.reason = "journal-damaged";
  }
  record.detail.set("full_since_us", full_->since.wall.count()).set("refused", full_->refused);
  record.detail.set("late", full_->late).set("lost", full_->lost);
  const bool journal_used =
      journal_ && (journal_->attempted() > 0 || journal_->id() != known_journal_);
  std::string next_journal;
  if (journal_used) {
    if (journal_->last() > 0) {
      record.detail.set("journaled", journal_->last()).set("journal_head", journal_->head());
    }
    // Lines that were refused may be in the file nevertheless: they are void.
    next_journal = Journal::fresh_id();
    commit.changes.emplace_back(SettingSet{
        std::string(kMergedSetting), journal_->id() + ':' + std::to_string(journal_->attempted())});
    commit.changes.emplace_back(SettingSet{std::string(kCurrentSetting), next_journal});
  }
  Writer::Item item{&commit, clock_(), false, {}};
  if (!write(std::span(&item, 1))) return false;
  full_.reset();
  if (journal_used) {
    rename_journal(std::move(next_journal));
  }
  return true;
}

// Turns "no space" into what it means for each commit.
void Committer::settle(std::span<Queued> batch, std::span<Writer::Item> items) {
  std::vector<std::size_t> kept;
  std::vector<StampedCommit> commits;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (items[i].result.status != CommitStatus::full) continue;
    const Commit& commit = batch[i].commit;
    const bool room = deferred_.size() + kept.size() < max_deferred_;
    if (room && (commit.keep || (commit.emergency && has_journal()))) {
      kept.push_back(i);
      commits.push_back({commit, batch[i].at, writer_.boot_id(), writer_.build()});
    } else if (commit.keep) {
      ++outage().lost;
      ++lost_;
    } else {
      ++outage().refused;
    }
  }
  if (kept.empty()) return;
  std::uint64_t number = journal(commits);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    CommitResult& result = items[kept[i]].result;
    if (number == 0 && !commits[i].commit.keep) {
      ++outage().refused;  // stays `full`
      continue;
    }
    ++outage().late;
    result.status = number != 0 ? CommitStatus::journaled : CommitStatus::deferred;
    deferred_.push_back({std::move(commits[i].commit), commits[i].at, number});
    if (number != 0) ++number;
  }
}

// The number of the first one; 0: there is no journal, or it took nothing.
std::uint64_t Committer::journal(std::span<const StampedCommit> commits) {
  if (!has_journal()) return 0;
  std::vector<std::vector<std::uint8_t>> encoded;
  encoded.reserve(commits.size());
  for (const StampedCommit& commit : commits) encoded.push_back(encode_commit(commit));
  auto first = journal_->append(encoded);
  if (first) {
    journal_trouble_.clear();
    return *first;
  }
  journal_trouble_ = std::move(first.error());
  return 0;
}

void Committer::checkpoint_if_due(bool idle) {
  if (broken_) return;
  // Full is no harm here: the WAL keeps everything.
  broken_ = writer_.checkpoint_if_due(idle) == Writer::Ending::broken;
}

void Committer::erase_if_due(bool idle) {
  if (broken_ || full_) return;
  broken_ = writer_.erase_if_due(idle, clock_().boot) == Writer::Ending::broken;
}

void Committer::begin_epoch_if_due() {
  if (broken_ || full_) return;
  const Writer::Ending ending = writer_.begin_epoch_if_due(clock_());
  broken_ = ending == Writer::Ending::broken;
  epoch_trouble_ = ending == Writer::Ending::full ? writer_.trouble() : "";
}

void Committer::finish() {
  catch_up();
  if (!broken_ && !full_) broken_ = writer_.erase() == Writer::Ending::broken;
  if (!broken_) broken_ = writer_.checkpoint_for_close() == Writer::Ending::broken;
}

}  // namespace bedside::store
