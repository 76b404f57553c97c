#include "store/file_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace bedside::store {
namespace {

constexpr std::size_t kSinkBuffer = std::size_t{256} * 1024;

bool write_fully(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
  return true;
}

}  // namespace

tl::expected<std::unique_ptr<FileSink>, std::string> FileSink::create(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return tl::unexpected(path + " is there already");
  const std::string partial = path + ".part";
  ::unlink(partial.c_str());
  const int fd = ::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return tl::unexpected(partial + ": " + std::strerror(errno));
  return std::make_unique<FileSink>(path, fd);
}

FileSink::FileSink(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

FileSink::~FileSink() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial().c_str());
}

bool FileSink::append(std::string_view bytes) {
  waiting_ += bytes;
  return waiting_.size() < kSinkBuffer || flush();
}

bool FileSink::flush() {
  if (!write_fully(fd_, waiting_, written_)) return false;
  written_ += waiting_.size();
  waiting_.clear();
  return true;
}

bool FileSink::replace(std::uint64_t offset, std::string_view bytes) {
  return flush() && write_fully(fd_, bytes, offset);
}

tl::expected<void, std::string> FileSink::finish() {
  const bool whole = flush() && ::fsync(fd_) == 0;
  if (!whole || ::rename(partial().c_str(), path_.c_str()) != 0) {
    return tl::unexpected(path_ + ": " + std::strerror(errno));
  }
  ::close(std::exchange(fd_, -1));
  return {};
}

}  // namespace bedside::store
