#pragma once

// The place of last resort: a file on another disk that takes commits while the database's disk is
// full, so that what may not wait (somebody leaves, a clinician declares an emergency) is durable
// at once and survives the death of the process. What is in it is merged into the database, in
// order, as soon as that can be written.
//
// One line per commit: number, SHA-256 over the line before and this one, base64 of the sealed
// commit. O_APPEND and O_DSYNC: append() returns after the disk has it. A line that was cut by a
// crash was never acknowledged, and is taken away at the next open(); a line that was changed is a
// reason to keep the file aside and to say so.
//
// One thread at a time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "store/digest.h"

namespace bedside::store {

// What the server gives: names and addresses are in commits, and a disk may be carried away.
struct JournalOptions {
  std::string path;  // empty: there is none
  std::function<std::vector<std::uint8_t>(std::span<const std::uint8_t>)> seal;
  std::function<std::optional<std::vector<std::uint8_t>>(std::span<const std::uint8_t>)> open;
  std::size_t max_bytes = std::size_t{64} * 1024 * 1024;  // beyond: nothing more is taken
  // As write(2), errno included. Empty: the system's; tests give one of a disk that breaks.
  std::function<std::ptrdiff_t(int file, std::string_view text)> write;
};

class Journal {
 public:
  struct Entry {
    std::uint64_t number = 0;  // from 1
    std::vector<std::uint8_t> commit;
  };
  // What a former process left.
  struct LeftOver {
    std::string id;  // of the file's content: what was merged of it is kept under this name
    std::vector<Entry> entries;
    std::string
        damage;  // not empty: the file was set aside under this name from its first bad line
  };

  // Makes the file when it is missing (0600).
  static tl::expected<Journal, std::string> open(JournalOptions options);

  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&& other) noexcept;
  ~Journal();

  const LeftOver& left_over() const { return left_over_; }

  // All of them, or none. The number of the first, when they are on the disk.
  tl::expected<std::uint64_t, std::string> append(
      std::span<const std::vector<std::uint8_t>> commits);

  // A copy beside it, as it is now, for whoever has to find out; its name.
  tl::expected<std::string, std::string> copy_aside() const;

  // A name for what it will contain after clear(); empty when the system has no randomness.
  static std::string fresh_id();
  // Everything in it is in the database: it begins anew, under this name. An error, too, after a
  // write that failed: what such a file keeps is not known.
  tl::expected<void, std::string> clear(std::string id);

  // False after an I/O error, or a write that could not be taken back: nothing is taken any more.
  bool usable() const { return usable_; }
  // Up to this number lines may be in the file, acknowledged or not.
  std::uint64_t attempted() const { return attempted_; }
  const std::string& id() const { return id_; }
  std::uint64_t last() const { return last_; }  // 0: empty
  std::string head() const;                     // the newest line's SHA-256, hexadecimal

 private:
  explicit Journal(JournalOptions options) : options_(std::move(options)) {}
  tl::expected<void, std::string> begin(std::string id);
  tl::expected<void, std::string> read();
  bool read_line(std::string_view line);
  tl::expected<void, std::string> set_aside(const std::string& text);
  tl::expected<std::string, std::string> write_aside(const std::string& text) const;
  tl::expected<void, std::string> write_durably(std::string_view text);
  Sha256::Value chained(std::uint64_t number, std::string_view sealed);

  JournalOptions options_;
  int file_ = -1;
  std::string id_;
  std::uint64_t last_ = 0;
  std::uint64_t attempted_ = 0;
  Sha256::Value head_{};
  std::size_t size_ = 0;  // of what is known to be whole
  bool usable_ = true;    // false after a write that could not be taken back
  LeftOver left_over_;
  Sha256 sha_;
};

}  // namespace bedside::store
