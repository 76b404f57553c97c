#include "server/first_key.h"

#include <qrencode.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "server/local_access.h"
#include "store/digest.h"
#include "store/seal.h"

namespace bedside::server {
namespace {

constexpr int kQuietModules = 4;  // ISO/IEC 18004 §5.3.8
constexpr const char* kDarkOnLight = "\033[30;107m";
constexpr const char* kOwnColours = "\033[0m";

struct FreeCode {
  void operator()(QRcode* code) const { QRcode_free(code); }
};
using Code = std::unique_ptr<QRcode, FreeCode>;

bool dark(const QRcode& code, int x, int y) {
  if (x < 0 || y < 0 || x >= code.width || y >= code.width) return false;
  return (code.data[y * code.width + x] & 1) != 0;  // the lowest bit is the colour
}

}  // namespace

std::string first_key_of(const store::Reader& log) {
  const auto first = log.audit_row(1);
  if (!first || !*first) return {};
  const auto epoch = store::read_epoch((*first)->body);
  return epoch && epoch->number == 1 ? store::to_hex(epoch->key) : std::string();
}

std::string qr_code(const std::string& text) {
  const Code code(QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_L));
  if (!code) return {};
  std::string lines;
  const int end = code->width + kQuietModules;
  for (int y = -kQuietModules; y < end; y += 2) {  // a character is two modules high
    lines += kDarkOnLight;
    for (int x = -kQuietModules; x < end; ++x) {
      const bool upper = dark(*code, x, y);
      const bool lower = dark(*code, x, y + 1);
      lines += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    lines += std::string(kOwnColours) + "\n";
  }
  return lines;
}

std::string first_key_banner(const std::string& key, bool terminal) {
  if (key.empty()) return {};
  return "  The audit log's first key shows later whether somebody wrote the whole log anew. Keep\n"
         "  it where this machine's administrators cannot change it (print or photograph it),\n"
         "  for `bedside audit verify --genesis`:\n\n  " +
         key + "\n\n" + (terminal ? qr_code(key) + "\n" : "");
}

int print_first_key(const Config& config) {
  const auto log = store::Reader::open(config.database().string());
  if (!log) return complain(log.error());
  const std::string key = first_key_of(*log);
  if (key.empty()) return complain("the audit log does not begin with a key");
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::printf("%s\n%s", key.c_str(), terminal ? qr_code(key).c_str() : "");
  return 0;
}

}  // namespace bedside::server
