#include "server/draft.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <system_error>

#include "server/private_file.h"
#include "store/checkpoint.h"
#include "store/digest.h"

namespace bedside::server {

namespace fs = std::filesystem;

tl::expected<ScratchSpace, std::string> ScratchSpace::make(fs::path folder) {
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  // A new one, never one that is there: where others may write, they could have made it.
  if (::mkdir(folder.c_str(), 0700) != 0) {
    return tl::unexpected("cannot make " + folder.string() + ": " +
                          std::generic_category().message(errno) +
                          "\n    → remove what is there, or choose another scratch_folder");
  }
  return ScratchSpace(std::move(folder));
}

ScratchSpace::~ScratchSpace() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Draft::~Draft() {
  std::error_code ignored;
  if (!file_.empty()) fs::remove(file_, ignored);
}

tl::expected<void, std::string> Draft::keep_as(const fs::path& name) {
  std::error_code error;
  fs::rename(file_, name, error);
  if (error) return tl::unexpected(name.string() + ": " + error.message());
  file_.clear();
  if (sync_folder(name.parent_path())) return {};
  return tl::unexpected("the folder of " + name.string() + " cannot be synced to its disk");
}

tl::expected<void, std::string> check_room(const fs::path& folder, std::uint64_t needed) {
  struct statvfs facts {};
  if (::statvfs(folder.c_str(), &facts) != 0) return {};
  const std::uint64_t free = std::uint64_t{facts.f_bavail} * facts.f_frsize;
  if (free >= needed) return {};
  return tl::unexpected(folder.string() + " has " + std::to_string(free / 1'000'000) +
                        " MB free, and " + std::to_string(needed / 1'000'000 + 1) +
                        " MB are needed\n    → free space, or set backup.folder and "
                        "backup.scratch_folder to a larger disk");
}

tl::expected<std::string, std::string> digest_of_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  store::Sha256 digest;
  std::string piece(std::size_t{64} * 1024, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
    digest.add(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
  }
  if (!in.eof()) return tl::unexpected(file.string() + " cannot be read");
  return store::to_hex(digest.finish());
}

}  // namespace bedside::server
