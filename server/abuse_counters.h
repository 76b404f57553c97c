#pragma once

// What strangers can cause as often as they like, counted instead of recorded: one audit record a
// minute, kind and source network. Otherwise a flood of wrong passwords would fill the disk, and a
// full disk stops visits from starting.
//
// Control thread only. Time is passed in (any steady clock).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/daily_budget.h"

namespace bedside::server {

enum class Abuse : std::uint8_t {
  // What a correct client never sends:
  malformed,             // no HTTP request
  malformed_request,     // of the signaling API
  malformed_message,     // by WebSocket or `signal`
  malformed_checkpoint,  // for us as a witness
  rate_limited,
  wrong_token,
  token_denied,  // an API token that is unknown, expired or has not the scope
  origin_rejected,
  csrf_rejected,
  login_throttled,  // refused before the password was looked at
  login_denied,     // of nobody we know, after many others that day
  turn_auth,        // relay: wrong user, password or realm
  turn_quota,       // relay: a limit was reached
  peer_denied,      // relay: the peer policy refused an address
};

class AbuseCounters {
 public:
  using Time = std::chrono::milliseconds;
  static constexpr Time kWindow = std::chrono::minutes(1);
  // Different (kind, network) pairs in one window. Beyond it everything counts as one: the network
  // "many".
  static constexpr std::size_t kMaxRows = 256;
  // The same for a day. Who has thousands of networks would otherwise fill the log a minute at a
  // time.
  static constexpr std::size_t kMaxRowsADay = 4096;

  struct Row {
    Abuse kind{};
    std::string network;   // "203.0.113.0/24", "2001:db8:1::/48", "many"
    std::string ip_class;  // "loopback", "private", "public"; empty for "many"
    std::uint64_t count = 0;
  };

  // True when this is the first of its kind and network in the window.
  bool count(Abuse kind, const std::string& network, const std::string& ip_class, Time now);

  // When take_due() has something to give; empty counters have no deadline.
  bool empty() const { return rows_.empty(); }
  Time due() const { return window_start_ + kWindow; }

  // The rows of the window once it is over; nothing before. `take_all` does not wait (at the stop).
  std::vector<Row> take_due(Time now);
  std::vector<Row> take_all();

 private:
  std::map<std::pair<Abuse, std::string>, Row> rows_;
  Time window_start_{};
  DailyBudget rows_of_day_{kMaxRowsADay};  // "many" not counted
};

}  // namespace bedside::server
