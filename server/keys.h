#pragma once

// The secrets a server makes for itself, in data_dir/keys/ (folder 0700, files 0600): made on the
// first start, the same ever after. Losing them is no loss of data except for encrypted fields of
// the audit log; leaking them is, so they are never printed, logged or passed to a child process.
//
// Called once at start, before any thread exists.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tl/expected.hpp>

namespace bedside::server {

using Key = std::array<std::uint8_t, 32>;

struct Keys {
  Key turn_participant{};  // signs the TURN credentials of visit participants
  Key pseudonym{};         // turns room ids into pseudonyms in the audit log
  // Encrypted the audit log's personal values before its months had keys of their own.
  Key field{};
  // Wraps the keys of those months. The operator's own (open_wrapping_key), or `field`.
  Key wrapping{};
};

struct KeyError {
  std::string message;  // names the file, the user id and what to do
};

// Whether keys that are not there may be made.
enum class MissingKeys : std::uint8_t {
  make,    // nothing was written with any key yet
  refuse,  // there is a database whose records need the keys they were written with
};

// One key of that folder, made when it is missing and that is allowed.
tl::expected<Key, KeyError> open_one_key(const std::filesystem::path& keys_dir,
                                         const std::string& name, MissingKeys missing);

// Reads the keys and makes the missing ones where that is allowed. A file that others can read,
// that has the wrong size or cannot be opened is an error; nothing is ever overwritten.
tl::expected<Keys, KeyError> open_keys(const std::filesystem::path& keys_dir, MissingKeys missing);

// The operator's own key for the audit log's personal values, 32 bytes: the systemd credential
// "audit-key" when there is one ($CREDENTIALS_DIRECTORY, systemd.exec(5)), else `key_file`; nothing
// when there is neither. Never made here: it is kept apart from the database on purpose.
tl::expected<std::optional<Key>, KeyError> open_wrapping_key(const std::filesystem::path& key_file);

}  // namespace bedside::server
