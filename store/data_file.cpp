#include "store/data_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace bedside::store {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& database) {
  const fs::path parent = fs::path(database).parent_path();
  return parent.empty() ? std::string(".") : parent.string();
}

// "cannot open /x/bedside.db as user id 993: Permission denied (errno 13)"
std::string failure(const std::string& what, int error) {
  return "cannot " + what + " as user id " + std::to_string(geteuid()) + ": " +
         std::strerror(error) + " (errno " + std::to_string(error) + ")";
}

OpenError::Kind kind_of(int error, OpenError::Kind otherwise) {
  return error == EACCES || error == EPERM || error == EROFS ? OpenError::Kind::unreadable
                                                             : otherwise;
}

bool sync_folder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced;
}

std::string holder_of(int fd) {
  char text[24] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  return size > 0 ? " (process " + std::string(text, static_cast<std::size_t>(size)) + ")" : "";
}

}  // namespace

tl::expected<FileLock, OpenError> FileLock::take(const std::string& database) {
  const std::string path = database + ".lock";
  FileLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.fd_ < 0) {
    const int error = errno;
    return tl::unexpected(
        OpenError{kind_of(error, OpenError::Kind::io),
                  failure("open " + path, error) +
                      ". The folder must belong to the user the server runs as."});
  }
  if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) {
      return tl::unexpected(OpenError{OpenError::Kind::io, failure("lock " + path, error)});
    }
    return tl::unexpected(
        OpenError{OpenError::Kind::in_use,
                  database + " is in use by another Bedside server" + holder_of(lock.fd_) +
                      ". Stop that one first, or give this one a data_dir of its own."});
  }
  // The number only helps people; the lock is what counts, so a failure here is none.
  const std::string pid = std::to_string(getpid());
  if (ftruncate(lock.fd_, 0) == 0) {
    [[maybe_unused]] const ssize_t written = pwrite(lock.fd_, pid.data(), pid.size(), 0);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

tl::expected<void, OpenError> make_data_folder(const std::string& database) {
  const std::string folder = folder_of(database);
  std::error_code error;
  const fs::path parent = fs::path(folder).parent_path();
  if (!parent.empty()) fs::create_directories(parent, error);
  if (!error && mkdir(folder.c_str(), 0700) == 0) {
    sync_folder(parent.empty() ? "." : parent.string());
    return {};
  }
  const int code = error ? error.value() : errno;
  if (code != EEXIST) {
    return tl::unexpected(
        OpenError{kind_of(code, OpenError::Kind::folder),
                  failure("make the folder " + folder, code) +
                      ". Make it by hand, owned by the user the server runs as, with mode 0700."});
  }
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return tl::unexpected(
        OpenError{OpenError::Kind::folder,
                  folder + " is not a folder. Move it away or choose another data_dir."});
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return tl::unexpected(OpenError{
        OpenError::Kind::folder, "others may write into " + folder +
                                     " and could replace the database. Run: chmod 700 " + folder});
  }
  return {};
}

tl::expected<void, OpenError> make_data_file(const std::string& database) {
  const int fd = open(database.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int error = errno;
    return tl::unexpected(
        OpenError{kind_of(error, OpenError::Kind::unreadable),
                  failure("open " + database, error) +
                      ". It must be readable and writable for the user the server runs as."});
  }
  struct stat info {};
  const bool known = fstat(fd, &info) == 0;
  // A copy brought back by hand often has the mode of an umask: tighten it while we are its owner.
  if (known && (info.st_mode & 077) != 0) fchmod(fd, 0600);
  const bool regular = known && S_ISREG(info.st_mode);
  const bool fresh = known && info.st_size == 0;
  close(fd);
  if (!regular) {
    return tl::unexpected(OpenError{OpenError::Kind::unreadable, database + " is not a file."});
  }
  if (fresh && !sync_folder(folder_of(database))) {
    return tl::unexpected(
        OpenError{OpenError::Kind::io, failure("make " + database + " durable", errno)});
  }
  return {};
}

}  // namespace bedside::store
