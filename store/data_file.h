#pragma once

// The database as a file of this user: folder, mode, lock against a second server. Any thread.

#include <string>
#include <tl/expected.hpp>

#include "store/open_error.h"

namespace bedside::store {

// Held by the one process that may write the database: an exclusive flock on `<database>.lock`. The
// kernel gives it back however the process ends. The file itself stays: removing it would let two
// processes lock two different files of that name.
class FileLock {
 public:
  static tl::expected<FileLock, OpenError> take(const std::string& database);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Makes the folder (0700) and then the empty file (0600) when they are missing, both durably, and
// checks that this user may read and write what is there. SQLite gives the files beside it (-wal,
// -shm) the mode of this one. Must be called before SQLite opens the file in this process: closing
// any descriptor of a file drops the POSIX locks that SQLite holds on it.
tl::expected<void, OpenError> make_data_folder(const std::string& database);
tl::expected<void, OpenError> make_data_file(const std::string& database);

}  // namespace bedside::store
