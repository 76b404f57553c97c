#include "server/turn_credential.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/ice_servers.h"
#include "server/private_file.h"
#include "server/relay_setup.h"
#include "turn/limits.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxSubject = 128;

bool good_subject(std::string_view subject) {
  return !subject.empty() && subject.size() <= kMaxSubject &&
         std::all_of(subject.begin(), subject.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

tl::expected<TurnCredential, std::string> make_turn_credential(const Config& config,
                                                               std::string_view subject,
                                                               std::chrono::seconds now) {
  if (!good_subject(subject)) {
    return tl::unexpected(
        std::string("--subject must be 1 to 128 visible ASCII characters\n    → for "
                    "example --subject desk-phone"));
  }
  if (config.turn.shared_secret_file.empty()) {
    return tl::unexpected(
        std::string("turn.shared_secret_file is not configured, so there is nothing "
                    "to sign with\n    → `openssl rand -base64 33 > turn.secret`, "
                    "and shared_secret_file = \"turn.secret\" under [turn]"));
  }
  const auto secret = read_secret(config.turn.shared_secret_file);
  if (!secret) {
    const char* remedy = config.demo ? "start the demo once with `bedside serve`" : nullptr;
    return tl::unexpected(secret.error().what + "\n    → " +
                          (remedy != nullptr ? remedy : secret.error().remedy));
  }
  Config with_secret = config;
  with_secret.turn.shared_secret = *secret;
  // Participants' keys have no part in this credential; the zero key is never used.
  const auto setup = make_relay_setup(with_secret, Keys{}, nullptr);
  if (!setup) return tl::unexpected(setup.error());
  const auto issued = setup->credentials.issue_shared(subject, turn::Now{{}, now},
                                                      turn::limits::kMaxSharedCredentialTtl);
  if (!issued) return tl::unexpected(std::string("the relay refuses to sign for this subject"));
  const IceServers servers(setup->credentials, setup->advertised, nullptr);
  const nlohmann::ordered_json answer = {
      {"iceServers", nlohmann::ordered_json::array({{{"urls", servers.urls()},
                                                     {"username", issued->username},
                                                     {"credential", issued->password}}})}};
  return TurnCredential{answer.dump(), now + turn::limits::kMaxSharedCredentialTtl};
}

}  // namespace bedside::server
