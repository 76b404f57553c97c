#include "turn/credentials.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace bedside::turn {
namespace {

using std::chrono::seconds;

// "<expiry>:<subject>" of the TURN REST convention.
struct RestName {
  seconds expiry{};
  std::string_view subject;  // may contain colons, not empty
};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// True for everything that begins like a TURN REST name, well-formed or not: such names never
// belong to a configured user, so that one name cannot mean two people.
bool looks_like_rest(std::string_view name) noexcept {
  const std::size_t colon = name.find(':');
  return colon != std::string_view::npos && colon > 0 &&
         std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(colon), is_digit);
}

std::optional<RestName> parse_rest(std::string_view name) noexcept {
  if (!looks_like_rest(name)) return std::nullopt;
  const std::size_t colon = name.find(':');
  std::int64_t expiry = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + colon, expiry);
  if (error != std::errc{} || colon + 1 == name.size()) return std::nullopt;
  return RestName{seconds{expiry}, name.substr(colon + 1)};
}

// "<room hash>:<participant id>", a subject with a meaning of its own.
std::optional<std::string_view> participant_of(std::string_view subject) noexcept {
  const std::size_t colon = subject.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == subject.size()) {
    return std::nullopt;
  }
  return subject.substr(colon + 1);
}

// Empty when the crypto library fails.
std::string rest_password(std::string_view secret, std::string_view username) {
  stun::Sha1Digest digest{};
  if (!stun::hmac_sha1(stun::as_bytes(secret), {stun::as_bytes(username)}, digest)) return {};
  std::array<std::uint8_t, 29> encoded{};  // 28 characters and the zero EVP_EncodeBlock adds
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return std::string(encoded.begin(), encoded.begin() + size);
}

bool is_bad_realm(std::string_view realm) noexcept {
  return realm.empty() || realm.size() > limits::kMaxRealmBytes ||
         std::any_of(realm.begin(), realm.end(), [](char c) {
           return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

std::optional<CredentialsError> problem_with(const std::vector<std::string>& secrets) noexcept {
  if (secrets.size() > limits::kMaxSecrets) return CredentialsError::too_many_secrets;
  for (const std::string& secret : secrets) {
    if (secret.size() < limits::kMinSecretBytes) return CredentialsError::short_secret;
  }
  return std::nullopt;
}

std::optional<CredentialsError> problem_with(const CredentialsConfig& config) noexcept {
  if (is_bad_realm(config.realm)) return CredentialsError::bad_realm;
  if (const auto problem = problem_with(config.participant_secrets)) return problem;
  if (const auto problem = problem_with(config.shared_secrets)) return problem;
  for (const UserPassword& user : config.users) {
    if (user.name.empty() || user.name.size() > limits::kMaxUsernameBytes ||
        looks_like_rest(user.name)) {
      return CredentialsError::bad_user_name;
    }
    if (user.password.empty()) return CredentialsError::empty_password;
  }
  if (config.participant_secrets.empty() && config.shared_secrets.empty() && config.users.empty()) {
    return CredentialsError::nothing_configured;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_text(CredentialsError error) noexcept {
  switch (error) {
    case CredentialsError::nothing_configured:
      return "the relay has no credentials: it would be open to everybody";
    case CredentialsError::bad_realm:
      return "the realm must have 1 to 127 bytes, without quotes, backslashes and control "
             "characters";
    case CredentialsError::short_secret:
      return "a shared secret must have at least 16 bytes";
    case CredentialsError::too_many_secrets:
      return "at most 4 secrets can be in use at a time";
    case CredentialsError::bad_user_name:
      return "a user name must have 1 to 508 bytes and must not begin with digits and a colon";
    case CredentialsError::empty_password:
      return "a user has an empty password";
    case CredentialsError::duplicate_user:
      return "two users have the same name";
  }
  return "";
}

tl::expected<Credentials, CredentialsError> Credentials::make(CredentialsConfig config) {
  if (const auto problem = problem_with(config)) return tl::make_unexpected(*problem);
  Credentials credentials;
  credentials.users_.reserve(config.users.size());
  for (UserPassword& user : config.users) {
    credentials.users_.push_back(
        {user.name, stun::LongTermKeys(user.name, config.realm, user.password)});
    credentials.user_names_.emplace(stun::userhash(user.name, config.realm), user.name);
    OPENSSL_cleanse(user.password.data(), user.password.size());
  }
  std::vector<User>& users = credentials.users_;
  std::sort(users.begin(), users.end(),
            [](const User& a, const User& b) { return a.name < b.name; });
  const auto same_name = [](const User& a, const User& b) { return a.name == b.name; };
  if (std::adjacent_find(users.begin(), users.end(), same_name) != users.end()) {
    return tl::make_unexpected(CredentialsError::duplicate_user);
  }
  credentials.realm_ = std::move(config.realm);
  credentials.participant_secrets_ = std::move(config.participant_secrets);
  credentials.shared_secrets_ = std::move(config.shared_secrets);
  credentials.max_participant_ttl_ = config.max_participant_ttl;
  credentials.max_shared_ttl_ = config.max_shared_ttl;
  return credentials;
}

std::optional<std::string> Credentials::name_of(stun::Bytes userhash,
                                                const LiveParticipants& live) const {
  stun::Sha256Digest wanted{};
  if (userhash.size() != wanted.size()) return std::nullopt;
  std::copy(userhash.begin(), userhash.end(), wanted.begin());
  if (const auto user = user_names_.find(wanted); user != user_names_.end()) return user->second;
  return live.name_of(wanted);
}

tl::expected<Account, Refusal> Credentials::find(std::string_view username, const Now& now,
                                                 const LiveParticipants& live,
                                                 const KeyCheck& signed_with) const {
  if (username.size() > limits::kMaxUsernameBytes)
    return tl::make_unexpected(Refusal::unknown_user);
  const auto rest = parse_rest(username);
  if (!rest) {
    const User* user = find_user(username);
    if (user == nullptr) return tl::make_unexpected(Refusal::unknown_user);
    if (!signed_with(user->keys)) return tl::make_unexpected(Refusal::wrong_key);
    return Account{AccountKind::user, user->keys, user->name, user->name, {}, seconds::max()};
  }
  if (rest->expiry <= now.wall) return tl::make_unexpected(Refusal::expired);

  Refusal refusal = Refusal::unknown_user;
  // The keys among those of `secrets` that signed the message; notes in `refusal` why there are
  // none.
  const auto try_secrets = [&](const std::vector<std::string>& secrets, seconds max_ttl) {
    std::optional<stun::LongTermKeys> found;
    if (secrets.empty()) return found;
    if (rest->expiry - now.wall > max_ttl + limits::kCredentialClockSkew) {
      refusal = std::max(refusal, Refusal::beyond_max_ttl);
      return found;
    }
    for (const std::string& secret : secrets) {
      const auto keys = rest_keys(secret, username);
      if (keys && signed_with(*keys)) return found = keys;
    }
    refusal = std::max(refusal, Refusal::wrong_key);
    return found;
  };

  if (const auto participant = participant_of(rest->subject);
      participant && !participant_secrets_.empty()) {
    if (!live.contains(*participant)) {
      refusal = Refusal::not_live;
    } else if (const auto keys = try_secrets(participant_secrets_, max_participant_ttl_)) {
      return Account{AccountKind::participant,  *keys,
                     std::string(username),     std::string(rest->subject),
                     std::string(*participant), rest->expiry};
    }
  }
  if (const auto keys = try_secrets(shared_secrets_, max_shared_ttl_)) {
    return Account{AccountKind::shared,        *keys, std::string(username),
                   std::string(rest->subject), {},    rest->expiry};
  }
  return tl::make_unexpected(refusal);
}

std::optional<IssuedCredential> Credentials::issue(const std::vector<std::string>& secrets,
                                                   std::string_view subject, const Now& now,
                                                   seconds ttl, seconds max_ttl) {
  if (secrets.empty() || subject.empty() || ttl <= seconds{0} || ttl > max_ttl) return std::nullopt;
  IssuedCredential issued;
  issued.expires_wall = now.wall + ttl;
  issued.username = std::to_string(issued.expires_wall.count()) + ":" + std::string(subject);
  if (issued.username.size() > limits::kMaxUsernameBytes) return std::nullopt;
  issued.password = rest_password(secrets.front(), issued.username);
  if (issued.password.empty()) return std::nullopt;
  return issued;
}

std::optional<IssuedCredential> Credentials::issue_for_participant(std::string_view room_hash,
                                                                   std::string_view participant_id,
                                                                   const Now& now,
                                                                   seconds ttl) const {
  const std::string subject = std::string(room_hash) + ":" + std::string(participant_id);
  // What cannot be read back as this participant is not issued.
  if (participant_of(subject) != participant_id) return std::nullopt;
  return issue(participant_secrets_, subject, now, ttl, max_participant_ttl_);
}

std::optional<IssuedCredential> Credentials::issue_shared(std::string_view subject, const Now& now,
                                                          seconds ttl) const {
  return issue(shared_secrets_, subject, now, ttl, max_shared_ttl_);
}

std::optional<stun::LongTermKeys> Credentials::rest_keys(std::string_view secret,
                                                         std::string_view username) const {
  const std::string password = rest_password(secret, username);
  if (password.empty()) return std::nullopt;  // the crypto library failed; "" is not the password
  return stun::LongTermKeys(username, realm_, password);
}

const Credentials::User* Credentials::find_user(std::string_view name) const noexcept {
  const auto found = std::lower_bound(
      users_.begin(), users_.end(), name,
      [](const User& user, std::string_view wanted) { return user.name < wanted; });
  return found != users_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace bedside::turn
