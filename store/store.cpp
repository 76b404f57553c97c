#include "store/store.h"

#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "store/committer.h"
#include "store/reader.h"
#include "store/writer.h"

namespace bedside::store {
namespace {

std::chrono::microseconds read_clock(clockid_t which) {
  timespec now{};
  clock_gettime(which, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::duration_cast<std::chrono::microseconds>(
                                                std::chrono::nanoseconds(now.tv_nsec));
}

// An idle server begins its epochs on time, give or take this.
constexpr std::chrono::minutes kLookForEpochEvery{1};

Clock system_clock() { return Clock{read_clock(CLOCK_REALTIME), read_clock(CLOCK_BOOTTIME)}; }

}  // namespace

class Store::Impl {
 public:
  Impl(Options options, Writer writer, std::optional<Journal> journal, std::string trouble)
      : options_(std::move(options)),
        journal_trouble_(std::move(trouble)),
        committer_(std::in_place, std::move(writer), options_.max_deferred, options_.clock,
                   std::move(journal)) {
    publish({});
    thread_ = std::thread([this] { run(); });
  }
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool submit(Commit commit, Completion completion);
  std::size_t close();
  Stats stats() const;
  std::string journal_trouble() const;
  std::string epoch_trouble() const;
  const Options& options() const { return options_; }

 private:
  void run();
  std::vector<Queued> next_batch();
  void serve(std::vector<Queued> batch);
  void publish(std::span<const CommitResult> results);

  Options options_;

  mutable std::mutex mutex_;  // guards the next six
  std::condition_variable arrived_;
  std::deque<Queued> queue_;
  bool closing_ = false;
  Stats stats_;
  std::string journal_trouble_;
  std::string epoch_trouble_;

  std::optional<Committer> committer_;  // store thread, while it runs; empty after close()
  std::size_t unwritten_ = 0;           // owner's thread
  std::thread thread_;
};

bool Store::Impl::submit(Commit commit, Completion completion) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t limit = commit.keep ? options_.max_queued_keep : options_.max_queued;
    if (closing_ || stats_.fatal || queue_.size() >= limit) {
      ++stats_.refused;
      return false;
    }
    // Stamped under the lock: instants do not run against the order of writing.
    queue_.push_back(Queued{std::move(commit), std::move(completion), options_.clock()});
  }
  arrived_.notify_one();
  return true;
}

// The commits that wait now, up to one batch. While one batch is being synced the next one gathers:
// that groups commits under load without a timer, and a lone commit never waits for company.
std::vector<Queued> Store::Impl::next_batch() {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return closing_ || !queue_.empty(); };
  if (committer_->deferred() == 0 || committer_->broken()) {
    arrived_.wait_for(lock, kLookForEpochEvery, ready);
  } else {
    arrived_.wait_for(lock, options_.retry_deferred, ready);
  }
  std::vector<Queued> batch;
  std::size_t rows = 0;
  while (!queue_.empty()) {
    const Commit& next = queue_.front().commit;
    rows += next.records.size() + next.changes.size();
    if (!batch.empty() && rows > kMaxBatchRows) break;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void Store::Impl::run() {
  while (true) {
    serve(next_batch());
    const std::lock_guard lock(mutex_);
    if (closing_ && queue_.empty()) return;
  }
}

void Store::Impl::serve(std::vector<Queued> batch) {
  const std::vector<CommitResult> results = committer_->serve(batch);
  publish(results);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].completion) batch[i].completion(results[i]);
  }
  bool idle = false;
  {
    const std::lock_guard lock(mutex_);
    idle = queue_.empty();
  }
  // After the answers: a checkpoint may take its time.
  committer_->checkpoint_if_due(idle);
  committer_->erase_if_due(idle);
  committer_->begin_epoch_if_due();
  publish({});
}

// Makes the committer's state visible to other threads and tells the owner, once, of the end.
void Store::Impl::publish(std::span<const CommitResult> results) {
  bool news = false;
  {
    const std::lock_guard lock(mutex_);
    for (const CommitResult& result : results) {
      if (!result.ok() && result.status != CommitStatus::deferred) ++stats_.failed;
    }
    stats_.commits = committer_->commits();
    stats_.records = committer_->records();
    stats_.batches = committer_->batches();
    stats_.lost = committer_->lost();
    stats_.epoch = committer_->epoch();
    epoch_trouble_ = committer_->epoch_trouble();
    stats_.epoch_overdue = !epoch_trouble_.empty();
    stats_.deferred = committer_->deferred();
    stats_.journaled = committer_->journaled();
    stats_.journal = committer_->has_journal();
    const std::string& trouble = committer_->journal_trouble();
    if (stats_.journal || !trouble.empty()) journal_trouble_ = trouble;
    stats_.full = committer_->full();
    stats_.locked = committer_->locked();
    news = committer_->broken() && !stats_.fatal;
    stats_.fatal = committer_->broken();
  }
  if (news && options_.on_fatal) options_.on_fatal(committer_->trouble());
}

Stats Store::Impl::stats() const {
  const std::lock_guard lock(mutex_);
  Stats now = stats_;
  now.queued = queue_.size();
  return now;
}

std::string Store::Impl::journal_trouble() const {
  const std::lock_guard lock(mutex_);
  return journal_trouble_;
}

std::string Store::Impl::epoch_trouble() const {
  const std::lock_guard lock(mutex_);
  return epoch_trouble_;
}

std::size_t Store::Impl::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  arrived_.notify_one();
  if (!thread_.joinable()) return unwritten_;
  thread_.join();
  committer_->finish();
  publish({});
  unwritten_ = committer_->deferred() - committer_->journaled();
  committer_.reset();  // closes the file, then gives the lock back
  return unwritten_;
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

tl::expected<std::unique_ptr<Store>, OpenError> Store::open(Options options) {
  if (!options.clock) options.clock = system_clock;
  auto writer = Writer::open(options);
  if (!writer) return tl::unexpected(std::move(writer.error()));
  std::optional<Journal> journal;
  std::string trouble;
  if (!options.journal.path.empty()) {
    auto opened = Journal::open(options.journal);
    if (opened) {
      journal = std::move(*opened);
    } else {
      trouble = std::move(opened.error());
    }
  }
  auto impl = std::make_unique<Impl>(std::move(options), std::move(*writer), std::move(journal),
                                     std::move(trouble));
  return std::make_unique<Store>(std::move(impl));
}

bool Store::submit(Commit commit, Completion completion) {
  return impl_->submit(std::move(commit), std::move(completion));
}

tl::expected<LoadedState, std::string> Store::load() const {
  const auto reader = Reader::open(impl_->options().path, impl_->options().vfs);
  if (!reader) return tl::unexpected(reader.error());
  return reader->state();
}

Stats Store::stats() const { return impl_->stats(); }
std::string Store::journal_trouble() const { return impl_->journal_trouble(); }
std::string Store::epoch_trouble() const { return impl_->epoch_trouble(); }
std::size_t Store::close() { return impl_->close(); }
const std::string& Store::path() const { return impl_->options().path; }

}  // namespace bedside::store
