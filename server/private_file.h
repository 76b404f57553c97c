#pragma once

// Files only this user may read: keys, secrets, certificates' private halves.
// Any thread. Errors are sentences for the operator: file, user id, remedy.

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace bedside::server {

struct FileError {
  std::string what;    // "/etc/bedside/turn.secret: permission denied for user id 993"
  std::string remedy;  // "chown it to that user or …"
};
// Both, as commands print them.
std::string sentence(const FileError& error);

// Makes the folder (and its parents) with 0700 when absent; an existing one must be a folder that
// this user can write into.
tl::expected<void, FileError> make_private_folder(const std::filesystem::path& folder);

// Writes through a temporary file, fsync and rename, so that a crash leaves the old content, the
// new content or nothing, never half of it.
tl::expected<void, FileError> write_file_atomically(const std::filesystem::path& file,
                                                    std::string_view content, mode_t mode);

// At most `limit` bytes; more is an error.
tl::expected<std::string, FileError> read_file(const std::filesystem::path& file,
                                               std::size_t limit);

// A secret typed by a person: the first line of the file, without the line's end. Empty is an
// error.
tl::expected<std::string, FileError> read_secret(const std::filesystem::path& file);

// A rename is durable only when its folder is.
[[nodiscard]] bool sync_folder(const std::filesystem::path& folder);

// A sentence when the folder is there and belongs to somebody else: what this user makes in it
// keeps its owner out.
std::optional<std::string> owned_by_another(const std::filesystem::path& folder);

// Anybody but the owner may read or write it.
bool open_to_others(const std::filesystem::path& file);

}  // namespace bedside::server
