#pragma once

// What wakes the main thread: SIGTERM and SIGINT (stop), SIGHUP (read the configuration again),
// reasons of our own to stop, and time.
//
// Made before any other thread, so that all of them leave these signals to it.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/net/fd.h"

namespace bedside::server {

enum class StopCause : std::uint8_t { signal, failure };

std::string_view name(StopCause cause);

enum class Wake : std::uint8_t { stop, failure, hangup, time };

class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Blocks until something comes, at most until `deadline`. What asks to stop goes first.
  Wake wait(std::optional<std::chrono::steady_clock::time_point> deadline = {});

  // From now on the next SIGTERM or SIGINT ends the process at once, as it does for a program that
  // knows nothing of signals. SIGHUP stays without effect.
  void restore_default_stop();

  // From any thread: wait() returns Wake::failure.
  void fail();

 private:
  net::Fd stops_;
  net::Fd hangups_;
  net::Fd failure_;
};

}  // namespace bedside::server
