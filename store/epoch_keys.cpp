#include "store/epoch_keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

namespace bedside::store {
namespace {

constexpr std::string_view kPrefix = "audit-epoch-";
constexpr std::string_view kSuffix = ".key";

class File {
 public:
  File(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<std::string> failure(const std::filesystem::path& path, std::string_view what) {
  return tl::unexpected(path.string() + ": " + std::string(what) + ": " + std::strerror(errno));
}

bool write_all(int fd, std::span<const std::uint8_t> bytes) {
  const ssize_t written = ::write(fd, bytes.data(), bytes.size());
  return written == static_cast<ssize_t>(bytes.size());
}

tl::expected<void, std::string> sync_folder(const std::filesystem::path& folder) {
  const File handle(folder, O_RDONLY | O_DIRECTORY);
  if (!handle || ::fsync(handle.fd()) != 0) return failure(folder, "cannot be synced");
  return {};
}

tl::expected<void, std::string> erase(const std::filesystem::path& path) {
  {
    const File file(path, O_WRONLY);
    constexpr std::array<std::uint8_t, SigningKey::kSeedSize> kNothing{};
    if (!file || !write_all(file.fd(), kNothing) || ::fsync(file.fd()) != 0) {
      return failure(path, "cannot be overwritten");
    }
  }
  if (::unlink(path.c_str()) != 0) return failure(path, "cannot be removed");
  return {};
}

}  // namespace

std::filesystem::path EpochKeys::file(std::uint64_t epoch) const {
  return folder_ / (std::string(kPrefix) + std::to_string(epoch) + std::string(kSuffix));
}

tl::expected<SigningKey, std::string> EpochKeys::make(std::uint64_t epoch) const {
  auto key = SigningKey::generate();
  if (!key) return key;
  const std::filesystem::path path = file(epoch);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure(path, "cannot be removed");
  {
    const File out(path, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
    if (!out) return failure(path, "cannot be made");
    auto seed = key->seed();
    const bool written = write_all(out.fd(), seed) && ::fsync(out.fd()) == 0;
    OPENSSL_cleanse(seed.data(), seed.size());
    if (!written) return failure(path, "cannot be written");
  }
  if (auto synced = sync_folder(folder_); !synced) return tl::unexpected(synced.error());
  return key;
}

tl::expected<SigningKey, std::string> EpochKeys::load(std::uint64_t epoch) const {
  const std::filesystem::path path = file(epoch);
  const File in(path, O_RDONLY);
  if (!in) return failure(path, "the key that seals the audit log cannot be read");
  struct stat info {};
  if (::fstat(in.fd(), &info) != 0 || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return tl::unexpected(path.string() + ": others may read it; chmod it to 0600");
  }
  std::array<std::uint8_t, SigningKey::kSeedSize + 1> seed{};
  const ssize_t size = ::read(in.fd(), seed.data(), seed.size());
  if (size != static_cast<ssize_t>(SigningKey::kSeedSize)) {
    return tl::unexpected(path.string() + ": is no signing key of 32 bytes");
  }
  auto key = SigningKey::from_seed(std::span(seed).first(SigningKey::kSeedSize));
  OPENSSL_cleanse(seed.data(), seed.size());
  return key;
}

tl::expected<void, std::string> EpochKeys::keep_only(std::uint64_t epoch) const {
  std::vector<std::filesystem::path> old;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(folder_, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool ours = name.starts_with(kPrefix) && name.ends_with(kSuffix);
    if (ours && it->path() != file(epoch)) old.push_back(it->path());
  }
  if (error) return tl::unexpected(folder_.string() + ": " + error.message());
  for (const auto& path : old) {
    if (auto done = erase(path); !done) return done;
  }
  return old.empty() ? tl::expected<void, std::string>() : sync_folder(folder_);
}

}  // namespace bedside::store
