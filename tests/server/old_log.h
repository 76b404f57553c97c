#pragma once

// A log with records that are old enough to be purged, for tests of the server.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <utility>

#include "store/store.h"

namespace bedside::server {

// Twelve years ago, 600 records of two rooms and two people; then that server stopped. `options`
// are those of a store that is not there yet.
inline void write_old_log(store::Options options) {
  // No machine runs for so short a time when a test begins: the new records' time goes on. Who
  // submits asks for the time, and so does the store's thread.
  std::atomic<std::int64_t> boot = 1;
  const auto then = std::chrono::duration_cast<std::chrono::microseconds>(
                        std::chrono::system_clock::now().time_since_epoch()) -
                    std::chrono::hours(12 * 8'766);
  options.clock = [&boot, then] {
    const std::chrono::microseconds now(++boot);
    return store::Clock{then + now, now};
  };
  auto opened = store::Store::open(std::move(options));
  ASSERT_TRUE(opened) << opened.error().text;
  for (int i = 0; i < 600; i += 50) {
    store::Commit commit;
    for (int j = i; j < i + 50; ++j) {
      store::AuditRecord& record = commit.records.emplace_back();
      record.type = "room.join";
      record.room = j % 100 == 7 ? "0123456789abcdef0123456789abcdef" : "another-room";
      record.actor = {"participant", j % 100 == 3 ? "ben" : "eve", "guest", ""};
      record.where.ip_enc = {1, 2, 3};
    }
    std::promise<bool> done;
    ASSERT_TRUE((*opened)->submit(std::move(commit), [&](const store::CommitResult& result) {
      done.set_value(result.ok());
    }));
    ASSERT_TRUE(done.get_future().get());
  }
  (*opened)->close();
}

}  // namespace bedside::server
