#include "server/ballast.h"

#include <fcntl.h>

#include <utility>

#include "server/net/fd.h"

namespace bedside::server {

Ballast::Ballast(std::filesystem::path file, std::uint64_t bytes)
    : file_(std::move(file)), bytes_(bytes) {}

Ballast::Finding Ballast::look(const DiskSpace& space, bool full) {
  if (held() && bytes_ > 0) {
    if (!full && !must_go(space)) return Finding::nothing;
    given_up_ = true;  // first: whoever finds the space must not find it free for all
    remove();
    return Finding::released;
  }
  // Of another size, or a process was killed while it made one.
  remove();
  if (bytes_ == 0 || full || space.free / 4 < bytes_) return Finding::nothing;
  if (!take()) return Finding::nothing;
  given_up_ = false;
  return Finding::taken;
}

bool Ballast::held() const {
  std::error_code absent;
  const auto size = std::filesystem::file_size(file_, absent);
  return !absent && size == bytes_;
}

bool Ballast::take() const {
  const net::Fd file(::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                            S_IRUSR | S_IWUSR));
  if (file.get() < 0) return false;
  // Blocks, not a hole: only they can be given back.
  if (::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes_)) == 0) return true;
  remove();
  return false;
}

void Ballast::remove() const {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

}  // namespace bedside::server
