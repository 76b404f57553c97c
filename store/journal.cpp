#include "store/journal.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "store/checkpoint.h"
#include "store/signed_note.h"

namespace bedside::store {
namespace {

constexpr std::string_view kTitle = "bedside-journal 1 ";
constexpr std::size_t kIdBytes = 16;

std::string failure(const std::string& what, int error) {
  return "cannot " + what + ": " + std::strerror(error);
}

tl::expected<void, std::string> sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some file systems have nothing to sync there.
  const bool synced = opened >= 0 && (::fsync(opened) == 0 || errno == EINVAL || errno == ENOTSUP);
  const int error = errno;
  if (opened >= 0) ::close(opened);
  if (synced) return {};
  return tl::unexpected(failure("sync the folder of " + path, error));
}

// The whole file from its beginning; nothing at a read error.
std::optional<std::string> content_of(int file) {
  std::string text;
  std::array<char, 65536> block{};
  while (true) {
    const ssize_t size = ::pread(file, block.data(), block.size(), static_cast<off_t>(text.size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    if (size == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

Journal::Journal(Journal&& other) noexcept { *this = std::move(other); }
Journal& Journal::operator=(Journal&& other) noexcept {
  std::swap(options_, other.options_);
  std::swap(file_, other.file_);
  std::swap(id_, other.id_);
  std::swap(last_, other.last_);
  std::swap(attempted_, other.attempted_);
  std::swap(head_, other.head_);
  std::swap(size_, other.size_);
  std::swap(usable_, other.usable_);
  std::swap(left_over_, other.left_over_);
  return *this;
}
Journal::~Journal() {
  if (file_ >= 0) ::close(file_);
}

tl::expected<Journal, std::string> Journal::open(JournalOptions options) {
  Journal journal(std::move(options));
  const std::string& path = journal.options_.path;
  journal.file_ =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (journal.file_ < 0) return tl::unexpected(failure("open the journal " + path, errno));
  struct stat facts {};
  if (::fstat(journal.file_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return tl::unexpected("the journal " + path + " is not a file");
  }
  if ((facts.st_mode & 077) != 0) ::fchmod(journal.file_, 0600);
  if (::flock(journal.file_, LOCK_EX | LOCK_NB) != 0) {
    return tl::unexpected("the journal " + path + " is in use by another Bedside server");
  }
  // Its name is on the disk, too: what is durable in a file that is not there is nowhere.
  if (auto synced = sync_folder_of(path); !synced) return tl::unexpected(std::move(synced.error()));
  if (auto read = journal.read(); !read) return tl::unexpected(std::move(read.error()));
  return journal;
}

Sha256::Value Journal::chained(std::uint64_t number, std::string_view sealed) {
  const std::string position = std::to_string(number) + ' ';
  return sha_.add(head_).add(position).add(sealed).finish();
}

std::string Journal::fresh_id() {
  std::array<unsigned char, kIdBytes> random{};
  const bool made = RAND_bytes(random.data(), static_cast<int>(random.size())) == 1;
  return made ? to_hex(random) : std::string();
}

tl::expected<void, std::string> Journal::begin(std::string id) {
  if (id.empty()) return tl::unexpected(std::string("the system gives no random numbers"));
  if (::ftruncate(file_, 0) != 0) return tl::unexpected(failure("empty " + options_.path, errno));
  id_ = std::move(id);
  last_ = 0;
  attempted_ = 0;
  size_ = 0;
  head_ = sha_.add(kTitle).add(id_).finish();
  return write_durably(std::string(kTitle) + id_ + '\n');
}

// Line by line up to the first that does not fit. Without its end it was never acknowledged; with
// it, somebody or something has changed it.
tl::expected<void, std::string> Journal::read() {
  const auto text = content_of(file_);
  if (!text) return tl::unexpected(failure("read the journal " + options_.path, errno));
  const std::size_t title_end = text->find('\n');
  if (title_end == std::string::npos) return begin(fresh_id());  // empty, or cut while it was begun
  const std::string_view title = std::string_view(*text).substr(0, title_end);
  if (!title.starts_with(kTitle) || title.size() != kTitle.size() + 2 * kIdBytes) {
    return tl::unexpected(options_.path + " is no journal of Bedside; choose another path");
  }
  id_ = title.substr(kTitle.size());
  head_ = sha_.add(kTitle).add(id_).finish();
  size_ = title_end + 1;
  left_over_.id = id_;
  while (true) {
    const std::size_t end = text->find('\n', size_);
    if (end == std::string::npos) break;
    if (!read_line(std::string_view(*text).substr(size_, end - size_))) return set_aside(*text);
    size_ = end + 1;
  }
  if (size_ == text->size()) return {};
  if (::ftruncate(file_, static_cast<off_t>(size_)) != 0 || ::fsync(file_) != 0) {
    return tl::unexpected(failure("cut the journal " + options_.path, errno));
  }
  return {};
}

bool Journal::read_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == line.npos ? line.npos : line.find(' ', first + 1);
  if (second == line.npos) return false;
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(line.data(), line.data() + first, number);
  if (parsed.ec != std::errc() || parsed.ptr != line.data() + first || number != last_ + 1) {
    return false;
  }
  const std::string_view sealed = line.substr(second + 1);
  const Sha256::Value hash = chained(number, sealed);
  if (to_hex(hash) != line.substr(first + 1, second - first - 1)) return false;
  const auto bytes = from_base64(sealed);
  auto commit = bytes ? options_.open(*bytes) : std::nullopt;
  if (!commit) return false;
  left_over_.entries.push_back({number, std::move(*commit)});
  head_ = hash;
  last_ = number;
  attempted_ = number;
  return true;
}

tl::expected<std::string, std::string> Journal::write_aside(const std::string& text) const {
  std::string name = options_.path + ".damaged-" + id_;
  const int copy =
      ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_DSYNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (copy < 0) return tl::unexpected(failure("make " + name, errno));
  const ssize_t written = ::write(copy, text.data(), text.size());
  ::close(copy);
  if (written == static_cast<ssize_t>(text.size())) return name;
  return tl::unexpected("cannot copy the damaged journal to " + name);
}

tl::expected<std::string, std::string> Journal::copy_aside() const {
  const auto text = content_of(file_);
  if (!text) return tl::unexpected(failure("read the journal " + options_.path, errno));
  return write_aside(*text);
}

// What was good is merged; the file as it was found stays for whoever has to find out.
tl::expected<void, std::string> Journal::set_aside(const std::string& text) {
  auto copy = write_aside(text);
  if (!copy) return tl::unexpected(std::move(copy.error()));
  left_over_.damage = std::move(*copy);
  if (::ftruncate(file_, static_cast<off_t>(size_)) != 0 || ::fsync(file_) != 0) {
    return tl::unexpected(failure("cut the journal " + options_.path, errno));
  }
  return {};
}

// O_DSYNC: written means on the disk. What was written in part is taken back; when even that fails
// nobody knows what is in the file, and it is not used again.
tl::expected<void, std::string> Journal::write_durably(std::string_view text) {
  ssize_t done = 0;
  do {
    done = options_.write ? options_.write(file_, text) : ::write(file_, text.data(), text.size());
  } while (done < 0 && errno == EINTR);
  if (done == static_cast<ssize_t>(text.size())) {
    size_ += text.size();
    return {};
  }
  const int error = done < 0 ? errno : ENOSPC;
  const bool no_space = error == ENOSPC || error == EDQUOT || error == EFBIG;
  const bool taken_back =
      ::ftruncate(file_, static_cast<off_t>(size_)) == 0 && no_space && ::fsync(file_) == 0;
  // An I/O error is final: the kernel may have dropped what it could not write.
  if (!taken_back) usable_ = false;
  return tl::unexpected(failure("write the journal " + options_.path, error));
}

tl::expected<std::uint64_t, std::string> Journal::append(
    std::span<const std::vector<std::uint8_t>> commits) {
  if (!usable_) return tl::unexpected("the journal " + options_.path + " has failed before");
  const Sha256::Value before = head_;
  std::string text;
  std::uint64_t number = last_;
  for (const std::vector<std::uint8_t>& commit : commits) {
    const std::vector<std::uint8_t> bytes = options_.seal(commit);
    if (bytes.empty()) {
      head_ = before;
      return tl::unexpected(std::string("a commit cannot be encrypted for the journal"));
    }
    const std::string sealed = base64(bytes);
    head_ = chained(++number, sealed);
    text += std::to_string(number) + ' ' + to_hex(head_) + ' ' + sealed + '\n';
  }
  if (size_ + text.size() > options_.max_bytes) {
    head_ = before;
    return tl::unexpected("the journal " + options_.path + " has reached its limit");
  }
  attempted_ = number;
  if (auto written = write_durably(text); !written) {
    head_ = before;
    if (usable_) attempted_ = last_;
    return tl::unexpected(std::move(written.error()));
  }
  last_ = number;
  return number - commits.size() + 1;
}

tl::expected<void, std::string> Journal::clear(std::string id) {
  left_over_ = {};
  if (!usable_) {
    // Not for use any more, but nobody shall find in it what is in the database.
    const bool emptied = ::ftruncate(file_, 0) == 0;
    return tl::unexpected("the journal " + options_.path + " has failed" +
                          (emptied ? "" : " and cannot be emptied") +
                          "; put it on a sound disk and start again");
  }
  auto begun = begin(std::move(id));
  usable_ = begun.has_value();
  return begun;
}

std::string Journal::head() const { return to_hex(head_); }

}  // namespace bedside::store
