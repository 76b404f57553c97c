#include "server/audit_data_keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/data_key_turn.h"

namespace bedside::server {
namespace {

using Bytes = std::vector<std::uint8_t>;
using std::chrono::milliseconds;

std::array<std::uint8_t, 32> wrapping(std::uint8_t byte) {
  std::array<std::uint8_t, 32> key{};
  key.fill(byte);
  return key;
}

constexpr milliseconds kOctober{1'793'491'199'999};   // 2026-10-31T23:59:59.999Z
constexpr milliseconds kNovember{1'793'491'200'000};  // 2026-11-01T00:00:00Z

TEST(AuditDataKeys, AMonthIsUtc) {
  EXPECT_EQ(month_of(kOctober), "2026-10");
  EXPECT_EQ(month_of(kNovember), "2026-11");
}

TEST(AuditDataKeys, WithoutItsMonthsKeyAValueIsGoneAndTheOthersStay) {
  AuditDataKeys keys(wrapping(1), wrapping(1));
  const Bytes october = keys.make("2026-10");
  const Bytes november = keys.make("2026-11");
  EXPECT_TRUE(keys.encrypt("ip", Bytes{7}).empty()) << "nothing is adopted yet";
  ASSERT_TRUE(keys.adopt("2026-10", october));
  const Bytes early = keys.encrypt("ip", Bytes{7});
  ASSERT_TRUE(keys.adopt("2026-11", november));
  const Bytes late = keys.encrypt("display", Bytes{8});
  EXPECT_EQ(keys.decrypt(early), Bytes{7});
  EXPECT_EQ(keys.decrypt(late), Bytes{8});

  AuditDataKeys erased(wrapping(1), wrapping(1));  // a later start, after 2026-10 was erased
  ASSERT_TRUE(erased.adopt("2026-11", november));
  EXPECT_FALSE(erased.decrypt(early));
  EXPECT_EQ(erased.decrypt(late), Bytes{8});
}

TEST(AuditDataKeys, AWrappedKeyOpensForItsMonthAndItsWrappingKeyOnly) {
  const Bytes wrapped = AuditDataKeys(wrapping(1), wrapping(1)).make("2026-11");
  AuditDataKeys others(wrapping(2), wrapping(3));
  EXPECT_FALSE(others.adopt("2026-11", wrapped));
  AuditDataKeys moved(wrapping(2), wrapping(1));  // the operator took a key of their own
  EXPECT_FALSE(moved.adopt("2026-10", wrapped));
  for (std::size_t i = 0; i < wrapped.size(); ++i) {
    Bytes changed = wrapped;
    changed[i] ^= 1;
    EXPECT_FALSE(moved.adopt("2026-11", changed)) << i;
  }
  EXPECT_EQ(moved.in_use(), "");
  EXPECT_TRUE(moved.adopt("2026-11", wrapped));
  EXPECT_EQ(moved.in_use(), "2026-11");
}

TEST(AuditDataKeys, MonthFieldAndValueAreBoundTogether) {
  AuditDataKeys keys(wrapping(1), wrapping(1));
  const Bytes wrapped = keys.make("2026-10");
  ASSERT_TRUE(keys.adopt("2026-10", wrapped));
  ASSERT_TRUE(keys.adopt("2026-11", keys.make("2026-11")));
  const Bytes sealed = keys.encrypt("ip", Bytes{1, 2, 3});
  ASSERT_TRUE(AuditDataKeys::names_its_month(sealed));
  ASSERT_EQ(std::string(sealed.begin(), sealed.begin() + 15), "bf2:2026-11:ip\n");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1;
    EXPECT_FALSE(keys.decrypt(changed)) << i;
    changed.resize(i);
    EXPECT_FALSE(keys.decrypt(changed)) << i;
  }
}

// Of what a record of now has encrypted.
std::string month_in_use(const AuditTrail& trail) {
  AuditSource source;
  source.address = stun::IpAddress::parse("192.0.2.7");
  const store::Commit commit = trail.commit(AdminAction{ServiceStopped{"signal"}}, source);
  const Bytes& sealed = commit.records.at(0).where.ip_enc;
  return {sealed.begin() + 4, sealed.begin() + 11};
}

TEST(AuditDataKeys, AKeyIsUsedOnlyOnceItIsOnTheDisk) {
  AuditTrail trail(wrapping(1), wrapping(2), wrapping(3));
  EXPECT_FALSE(make_due_data_key(trail, kOctober, [](auto) { return false; }));
  EXPECT_TRUE(trail.data_key_due(kOctober)) << "still due: the next minute tries again";

  store::LoadedState state;
  const auto keep = [&](const store::Commit& commit) {
    EXPECT_EQ(commit.records.at(0).type, "key.rotated");
    state.data_keys.push_back(std::get<store::DataKeyCreated>(commit.changes.at(0)).key);
    return true;
  };
  ASSERT_TRUE(make_due_data_key(trail, kOctober, keep));
  ASSERT_TRUE(make_due_data_key(trail, kOctober, keep));
  ASSERT_EQ(state.data_keys.size(), 1U) << "one key a month";
  ASSERT_TRUE(make_due_data_key(trail, kNovember, keep));
  ASSERT_TRUE(make_due_data_key(trail, kOctober, keep)) << "a clock that was set back";
  ASSERT_EQ(state.data_keys.size(), 2U);
  EXPECT_EQ(state.data_keys[1].month, "2026-11");

  // A clock that was wrong by years for a moment decides nothing later.
  constexpr auto kYears = milliseconds(std::chrono::hours(15 * 8'766));
  ASSERT_TRUE(make_due_data_key(trail, kNovember + kYears, keep));
  ASSERT_TRUE(make_due_data_key(trail, kNovember, keep));
  EXPECT_EQ(month_in_use(trail), "2026-11");
  state.data_keys.resize(2);

  AuditTrail again(wrapping(1), wrapping(2), wrapping(3));
  EXPECT_TRUE(adopt_data_keys(again, state));
  EXPECT_FALSE(again.data_key_due(kNovember));
  AuditTrail others(wrapping(1), wrapping(4), wrapping(5));
  const auto refused = adopt_data_keys(others, state);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("2026-10"), std::string::npos);
}

}  // namespace
}  // namespace bedside::server
