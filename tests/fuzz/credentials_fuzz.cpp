// Any text as a USERNAME, as a message signed with the right key and with a wrong one. Nobody gets
// in whose time is over, who is not live, or whose name is not the one that was sent.
#include <cstdlib>
#include <string>

#include "turn/credentials.h"

namespace {

using namespace bedside;
using std::chrono::seconds;

constexpr seconds kWall{1'800'000'000};

void require(bool promise) {
  if (!promise) std::abort();
}

class OnlyAnn : public turn::LiveParticipants {
 public:
  bool contains(std::string_view participant) const noexcept override {
    return participant == "ann";
  }
  std::optional<std::string> name_of(const stun::Sha256Digest&) const override {
    return std::nullopt;
  }
};

const turn::Credentials& credentials() {
  static const turn::Credentials made = [] {
    turn::CredentialsConfig config;
    config.realm = "clinic.example";
    config.participant_secrets = {"participant-secret-0", "participant-secret-1"};
    config.shared_secrets = {"shared-secret-012345"};
    config.users = {{"alice", "alice-password"}, {"b:ob", "bob-password"}};
    return turn::Credentials::make(std::move(config)).value();
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string name(data, data + size);
  const OnlyAnn live;
  const turn::Now now{seconds{1}, kWall};
  const auto never = [](const stun::LongTermKeys&) { return false; };
  const auto always = [](const stun::LongTermKeys&) { return true; };
  require(!credentials().find(name, now, live, never));
  const auto account = credentials().find(name, now, live, always);
  if (account) {
    require(account->username == name);
    require(name.size() <= turn::limits::kMaxUsernameBytes && account->expires_wall > kWall);
    switch (account->kind) {
      case turn::AccountKind::participant:
        require(account->participant == "ann" && name.ends_with(":ann"));
        [[fallthrough]];
      case turn::AccountKind::shared:
        require(name.ends_with(":" + account->name));
        require(account->expires_wall <=
                kWall + turn::limits::kMaxSharedCredentialTtl + turn::limits::kCredentialClockSkew);
        break;
      case turn::AccountKind::user:
        require(name == "alice" || name == "b:ob");
    }
  }
  // What is issued for that name is accepted for it, until it expires.
  if (const auto issued = credentials().issue_shared(name, now, seconds{60})) {
    const auto found = credentials().find(issued->username, now, live, always);
    require(found && found->expires_wall == issued->expires_wall);
    require(
        !credentials().find(issued->username, {seconds{1}, issued->expires_wall}, live, always));
  }
  return 0;
}
