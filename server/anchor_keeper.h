#pragma once

// Brings the audit log's newest checkpoint to every configured place: at start, once an hour, after
// 1,000 records, and, for files, at the stop. A place that fails is tried again after a minute,
// then after twice as long, up to an hour; it holds up no other place, and never the log itself.
//
// step() and states() are for tests and may be called from one thread when start() is not; states()
// is for any thread.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/anchor_places.h"

namespace bedside::server {

inline constexpr std::chrono::hours kAnchorEvery{1};
inline constexpr std::uint64_t kAnchorRecords = 1'000;
inline constexpr std::chrono::minutes kAnchorLook{1};  // whether something is due
inline constexpr std::chrono::minutes kAnchorAgain{1};

struct AnchorState {
  std::string place;
  std::uint64_t size = 0;          // records the newest checkpoint kept there covers
  std::chrono::seconds kept_at{};  // Unix; 0: not yet
  std::string problem;             // why it is behind, a sentence; empty: all is well
  bool contradiction = false;      // it has seen another past of this log
};

class AnchorKeeper {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Told once for each new problem, and when a place works for the first time or again (then
  // `problem` is empty). On the keeper's thread.
  using OnChange = std::function<void(const AnchorState&)>;

  AnchorKeeper(std::string database, std::vector<std::unique_ptr<AnchorPlace>> places,
               OnChange on_change);
  AnchorKeeper(const AnchorKeeper&) = delete;
  AnchorKeeper& operator=(const AnchorKeeper&) = delete;
  ~AnchorKeeper();  // waits for the thread

  void start();  // a thread of its own
  // Brings the last checkpoint to the local places and ends the thread, for which it waits that
  // long: a request under way, or a name server that is dead, may hold it. False: it still runs,
  // and only the destructor will wait for it. After the store has written its last record.
  [[nodiscard]] bool finish(std::chrono::milliseconds patience);

  // Does what is due at `now`.
  void step(Time now);
  std::vector<AnchorState> states() const;

 private:
  struct Kept {
    std::unique_ptr<AnchorPlace> place;
    Time next{};  // not before, unless the log has grown a lot
    std::chrono::minutes pause = kAnchorAgain;
    std::uint64_t size = 0;
    bool failing = false;
  };

  void run();
  void stop();
  void keep(const store::Reader& log, std::size_t index, Time now);
  bool is_due(const Kept& kept, std::uint64_t size, Time now) const;

  const std::string database_;
  const OnChange on_change_;
  std::vector<Kept> places_;

  std::mutex local_mutex_;    // of local places: the stop uses them while the thread may still run
  mutable std::mutex mutex_;  // of what follows
  std::vector<AnchorState> states_;
  bool stopping_ = false;
  bool ended_ = true;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace bedside::server
