// Who may use the relay: turns a USERNAME into an account with the keys to check the message with.
//
// Three kinds of user, all of the long-term credential mechanism (RFC 8489 §9.2):
//   participant  "<expiry>:<room hash>:<participant id>", minted by this server for an admitted
//                participant and valid only while that participant is live;
//   shared       "<expiry>:<subject>", minted by the operator's own software with the shared secret
//                (the TURN REST convention); the subject may contain colons;
//   user         a name and password from the configuration.
// A TURN REST password is base64(HMAC-SHA1(secret, username)); expiry is Unix seconds in decimal.
//
// A client may hide its name behind USERHASH (§14.4). The names of users are configured and those
// of participants were issued here, so both are found again; those of shared users are only known
// to whoever minted them.
//
// Immutable after make(), so shards share one object without locks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "stun/integrity.h"
#include "turn/limits.h"
#include "turn/now.h"

namespace bedside::turn {

enum class AccountKind : std::uint8_t { participant, shared, user };

struct Account {
  AccountKind kind{};
  stun::LongTermKeys keys;
  std::string username;  // as on the wire, or as found for its USERHASH
  // The subject of quotas: "<room hash>:<participant id>", the shared subject, or the user's name.
  std::string name;
  std::string participant;            // participant id; empty for the other kinds
  std::chrono::seconds expires_wall;  // seconds::max() for users
};

// The participants that are admitted right now. Implemented by the server with a published
// snapshot; called on a relay's thread for every request, so it must not block.
class LiveParticipants {
 public:
  virtual ~LiveParticipants() = default;
  [[nodiscard]] virtual bool contains(std::string_view participant_id) const noexcept = 0;
  // The USERNAME with this hash among those issued to participants, live or not; called only for
  // requests that carry USERHASH.
  [[nodiscard]] virtual std::optional<std::string> name_of(
      const stun::Sha256Digest& userhash) const = 0;
};

// Every reason is answered alike, 401 with a fresh nonce (§9.2.4, checklist B.15), so that a
// stranger learns nothing; the distinction is for counters. In order of how much they tell: where a
// name may be read in two ways, the last one in this list is given.
enum class Refusal : std::uint8_t {
  unknown_user,
  expired,
  beyond_max_ttl,
  wrong_key,  // the name is acceptable, but the message was not signed with its key
  not_live,   // the participant has left, was removed, or never was
};

enum class CredentialsError : std::uint8_t {
  nothing_configured,  // there is no "no-auth" mode (checklist A.1)
  bad_realm,           // empty, longer than kMaxRealmBytes, or with a quote or control character
  short_secret,        // below kMinSecretBytes
  too_many_secrets,    // above kMaxSecrets of a kind
  bad_user_name,       // empty, longer than kMaxUsernameBytes, or beginning like "<digits>:"
  empty_password,
  duplicate_user,
};
[[nodiscard]] std::string_view to_text(CredentialsError error) noexcept;

struct UserPassword {
  std::string name;
  std::string password;
};

struct CredentialsConfig {
  std::string realm;
  // The first secret of a kind mints and is preferred; the others are still accepted (rotation).
  std::vector<std::string> participant_secrets;
  std::vector<std::string> shared_secrets;
  std::vector<UserPassword> users;
  std::chrono::seconds max_participant_ttl = limits::kMaxParticipantCredentialTtl;
  std::chrono::seconds max_shared_ttl = limits::kMaxSharedCredentialTtl;
};

// What a client puts into RTCIceServer. The password is a secret: never log it.
struct IssuedCredential {
  std::string username;
  std::string password;
  std::chrono::seconds expires_wall{};
};

class Credentials {
 public:
  // Passwords are turned into keys here and not kept (checklist B.67).
  [[nodiscard]] static tl::expected<Credentials, CredentialsError> make(CredentialsConfig config);

  [[nodiscard]] const std::string& realm() const noexcept { return realm_; }

  // Can every user be found by USERHASH? Only then may clients be told to hide their names: one
  // that is told so sends nothing else (§9.2.5, checklist B.24). No as soon as there is a shared
  // secret.
  [[nodiscard]] bool names_can_be_hidden() const noexcept { return shared_secrets_.empty(); }
  // The name behind a USERHASH; an attribute of another size than 32 bytes is nobody's.
  [[nodiscard]] std::optional<std::string> name_of(stun::Bytes userhash,
                                                   const LiveParticipants& live) const;

  // Says whether a message was signed with one of these keys, the one its algorithm asks for.
  // Called for each password the name may have, at most 2 × kMaxSecrets times: secrets rotate, and
  // a shared subject may look like a participant.
  using KeyCheck = std::function<bool(const stun::LongTermKeys&)>;

  // The account whose name and key both fit. Allocates (the account's strings): for requests that
  // change something, not for packets.
  [[nodiscard]] tl::expected<Account, Refusal> find(std::string_view username, const Now& now,
                                                    const LiveParticipants& live,
                                                    const KeyCheck& signed_with) const;

  // Mints a credential for an admitted participant. `room_hash` must not contain a colon. Nothing
  // when no participant secret is configured or `ttl` is not positive or above the maximum.
  [[nodiscard]] std::optional<IssuedCredential> issue_for_participant(
      std::string_view room_hash, std::string_view participant_id, const Now& now,
      std::chrono::seconds ttl) const;
  // Mints a credential for another client, with the operator's shared secret.
  [[nodiscard]] std::optional<IssuedCredential> issue_shared(std::string_view subject,
                                                             const Now& now,
                                                             std::chrono::seconds ttl) const;

 private:
  struct User {
    std::string name;
    stun::LongTermKeys keys;
  };

  Credentials() = default;
  [[nodiscard]] static std::optional<IssuedCredential> issue(
      const std::vector<std::string>& secrets, std::string_view subject, const Now& now,
      std::chrono::seconds ttl, std::chrono::seconds max_ttl);
  [[nodiscard]] std::optional<stun::LongTermKeys> rest_keys(std::string_view secret,
                                                            std::string_view username) const;
  [[nodiscard]] const User* find_user(std::string_view name) const noexcept;

  std::string realm_;
  std::vector<std::string> participant_secrets_;
  std::vector<std::string> shared_secrets_;
  std::vector<User> users_;                               // sorted by name
  std::map<stun::Sha256Digest, std::string> user_names_;  // by USERHASH
  std::chrono::seconds max_participant_ttl_{};
  std::chrono::seconds max_shared_ttl_{};
};

}  // namespace bedside::turn
