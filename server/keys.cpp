#include "server/keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "server/private_file.h"

namespace bedside::server {
namespace {

// Nothing writes a key again: not even its owner may by mistake.
constexpr mode_t kKeyMode = 0400;
constexpr const char* kWrappingCredential = "audit-key";

KeyError error_from(const FileError& error) { return {error.what + "; " + error.remedy}; }

tl::expected<void, KeyError> make_key(const std::filesystem::path& file) {
  Key fresh{};
  if (RAND_bytes(fresh.data(), static_cast<int>(fresh.size())) != 1) {
    return tl::unexpected(
        KeyError{"the system gives no random numbers; cannot make " + file.string()});
  }
  const std::string_view content(static_cast<const char*>(static_cast<const void*>(fresh.data())),
                                 fresh.size());
  const auto written = write_file_atomically(file, content, kKeyMode);
  OPENSSL_cleanse(fresh.data(), fresh.size());
  if (!written) return tl::unexpected(error_from(written.error()));
  return {};
}

// A credential is systemd's: an access list on it shows as a group's right, and its folder is
// closed to everybody else.
enum class KeeperOf : std::uint8_t { file, credential };

tl::expected<void, KeyError> read_key(const std::filesystem::path& file, Key& key,
                                      KeeperOf keeper) {
  auto content = read_file(file, 4096);
  if (!content) return tl::unexpected(error_from(content.error()));
  if (keeper == KeeperOf::file && open_to_others(file)) {
    return tl::unexpected(KeyError{"others can read or write the key " + file.string() +
                                   "; run `chmod 400` on it, and replace it if strangers use this "
                                   "machine"});
  }
  if (content->size() != key.size()) {
    return tl::unexpected(
        KeyError{"the key " + file.string() + " has " + std::to_string(content->size()) +
                 " bytes instead of " + std::to_string(key.size()) +
                 "; restore it from a backup (a new key cannot read what the old one wrote)"});
  }
  std::copy(content->begin(), content->end(), key.begin());
  OPENSSL_cleanse(&content->front(), content->size());
  return {};
}

tl::expected<void, KeyError> open_key(const std::filesystem::path& file, Key& key,
                                      MissingKeys missing) {
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) {
    if (missing == MissingKeys::refuse) {
      return tl::unexpected(
          KeyError{"the key " + file.string() +
                   " is missing, and the database beside it was written with it; restore the "
                   "folder of the keys from a backup (a new key would break room filters and "
                   "encrypted addresses of the audit log)"});
    }
    if (auto made = make_key(file); !made) return made;
  }
  return read_key(file, key, KeeperOf::file);
}

}  // namespace

tl::expected<Key, KeyError> open_one_key(const std::filesystem::path& keys_dir,
                                         const std::string& name, MissingKeys missing) {
  Key key{};
  if (auto opened = open_key(keys_dir / name, key, missing); !opened) {
    return tl::unexpected(opened.error());
  }
  return key;
}

tl::expected<Keys, KeyError> open_keys(const std::filesystem::path& keys_dir, MissingKeys missing) {
  if (auto made = make_private_folder(keys_dir); !made) {
    return tl::unexpected(error_from(made.error()));
  }
  if (open_to_others(keys_dir)) {
    return tl::unexpected(KeyError{"others can look into the folder of the keys " +
                                   keys_dir.string() + "; run `chmod 700` on it"});
  }
  Keys keys;
  const std::pair<const char*, Key*> files[] = {{"turn-participant.key", &keys.turn_participant},
                                                {"pseudonym.key", &keys.pseudonym},
                                                {"field.key", &keys.field}};
  for (const auto& [file, key] : files) {
    if (auto opened = open_key(keys_dir / file, *key, missing); !opened) {
      return tl::unexpected(opened.error());
    }
  }
  keys.wrapping = keys.field;
  return keys;
}

tl::expected<std::optional<Key>, KeyError> open_wrapping_key(
    const std::filesystem::path& key_file) {
  std::filesystem::path file = key_file;
  KeeperOf keeper = KeeperOf::file;
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY")) {
    const std::filesystem::path credential = std::filesystem::path(folder) / kWrappingCredential;
    std::error_code ignored;
    if (std::filesystem::exists(credential, ignored)) {
      file = credential;
      keeper = KeeperOf::credential;
    }
  }
  if (file.empty()) return std::optional<Key>();
  Key key{};
  if (auto read = read_key(file, key, keeper); !read) return tl::unexpected(read.error());
  return std::optional<Key>(key);
}

}  // namespace bedside::server
