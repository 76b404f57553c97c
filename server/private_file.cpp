#include "server/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace bedside::server {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::string system_text(int error) { return std::generic_category().message(error); }

std::string user_text() { return "user id " + std::to_string(::geteuid()); }

FileError error_for(const std::filesystem::path& file, int error, std::string_view verb) {
  FileError result;
  result.what = "cannot " + std::string(verb) + " " + file.string() + " as " + user_text() + ": " +
                system_text(error);
  if (error == EACCES || error == EPERM) {
    result.remedy = "give " + user_text() + " access to it, or run bedside as its owner";
  } else if (error == ENOENT) {
    result.remedy = "create it, or write the path of an existing file";
  } else if (error == ENOSPC || error == EDQUOT) {
    result.remedy = "free space on this disk";
  } else if (error == EROFS) {
    result.remedy = "choose a folder on a disk that can be written";
  } else {
    result.remedy = "check the path and the disk";
  }
  return result;
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::string sentence(const FileError& error) { return error.what + "\n    → " + error.remedy; }

bool sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems have nothing to sync there.
  return descriptor.valid() &&
         (::fsync(descriptor.get()) == 0 || errno == EINVAL || errno == ENOTSUP);
}

tl::expected<void, FileError> make_private_folder(const std::filesystem::path& folder) {
  std::error_code error;
  const auto status = std::filesystem::status(folder, error);
  if (std::filesystem::exists(status)) {
    if (!std::filesystem::is_directory(status)) {
      return tl::unexpected(error_for(folder, ENOTDIR, "use"));
    }
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      return tl::unexpected(error_for(folder, errno, "write into"));
    }
    return {};
  }
  const std::filesystem::path parent = folder.parent_path();
  if (!parent.empty() && parent != folder && !std::filesystem::exists(parent, error)) {
    if (auto made = make_private_folder(parent); !made) return made;
  }
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return tl::unexpected(error_for(folder, errno, "make the folder"));
  }
  return {};
}

tl::expected<void, FileError> write_file_atomically(const std::filesystem::path& file,
                                                    std::string_view content, mode_t mode) {
  std::string temporary = file.string() + ".XXXXXX";
  const Descriptor descriptor(::mkostemp(temporary.data(), O_CLOEXEC));  // made with 0600
  if (!descriptor.valid()) return tl::unexpected(error_for(file, errno, "write"));
  const bool written = write_all(descriptor.get(), content) &&
                       ::fchmod(descriptor.get(), mode) == 0 && ::fsync(descriptor.get()) == 0 &&
                       ::rename(temporary.c_str(), file.c_str()) == 0;
  if (!written) {
    FileError error = error_for(file, errno, "write");
    ::unlink(temporary.c_str());
    return tl::unexpected(std::move(error));
  }
  if (!sync_folder(file.parent_path())) return tl::unexpected(error_for(file, errno, "sync"));
  return {};
}

tl::expected<std::string, FileError> read_file(const std::filesystem::path& file,
                                               std::size_t limit) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor.valid()) return tl::unexpected(error_for(file, errno, "read"));
  std::string content;
  char block[4096];
  while (true) {
    const ssize_t got = ::read(descriptor.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(error_for(file, errno, "read"));
    if (got == 0) return content;
    content.append(block, static_cast<std::size_t>(got));
    if (content.size() > limit) {
      return tl::unexpected(FileError{
          file.string() + " is larger than the " + std::to_string(limit) + " bytes expected here",
          "check that the path names the right file"});
    }
  }
}

tl::expected<std::string, FileError> read_secret(const std::filesystem::path& file) {
  auto content = read_file(file, 4096);
  if (!content) return content;
  content->erase(std::min(content->find_first_of("\r\n"), content->size()));
  if (content->empty()) {
    return tl::unexpected(FileError{file.string() + " holds no secret: its first line is empty",
                                    "put the secret into its first line, for example with `openssl "
                                    "rand -base64 33`"});
  }
  return content;
}

std::optional<std::string> owned_by_another(const std::filesystem::path& folder) {
  struct stat there {};
  if (::stat(folder.c_str(), &there) != 0 || there.st_uid == ::geteuid()) return std::nullopt;
  return folder.string() + " belongs to user id " + std::to_string(there.st_uid) +
         "\n    → run this as that user: runuser -u bedside -- bedside …";
}

bool open_to_others(const std::filesystem::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

}  // namespace bedside::server
