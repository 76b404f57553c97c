#include "server/backup_content.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "server/private_file.h"
#include "store/checkpoint.h"
#include "store/file_sink.h"

namespace bedside::server {
namespace {

constexpr std::string_view kKeySuffix = ".key";
constexpr std::string_view kEpochKeyPrefix = "audit-epoch-";
constexpr std::size_t kMaxKeyFile = 4096;
constexpr mode_t kKeyFileMode = 0400;

std::string hex_of(std::string_view bytes) {
  return store::to_hex(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
}

std::optional<std::string> bytes_of(std::string_view hex) {
  std::vector<std::uint8_t> bytes(hex.size() / 2);
  if (hex.size() > 2 * kMaxKeyFile || !store::from_hex(hex, bytes)) return std::nullopt;
  return std::string(bytes.begin(), bytes.end());
}

template <typename Number>
bool number_of(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// A name in the folder of the keys and nowhere else.
bool is_key_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  return name.ends_with(kKeySuffix) && name.size() <= 64 && name.front() != '.' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

// One line; false: it is not of a manifest.
bool read_line(std::string_view line, BackupManifest& out, bool& ended) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view word = line.substr(0, space);
  const std::string_view value = line.substr(space + 1);
  if (word == "bedside") return out.version = value, true;
  if (word == "origin") return out.origin = value, true;
  if (word == "root") return out.root = value, true;
  if (word == "records") return number_of(value, out.records);
  if (word == "made") {
    std::int64_t seconds = 0;
    const bool read = number_of(value, seconds);
    out.made = std::chrono::seconds(seconds);
    return read;
  }
  if (word == "key") {
    const std::size_t end = value.find(' ');
    if (end == std::string_view::npos || !is_key_name(value.substr(0, end))) return false;
    auto content = bytes_of(value.substr(end + 1));
    return content && out.keys.size() < kMaxBackupKeys &&
           out.keys.emplace(value.substr(0, end), std::move(*content)).second;
  }
  ended = word == "database";
  return ended && number_of(value, out.database_bytes);
}

tl::unexpected<std::string> no_content() {
  return tl::unexpected(
      std::string("what is in this backup is not what this Bedside writes; use "
                  "the version that made it, or a newer one"));
}

}  // namespace

std::string BackupManifest::text() const {
  std::ostringstream out;
  out << "bedside " << version << "\nmade " << made.count() << "\norigin " << origin << "\nrecords "
      << records << "\nroot " << root << "\n";
  for (const auto& [name, content] : keys) out << "key " << name << " " << hex_of(content) << "\n";
  out << "database " << database_bytes << "\n";
  return std::move(out).str();
}

std::optional<BackupManifest> BackupManifest::parse(std::string_view text) {
  BackupManifest made;
  bool ended = false;
  while (!text.empty() && !ended) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !read_line(text.substr(0, end), made, ended)) {
      return std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  if (!ended || !text.empty() || made.version.empty() || made.origin.empty()) return std::nullopt;
  return made;
}

tl::expected<std::map<std::string, std::string>, std::string> read_backup_keys(
    const std::filesystem::path& keys_dir) {
  std::map<std::string, std::string> keys;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(keys_dir, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!is_key_name(name) || name.starts_with(kEpochKeyPrefix)) continue;
    auto content = read_file(it->path(), kMaxKeyFile);
    if (!content) return tl::unexpected(sentence(content.error()));
    keys.emplace(name, std::move(*content));
  }
  if (error) return tl::unexpected(keys_dir.string() + ": " + error.message());
  if (keys.empty()) return tl::unexpected("there are no keys in " + keys_dir.string());
  return keys;
}

tl::expected<void, std::string> pack(const BackupManifest& manifest,
                                     const std::filesystem::path& database, BoxWriter& box,
                                     const BackupProgress& progress) {
  const auto no_room = [] {
    return tl::unexpected(std::string("the backup cannot be written: no space?"));
  };
  if (!box.add(manifest.text())) return no_room();
  std::ifstream file(database, std::ios::binary);
  std::string piece(kBoxPiece, '\0');
  std::uint64_t done = 0;
  while (done < manifest.database_bytes) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const auto got = static_cast<std::size_t>(file.gcount());
    if (got == 0) return tl::unexpected(database.string() + " cannot be read");
    if (!box.add(std::string_view(piece).substr(0, got))) return no_room();
    done += got;
    if (progress) progress(done, manifest.database_bytes);
  }
  if (!box.finish()) return no_room();
  return {};
}

tl::expected<BackupManifest, std::string> unpack(BoxReader& box,
                                                 const std::filesystem::path& folder,
                                                 const BackupProgress& progress) {
  std::string waiting;
  std::size_t end = std::string::npos;
  while (end == std::string::npos) {
    auto piece = box.next();
    if (!piece) return tl::unexpected(piece.error());
    waiting += *piece;
    const std::size_t last_line = waiting.find("\ndatabase ");
    if (last_line != std::string::npos) end = waiting.find('\n', last_line + 1);
    if (end == std::string::npos && (piece->empty() || waiting.size() > kMaxManifest)) {
      return no_content();
    }
  }
  auto manifest = BackupManifest::parse(std::string_view(waiting).substr(0, end + 1));
  if (!manifest) return no_content();
  if (auto made = make_private_folder(folder / "keys"); !made) {
    return tl::unexpected(sentence(made.error()));
  }
  for (const auto& [name, content] : manifest->keys) {
    const auto written = write_file_atomically(folder / "keys" / name, content, kKeyFileMode);
    if (!written) return tl::unexpected(sentence(written.error()));
  }
  auto sink = store::FileSink::create((folder / "bedside.db").string());
  if (!sink) return tl::unexpected(sink.error());
  std::string piece = waiting.substr(end + 1);
  OPENSSL_cleanse(waiting.data(), waiting.size());
  for (std::uint64_t done = 0;;) {
    if (!(*sink)->append(piece))
      return tl::unexpected(folder.string() + ": " + std::strerror(errno));
    done += piece.size();
    if (progress) progress(done, manifest->database_bytes);
    auto next = box.next();
    if (!next) return tl::unexpected(next.error());
    if (next->empty()) {
      if (done != manifest->database_bytes) return no_content();
      break;
    }
    piece = std::move(*next);
  }
  if (auto finished = (*sink)->finish(); !finished) return tl::unexpected(finished.error());
  return std::move(*manifest);
}

}  // namespace bedside::server
