#include "server/invitation.h"

#include <openssl/rand.h>

#include <algorithm>
#include <utility>

#include "server/set_up_code.h"

namespace bedside::server {

std::optional<Invitation> make_invitation(std::string name, std::string by,
                                          std::chrono::milliseconds now_wall) {
  SetUpEntropy entropy{};
  if (RAND_priv_bytes(entropy.data(), static_cast<int>(entropy.size())) != 1) return std::nullopt;
  Invitation made;
  made.code = make_set_up_code(entropy);
  const SetUpCode::Digest digest = SetUpCode(made.code).digest();
  made.row.name = std::move(name);
  made.row.code_hash.assign(digest.begin(), digest.end());
  made.row.invited_by = std::move(by);
  made.row.expires_at = now_wall + kInvitationLasts;
  return made;
}

bool opens(const store::InvitationRow& row, std::string_view typed,
           std::chrono::milliseconds now_wall) {
  SetUpCode::Digest digest{};
  if (row.code_hash.size() != digest.size()) return false;
  std::copy(row.code_hash.begin(), row.code_hash.end(), digest.begin());
  return SetUpCode(digest).matches(typed) && now_wall < row.expires_at;
}

// Account names need no escapes.
std::string invitation_link(const Invitation& invitation) {
  return "/admin/#code=" + invitation.code + "&name=" + invitation.row.name;
}

}  // namespace bedside::server
