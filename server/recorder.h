#pragma once

// Commits with a callback on the control thread: for handlers that answer only after their record
// is durable.
//
// Control thread only. The store is closed, or has reported everything, before this is destroyed.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "server/net/loop.h"
#include "server/net/mailbox.h"
#include "store/store.h"

namespace bedside::server {

class Recorder {
 public:
  using Done = std::function<void(store::CommitStatus)>;

  // `capacity`: commits under way at once; twice as many of those that are to be kept.
  Recorder(net::Loop& loop, store::Store& store, std::size_t capacity);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Calls `done` exactly once: later with the store's verdict, or at once with `full` when too many
  // are under way or the store takes no more.
  void record(store::Commit commit, Done done);
  // The same, told the numbers of the records too.
  using DoneAt = std::function<void(const store::CommitResult&)>;
  void record_at(store::Commit commit, DoneAt done);

 private:
  struct Verdict {
    std::uint64_t id = 0;
    store::CommitResult result;
  };
  void decided(const Verdict& verdict);

  store::Store& store_;
  const std::size_t capacity_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, DoneAt> waiting_;
  net::Mailbox<Verdict> verdicts_;  // as large as waiting_ may be: a post never fails
};

}  // namespace bedside::server
