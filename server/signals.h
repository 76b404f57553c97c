#pragma once

// SIGTERM and SIGINT as something to wait for, together with reasons of our own to stop.
//
// Made before any other thread, so that all of them leave the two signals to it.

#include <cstdint>
#include <string_view>

#include "server/net/fd.h"

namespace bedside::server {

enum class StopCause : std::uint8_t { signal, failure };

std::string_view name(StopCause cause);

class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Blocks until a signal came or fail() was called. From then on the next signal ends the process
  // at once, as it does for a program that knows nothing of signals.
  StopCause wait();

  // From any thread.
  void fail();

 private:
  net::Fd signals_;
  net::Fd failure_;
};

}  // namespace bedside::server
