#include "server/clock_watch.h"

#include <sys/timex.h>

#include <ctime>

namespace bedside::server {
namespace {

using std::chrono::microseconds;

microseconds clock_now(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + microseconds(now.tv_nsec / 1000);
}

}  // namespace

ClockReading read_clocks() {
  constexpr microseconds kAtOnce{10'000};
  constexpr int kTries = 5;
  ClockReading reading;
  for (int i = 0; i < kTries; ++i) {
    const microseconds before = clock_now(CLOCK_BOOTTIME);
    reading.wall = clock_now(CLOCK_REALTIME);
    const microseconds took = clock_now(CLOCK_BOOTTIME) - before;
    reading.boot = before + took / 2;
    if (took <= kAtOnce) break;
  }
  timex facts{};
  const int state = ::adjtimex(&facts);
  if (state != -1) reading.synchronized = state != TIME_ERROR && (facts.status & STA_UNSYNC) == 0;
  return reading;
}

ClockWatch::ClockWatch(const ClockReading& now)
    : offset_(offset(now)), synchronized_(now.synchronized) {}

ClockWatch::Finding ClockWatch::look(const ClockReading& now) {
  Finding finding;
  const microseconds moved = offset(now) - offset_;
  const bool step = moved >= kStep || moved <= -kStep;
  const bool soon = told_ && now.boot - *told_ < kBetweenSteps;
  if (step && !soon) {
    finding.stepped = std::chrono::duration_cast<std::chrono::milliseconds>(moved);
    told_ = now.boot;
  }
  // What is not told yet stays to be told.
  if (!step || !soon) offset_ = offset(now);
  if (now.synchronized && now.synchronized != synchronized_) {
    if (synchronized_) finding.synchronized = now.synchronized;
    synchronized_ = now.synchronized;
  }
  return finding;
}

}  // namespace bedside::server
