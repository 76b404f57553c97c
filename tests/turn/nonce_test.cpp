#include "turn/nonce.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "tests/support/seeded_random.h"
#include "turn/limits.h"

namespace bedside::turn {
namespace {

using std::chrono::seconds;

constexpr NonceKey kKey{1, 2, 3, 4, 5};
const stun::Endpoint kClient = *stun::Endpoint::parse("192.0.2.1:50000");

Now at(std::int64_t mono_seconds) { return {seconds{mono_seconds}, seconds{0}}; }

NonceVerdict check(Nonces& nonces, std::string_view text, const Now& now,
                   const stun::Endpoint& client = kClient,
                   ClientTransport transport = ClientTransport::udp) {
  return nonces.check(text, transport, client, now);
}

TEST(Nonce, is_valid_for_its_client_for_an_hour) {
  Nonces nonces(kKey);
  for (const std::int64_t start : {0, 1, 3599, 3600, 1'000'000}) {
    const Nonce nonce = nonces.issue(ClientTransport::udp, kClient, at(start));
    EXPECT_EQ(check(nonces, nonce.text(), at(start)), NonceVerdict::valid) << start;
    EXPECT_EQ(check(nonces, nonce.text(), at(start + 3599)), NonceVerdict::valid) << start;
    EXPECT_EQ(check(nonces, nonce.text(), at(start + 3600)), NonceVerdict::stale) << start;
    EXPECT_EQ(check(nonces, nonce.text(), at(start + 1'000'000)), NonceVerdict::stale) << start;
  }
}

TEST(Nonce, from_the_future_is_stale) {
  Nonces nonces(kKey);
  const Nonce nonce = nonces.issue(ClientTransport::udp, kClient, at(100));
  EXPECT_EQ(check(nonces, nonce.text(), at(99)), NonceVerdict::stale);
}

TEST(Nonce, is_printable_and_says_by_default_that_no_security_feature_is_on) {
  Nonces nonces(kKey);
  const std::string text(nonces.issue(ClientTransport::udp, kClient, at(7)).text());
  EXPECT_EQ(text.size(), Nonce::kSize);
  EXPECT_TRUE(text.starts_with("obMatJos2AAAA"));
  for (const char c : text) {
    EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '/');
  }
}

TEST(Nonce, begins_with_the_features_and_is_stale_where_others_are_offered) {
  const stun::SecurityFeatures both{.password_algorithms = true, .username_anonymity = true};
  Nonces modern(kKey, both);
  Nonces modern_too(kKey, both);
  Nonces half(kKey, {.password_algorithms = true});
  const Nonce nonce = modern.issue(ClientTransport::udp, kClient, at(7));
  EXPECT_EQ(stun::features_of(nonce.text()), both);
  EXPECT_EQ(check(modern_too, nonce.text(), at(8)), NonceVerdict::valid);
  EXPECT_EQ(check(half, nonce.text(), at(8)), NonceVerdict::stale);
}

TEST(Nonce, stays_stale_when_its_24_bits_of_time_come_round_again) {
  constexpr std::int64_t kRound = 1 << 24;
  Nonces nonces(kKey);
  const Nonce nonce = nonces.issue(ClientTransport::udp, kClient, at(100));
  EXPECT_EQ(check(nonces, nonce.text(), at(kRound + 100)), NonceVerdict::stale);
  EXPECT_EQ(check(nonces, nonce.text(), at(kRound + 3000)), NonceVerdict::stale);
  const Nonce across = nonces.issue(ClientTransport::udp, kClient, at(kRound - 10));
  EXPECT_EQ(check(nonces, across.text(), at(kRound + 10)), NonceVerdict::valid);
}

TEST(Nonce, replayed_from_anywhere_else_is_stale) {
  Nonces nonces(kKey);
  const Nonce nonce = nonces.issue(ClientTransport::udp, kClient, at(10));
  for (const char* other : {"192.0.2.1:50001", "192.0.2.2:50000", "[2001:db8::1]:50000",
                            "[::192.0.2.1]:50000", "192.0.2.1:0"}) {
    EXPECT_EQ(check(nonces, nonce.text(), at(11), *stun::Endpoint::parse(other)),
              NonceVerdict::stale)
        << other;
  }
  for (const auto transport : {ClientTransport::tcp, ClientTransport::tls, ClientTransport::dtls}) {
    EXPECT_EQ(check(nonces, nonce.text(), at(11), kClient, transport), NonceVerdict::stale);
  }
}

TEST(Nonce, is_never_shared_by_two_sources) {
  testing_support::SeededRandom random(0x4e0);
  Nonces nonces(kKey);
  std::set<std::string> seen;
  std::set<std::pair<stun::Endpoint, ClientTransport>> sources;
  for (int i = 0; i < 20'000; ++i) {
    // Few distinct addresses, so that neighbours and repetitions are frequent.
    const stun::IpAddress address =
        random.one_in(2)
            ? stun::IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(random.below(8)))
            : stun::IpAddress::v6({10, 0, 0, static_cast<std::uint8_t>(random.below(8))});
    const stun::Endpoint client{address, static_cast<std::uint16_t>(random.below(4096))};
    const auto transport = static_cast<ClientTransport>(random.below(4));
    const bool is_new_source = sources.insert({client, transport}).second;
    const bool is_new_nonce =
        seen.insert(std::string(nonces.issue(transport, client, at(5)).text())).second;
    ASSERT_EQ(is_new_nonce, is_new_source) << client.to_string();
  }
}

TEST(Nonce, survives_the_rotation_of_keys_until_it_expires) {
  Nonces nonces(kKey);
  const Nonce before = nonces.issue(ClientTransport::udp, kClient, at(3599));
  const Nonce after = nonces.issue(ClientTransport::udp, kClient, at(3600));
  EXPECT_NE(before.text().substr(19), after.text().substr(19));
  for (int i = 0; i < 3; ++i) {  // the two keys are cached side by side
    EXPECT_EQ(check(nonces, before.text(), at(3601)), NonceVerdict::valid);
    EXPECT_EQ(check(nonces, after.text(), at(3601)), NonceVerdict::valid);
  }
  EXPECT_EQ(check(nonces, before.text(), at(7199)), NonceVerdict::stale);
  EXPECT_EQ(check(nonces, after.text(), at(7199)), NonceVerdict::valid);
}

TEST(Nonce, of_another_start_of_the_server_is_stale) {
  Nonces yesterday(NonceKey{9, 9, 9});
  Nonces today(kKey);
  const Nonce nonce = yesterday.issue(ClientTransport::udp, kClient, at(10));
  EXPECT_EQ(check(today, nonce.text(), at(10)), NonceVerdict::stale);
}

TEST(Nonce, is_accepted_by_every_shard_of_one_start) {
  Nonces first(kKey);
  Nonces second(kKey);
  const Nonce nonce = first.issue(ClientTransport::tcp, kClient, at(10));
  EXPECT_EQ(second.check(nonce.text(), ClientTransport::tcp, kClient, at(12)), NonceVerdict::valid);
}

TEST(Nonce, with_any_character_changed_is_stale) {
  Nonces nonces(kKey);
  const std::string text(nonces.issue(ClientTransport::udp, kClient, at(5000)).text());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = text;
      changed[i] = static_cast<char>(c);
      if (changed == text) continue;
      ASSERT_EQ(check(nonces, changed, at(5000)), NonceVerdict::stale) << i << " " << c;
    }
  }
}

TEST(Nonce, of_any_other_length_is_stale) {
  Nonces nonces(kKey);
  const std::string text(nonces.issue(ClientTransport::udp, kClient, at(5000)).text());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(check(nonces, text.substr(0, size), at(5000)), NonceVerdict::stale);
  }
  EXPECT_EQ(check(nonces, text + "=", at(5000)), NonceVerdict::stale);
  EXPECT_EQ(check(nonces, text + "==", at(5000)), NonceVerdict::stale);
  EXPECT_EQ(check(nonces, std::string(763, 'A'), at(5000)), NonceVerdict::stale);
}

}  // namespace
}  // namespace bedside::turn
