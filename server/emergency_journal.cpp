#include "server/emergency_journal.h"

#include <sys/stat.h>

#include "server/aes_gcm.h"

namespace bedside::server {
namespace {

// Bound to every entry: nothing else that this key encrypted opens here.
constexpr std::string_view kPurpose = "emergency-journal";

}  // namespace

store::JournalOptions journal_options(const std::filesystem::path& file, const Key& key) {
  store::JournalOptions options;
  options.path = file.string();
  options.seal = [key](std::span<const std::uint8_t> plain) {
    return aes_gcm_encrypt(key, plain, kPurpose);
  };
  options.open = [key](std::span<const std::uint8_t> sealed) {
    return aes_gcm_decrypt(key, sealed, kPurpose);
  };
  return options;
}

bool on_another_disk(const std::filesystem::path& file, const std::filesystem::path& data_dir) {
  struct stat journal {};
  struct stat data {};
  return ::stat(file.parent_path().c_str(), &journal) != 0 ||
         ::stat(data_dir.c_str(), &data) != 0 || journal.st_dev != data.st_dev;
}

}  // namespace bedside::server
