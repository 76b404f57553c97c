#include "server/acme_webroot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "server/net/fd.h"

namespace bedside::server {
namespace {

// RFC 8555 §8.1: only characters of the base64url alphabet, so no dot and no slash.
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= AcmeWebroot::kMaxToken &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

net::Fd open_below(int folder, const char* name, int flags) {
  return net::Fd(::openat(folder, name, flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

std::optional<std::string> AcmeWebroot::find(std::string_view url_path) const {
  if (webroot_.empty() || url_path.substr(0, kAcmePath.size()) != kAcmePath) return std::nullopt;
  const std::string token(url_path.substr(kAcmePath.size()));
  if (!is_token(token)) return std::nullopt;
  const net::Fd root(::open(webroot_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return std::nullopt;
  const net::Fd well_known = open_below(root.get(), ".well-known", O_DIRECTORY);
  if (!well_known) return std::nullopt;
  const net::Fd folder = open_below(well_known.get(), "acme-challenge", O_DIRECTORY);
  if (!folder) return std::nullopt;
  const net::Fd file = open_below(folder.get(), token.c_str(), 0);
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  // One byte more than allowed tells that the file is too long, also when it grows meanwhile.
  std::string content(kMaxFile + 1, '\0');
  const auto got = ::read(file.get(), content.data(), content.size());
  if (got < 0 || static_cast<std::size_t>(got) > kMaxFile) return std::nullopt;
  content.resize(static_cast<std::size_t>(got));
  return content;
}

}  // namespace bedside::server
