#pragma once

// How a second person gets an account: somebody who may (an administrator, or whoever may open the
// server's own socket) invites a name and hands on a code that is good once. The password is chosen
// by the invited person alone. Values; any thread.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "store/change.h"

namespace bedside::server {

inline constexpr std::chrono::hours kInvitationLasts{72};

struct Invitation {
  store::InvitationRow row;
  std::string code;  // the only copy (set_up_code.h has its form)
};

// `by`: an account; empty: somebody at the server. Nothing when the system has no randomness.
std::optional<Invitation> make_invitation(std::string name, std::string by,
                                          std::chrono::milliseconds now_wall);

bool opens(const store::InvitationRow& row, std::string_view typed,
           std::chrono::milliseconds now_wall);

// Relative to the origin. Both are in the fragment, which no server and no log sees.
std::string invitation_link(const Invitation& invitation);

}  // namespace bedside::server
