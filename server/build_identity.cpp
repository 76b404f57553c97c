#include "server/build_identity.h"

#include <fstream>
#include <span>
#include <vector>

#include "server/assets.h"
#include "server/audit_types.h"
#include "server/version.h"
#include "store/canonical_reader.h"
#include "store/checkpoint.h"
#include "store/digest.h"

namespace bedside::server {
namespace {

// As sha256sum prints it.
std::string digest_of_executable() {
  constexpr std::size_t kPiece = std::size_t{256} * 1024;
  std::ifstream file("/proc/self/exe", std::ios::binary);
  if (!file) return {};
  store::Sha256 hash;
  std::vector<char> piece(kPiece);
  while (file.read(piece.data(), kPiece) || file.gcount() > 0) {
    hash.add(std::string_view(piece.data(), static_cast<std::size_t>(file.gcount())));
  }
  return file.bad() ? std::string() : store::to_hex(hash.finish());
}

}  // namespace

BuildIdentity running_build() { return {kVersion, digest_of_executable(), Assets::fingerprint()}; }

std::optional<BuildIdentity> last_build(const store::Reader& reader) {
  store::AuditQuery query;
  query.type_prefix = audit_type::kServiceStart;
  query.limit = 1;
  const auto rows = reader.audit(query);
  if (!rows || rows->empty()) return std::nullopt;
  const auto body = store::CanonicalObject::parse(rows->front().body);
  const auto detail = body ? body->object("detail") : std::nullopt;
  if (!detail) return std::nullopt;
  return BuildIdentity{body->text("build").value_or(""), detail->text("binary").value_or(""),
                       detail->text("assets").value_or("")};
}

}  // namespace bedside::server
