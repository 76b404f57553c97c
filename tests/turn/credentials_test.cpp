// Who gets in, who does not, and that minted credentials are the ones the convention describes.
#include "turn/credentials.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace bedside::turn {
namespace {

using std::chrono::seconds;

const std::string kParticipantSecret = "participant-secret-0123456789";
const std::string kSharedSecret = "shared-secret-of-the-operator";
constexpr std::string_view kRealm = "bedside";
constexpr Now kNow{std::chrono::nanoseconds{0}, seconds{1'700'000'000}};

class SomeParticipants : public LiveParticipants {
 public:
  explicit SomeParticipants(std::set<std::string, std::less<>> live) : live_(std::move(live)) {}
  bool contains(std::string_view id) const noexcept override { return live_.contains(id); }
  std::optional<std::string> name_of(const stun::Sha256Digest& userhash) const override {
    for (const std::string& name : issued) {
      if (stun::userhash(name, kRealm) == userhash) return name;
    }
    return std::nullopt;
  }

  std::vector<std::string> issued;

 private:
  std::set<std::string, std::less<>> live_;
};
const SomeParticipants kLive{{"p-1", "p-2"}};

CredentialsConfig full_config() {
  CredentialsConfig config;
  config.realm = std::string(kRealm);
  config.participant_secrets = {kParticipantSecret};
  config.shared_secrets = {kSharedSecret};
  config.users = {{"alice", "wonderland"}, {"bob", "builder-bob"}};
  return config;
}

Credentials make(CredentialsConfig config) {
  auto credentials = Credentials::make(std::move(config));
  EXPECT_TRUE(credentials);
  return std::move(credentials).value();
}

// What a client that knows this password would have signed with.
Credentials::KeyCheck signed_by(std::string username, std::string password) {
  return [username = std::move(username),
          password = std::move(password)](const stun::LongTermKeys& keys) {
    const stun::LongTermKeys own(username, kRealm, password);
    for (const auto algorithm : {stun::PasswordAlgorithm::md5, stun::PasswordAlgorithm::sha256}) {
      if (!stun::equal_in_constant_time(own.of(algorithm).bytes(), keys.of(algorithm).bytes())) {
        return false;
      }
    }
    return true;
  };
}

tl::expected<Account, Refusal> log_in(const Credentials& credentials, const std::string& username,
                                      const std::string& password, const Now& now = kNow) {
  return credentials.find(username, now, kLive, signed_by(username, password));
}

Refusal refusal_of(const Credentials& credentials, const std::string& username,
                   const std::string& password = "x", const Now& now = kNow) {
  const auto account = log_in(credentials, username, password, now);
  EXPECT_FALSE(account) << username;
  return account ? Refusal{} : account.error();
}

// A TURN REST credential that somebody with the shared secret wrote by hand.
IssuedCredential written(const std::string& expiry, const std::string& subject) {
  IssuedCredential credential;
  credential.username = expiry + ":" + subject;
  stun::Sha1Digest digest{};
  EXPECT_TRUE(stun::hmac_sha1(stun::as_bytes(kSharedSecret), {stun::as_bytes(credential.username)},
                              digest));
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < 21; i += 3) {
    const unsigned third = i + 2 < digest.size() ? digest[i + 2] : 0U;
    const unsigned bits = (static_cast<unsigned>(digest[i]) << 16) |
                          (static_cast<unsigned>(digest[i + 1]) << 8) | third;
    for (int shift = 18; shift >= 0; shift -= 6) {
      credential.password += kAlphabet[(bits >> shift) & 63];
    }
  }
  credential.password.back() = '=';  // 20 bytes are 27 characters and one of padding
  return credential;
}

TEST(CredentialsConfig, cannot_be_empty) {
  CredentialsConfig config;
  config.realm = "bedside";
  const auto credentials = Credentials::make(config);
  ASSERT_FALSE(credentials);
  EXPECT_EQ(credentials.error(), CredentialsError::nothing_configured);
}

TEST(CredentialsConfig, is_checked) {
  const auto error_of = [](auto change) {
    CredentialsConfig config = full_config();
    change(config);
    const auto credentials = Credentials::make(config);
    EXPECT_FALSE(credentials);
    EXPECT_FALSE(credentials ? true : to_text(credentials.error()).empty());
    return credentials ? CredentialsError{} : credentials.error();
  };
  EXPECT_EQ(error_of([](auto& c) { c.realm = ""; }), CredentialsError::bad_realm);
  EXPECT_EQ(error_of([](auto& c) { c.realm = "a\"b"; }), CredentialsError::bad_realm);
  EXPECT_EQ(error_of([](auto& c) { c.realm = "a\nb"; }), CredentialsError::bad_realm);
  EXPECT_EQ(error_of([](auto& c) { c.realm.assign(128, 'r'); }), CredentialsError::bad_realm);
  EXPECT_EQ(error_of([](auto& c) { c.shared_secrets = {"short"}; }),
            CredentialsError::short_secret);
  EXPECT_EQ(error_of([](auto& c) { c.participant_secrets = {""}; }),
            CredentialsError::short_secret);
  EXPECT_EQ(error_of([](auto& c) { c.shared_secrets.assign(5, kSharedSecret); }),
            CredentialsError::too_many_secrets);
  EXPECT_EQ(error_of([](auto& c) {
              c.users.push_back({"", "x"});
            }),
            CredentialsError::bad_user_name);
  EXPECT_EQ(error_of([](auto& c) {
              c.users.push_back({"123:carol", "x"});
            }),
            CredentialsError::bad_user_name);
  EXPECT_EQ(error_of([](auto& c) {
              c.users.push_back({std::string(509, 'u'), "x"});
            }),
            CredentialsError::bad_user_name);
  EXPECT_EQ(error_of([](auto& c) {
              c.users.push_back({"carol", ""});
            }),
            CredentialsError::empty_password);
  EXPECT_EQ(error_of([](auto& c) {
              c.users.push_back({"alice", "other"});
            }),
            CredentialsError::duplicate_user);
}

TEST(ConfiguredUser, logs_in_with_the_password_and_never_expires) {
  const Credentials credentials = make(full_config());
  const auto account = log_in(credentials, "alice", "wonderland");
  ASSERT_TRUE(account);
  EXPECT_EQ(account->kind, AccountKind::user);
  EXPECT_EQ(account->username, "alice");
  EXPECT_EQ(account->name, "alice");
  EXPECT_EQ(account->participant, "");
  EXPECT_EQ(account->expires_wall, seconds::max());
}

TEST(ConfiguredUser, is_refused_with_anything_else) {
  const Credentials credentials = make(full_config());
  EXPECT_EQ(refusal_of(credentials, "alice", "builder-bob"), Refusal::wrong_key);
  EXPECT_EQ(refusal_of(credentials, "Alice", "wonderland"), Refusal::unknown_user);
  EXPECT_EQ(refusal_of(credentials, "alic", "wonderland"), Refusal::unknown_user);
  EXPECT_EQ(refusal_of(credentials, "alice2", "wonderland"), Refusal::unknown_user);
  EXPECT_EQ(refusal_of(credentials, "", "wonderland"), Refusal::unknown_user);
  EXPECT_EQ(refusal_of(credentials, std::string(600, 'a')), Refusal::unknown_user);
}

TEST(HiddenName, is_found_for_configured_users_and_issued_names) {
  const Credentials credentials = make(full_config());
  SomeParticipants live({"p-1"});
  const auto found = [&](std::string_view name, std::string_view realm = kRealm) {
    return credentials.name_of(stun::userhash(name, realm), live);
  };
  EXPECT_EQ(found("alice"), "alice");
  EXPECT_EQ(found("bob"), "bob");
  EXPECT_EQ(found("carol"), std::nullopt);
  EXPECT_EQ(found("alice", "elsewhere"), std::nullopt) << "the realm is part of the hash";
  EXPECT_EQ(found("1700000600:f00d:p-1"), std::nullopt);
  live.issued.emplace_back("1700000600:f00d:p-1");
  EXPECT_EQ(found("1700000600:f00d:p-1"), "1700000600:f00d:p-1");
}

TEST(HiddenName, is_32_bytes_or_nobodys) {
  const Credentials credentials = make(full_config());
  const auto hash = stun::userhash("alice", kRealm);
  for (std::size_t size = 0; size < hash.size(); ++size) {
    EXPECT_FALSE(credentials.name_of(stun::Bytes(hash).first(size), kLive)) << size;
  }
  std::vector<std::uint8_t> longer(hash.begin(), hash.end());
  longer.push_back(0);
  EXPECT_FALSE(credentials.name_of(longer, kLive));
}

TEST(HiddenName, is_asked_for_only_where_every_name_can_be_listed) {
  CredentialsConfig config = full_config();
  EXPECT_FALSE(make(config).names_can_be_hidden());
  config.shared_secrets.clear();
  EXPECT_TRUE(make(config).names_can_be_hidden());
}

TEST(Participant, logs_in_with_what_was_issued_while_live) {
  const Credentials credentials = make(full_config());
  const auto issued = credentials.issue_for_participant("f00d", "p-1", kNow, seconds{600});
  ASSERT_TRUE(issued);
  EXPECT_EQ(issued->username, "1700000600:f00d:p-1");
  EXPECT_EQ(issued->expires_wall, seconds{1'700'000'600});
  const auto account = log_in(credentials, issued->username, issued->password);
  ASSERT_TRUE(account);
  EXPECT_EQ(account->kind, AccountKind::participant);
  EXPECT_EQ(account->username, "1700000600:f00d:p-1");
  EXPECT_EQ(account->name, "f00d:p-1");
  EXPECT_EQ(account->participant, "p-1");
  EXPECT_EQ(account->expires_wall, issued->expires_wall);
}

TEST(Participant, is_refused_after_leaving) {
  const Credentials credentials = make(full_config());
  const auto issued = credentials.issue_for_participant("f00d", "p-3", kNow, seconds{600});
  ASSERT_TRUE(issued);
  EXPECT_EQ(refusal_of(credentials, issued->username, issued->password), Refusal::not_live);
}

TEST(Participant, is_refused_from_the_second_of_expiry_on) {
  const Credentials credentials = make(full_config());
  const auto issued = credentials.issue_for_participant("f00d", "p-1", kNow, seconds{600});
  ASSERT_TRUE(issued);
  Now now = kNow;
  now.wall += seconds{599};
  EXPECT_TRUE(log_in(credentials, issued->username, issued->password, now));
  now.wall += seconds{1};
  EXPECT_EQ(refusal_of(credentials, issued->username, issued->password, now), Refusal::expired);
}

TEST(Participant, cannot_extend_its_credential) {
  const Credentials credentials = make(full_config());
  const auto issued = credentials.issue_for_participant("f00d", "p-1", kNow, seconds{600});
  ASSERT_TRUE(issued);
  EXPECT_EQ(refusal_of(credentials, "1700000601:f00d:p-1", issued->password), Refusal::wrong_key);
  EXPECT_EQ(refusal_of(credentials, "1700000600:f00d:p-2", issued->password), Refusal::wrong_key);
}

TEST(Participant, credential_is_not_issued_when_it_could_not_be_read_back) {
  const Credentials credentials = make(full_config());
  const auto issue = [&](std::string_view room, std::string_view id, int ttl) {
    return credentials.issue_for_participant(room, id, kNow, seconds{ttl}).has_value();
  };
  EXPECT_TRUE(issue("f00d", "p-1", 3600));
  EXPECT_FALSE(issue("f0:0d", "p-1", 600));
  EXPECT_FALSE(issue("", "p-1", 600));
  EXPECT_FALSE(issue("f00d", "", 600));
  EXPECT_FALSE(issue("f00d", "p-1", 0));
  EXPECT_FALSE(issue("f00d", "p-1", -1));
  EXPECT_FALSE(issue("f00d", "p-1", 3601));
  EXPECT_FALSE(issue("f00d", std::string(600, 'p'), 600));
  CredentialsConfig users_only = full_config();
  users_only.participant_secrets.clear();
  EXPECT_FALSE(make(users_only).issue_for_participant("f00d", "p-1", kNow, seconds{600}));
}

TEST(SharedSecret, accepts_any_subject_with_colons_and_all) {
  const Credentials credentials = make(full_config());
  for (const char* subject :
       {"carol", "a:b:c", "42:p-1", ":", "::x", "p-1", "f00d:p-1", "f00d:p-9"}) {
    const auto issued = credentials.issue_shared(subject, kNow, seconds{86400});
    ASSERT_TRUE(issued) << subject;
    const auto account = log_in(credentials, issued->username, issued->password);
    ASSERT_TRUE(account) << subject;
    EXPECT_EQ(account->kind, AccountKind::shared) << subject;
    EXPECT_EQ(account->name, subject);
    EXPECT_EQ(account->participant, "") << "the operator's secret makes nobody a participant";
  }
}

TEST(SharedSecret, is_the_turn_rest_convention) {
  const Credentials credentials = make(full_config());
  const auto issued = credentials.issue_shared("carol", kNow, seconds{60});
  ASSERT_TRUE(issued);
  const IssuedCredential by_hand = written("1700000060", "carol");
  EXPECT_EQ(issued->username, by_hand.username);
  EXPECT_EQ(issued->password, by_hand.password);
}

TEST(SharedSecret, refuses_expiries_that_are_no_sane_time) {
  const Credentials credentials = make(full_config());
  const auto refusal = [&](const std::string& expiry, const std::string& subject = "carol") {
    const IssuedCredential credential = written(expiry, subject);
    return refusal_of(credentials, credential.username, credential.password);
  };
  EXPECT_EQ(refusal("soon"), Refusal::unknown_user);
  EXPECT_EQ(refusal(""), Refusal::unknown_user);
  EXPECT_EQ(refusal("-1700000060"), Refusal::unknown_user);
  EXPECT_EQ(refusal("+1700000060"), Refusal::unknown_user);
  EXPECT_EQ(refusal(" 1700000060"), Refusal::unknown_user);
  EXPECT_EQ(refusal("1700000060 "), Refusal::unknown_user);
  EXPECT_EQ(refusal("1.7e9"), Refusal::unknown_user);
  EXPECT_EQ(refusal("0x6553f13c"), Refusal::unknown_user);
  EXPECT_EQ(refusal("9223372036854775808"), Refusal::unknown_user) << "one more than 64 bits hold";
  EXPECT_EQ(refusal("99999999999999999999999999"), Refusal::unknown_user);
  EXPECT_EQ(refusal("9223372036854775807"), Refusal::beyond_max_ttl);
  EXPECT_EQ(refusal("0"), Refusal::expired);
  EXPECT_EQ(refusal("1700000000"), Refusal::expired);
  EXPECT_EQ(refusal("1700000060", ""), Refusal::unknown_user) << "no subject";
}

TEST(SharedSecret, tolerates_the_stated_clock_skew_and_no_more) {
  const Credentials credentials = make(full_config());
  const auto latest =
      (kNow.wall + limits::kMaxSharedCredentialTtl + limits::kCredentialClockSkew).count();
  const IssuedCredential just = written(std::to_string(latest), "carol");
  EXPECT_TRUE(log_in(credentials, just.username, just.password));
  const IssuedCredential late = written(std::to_string(latest + 1), "carol");
  EXPECT_EQ(refusal_of(credentials, late.username, late.password), Refusal::beyond_max_ttl);
}

TEST(SharedSecret, rotates_with_old_and_new_accepted_and_the_first_minting) {
  const IssuedCredential old = *make(full_config()).issue_shared("carol", kNow, seconds{60});
  CredentialsConfig config = full_config();
  config.shared_secrets = {"the-new-secret-of-the-operator", kSharedSecret};
  const Credentials rotated = make(config);
  EXPECT_TRUE(log_in(rotated, old.username, old.password));
  const IssuedCredential fresh = *rotated.issue_shared("carol", kNow, seconds{60});
  EXPECT_NE(fresh.password, old.password);
  EXPECT_TRUE(log_in(rotated, fresh.username, fresh.password));
  config.shared_secrets.pop_back();
  EXPECT_EQ(refusal_of(make(config), old.username, old.password), Refusal::wrong_key);
}

TEST(SharedSecret, does_not_open_the_door_of_participants_and_the_other_way_round) {
  CredentialsConfig only_shared = full_config();
  only_shared.participant_secrets.clear();
  CredentialsConfig only_participants = full_config();
  only_participants.shared_secrets.clear();
  const Credentials full = make(full_config());
  const auto participant = *full.issue_for_participant("f00d", "p-1", kNow, seconds{600});
  const auto shared = *full.issue_shared("f00d:p-1", kNow, seconds{600});
  EXPECT_EQ(refusal_of(make(only_shared), participant.username, participant.password),
            Refusal::wrong_key);
  EXPECT_EQ(refusal_of(make(only_participants), shared.username, shared.password),
            Refusal::wrong_key);
  CredentialsConfig only_users = full_config();
  only_users.shared_secrets.clear();
  only_users.participant_secrets.clear();
  EXPECT_EQ(refusal_of(make(only_users), shared.username, shared.password), Refusal::unknown_user);
}

}  // namespace
}  // namespace bedside::turn
