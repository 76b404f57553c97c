#include "server/log.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "server/log_limiter.h"

namespace bedside::server::log {
namespace {

enum class Colour : std::uint8_t { red };
std::string_view name(Colour) { return "red"; }

// The point of the wrapper: what a visitor sent does not fit into it.
static_assert(!std::is_constructible_v<Value, std::string>);
static_assert(!std::is_constructible_v<Value, const std::string&>);
static_assert(!std::is_constructible_v<Value, std::string_view>);
static_assert(!std::is_constructible_v<Value, const char*>);
static_assert(!std::is_constructible_v<Literal, std::string>);
static_assert(!std::is_constructible_v<Literal, const char*>);

TEST(Log, FieldsFollowTheMessage) {
  EXPECT_EQ(format("relay started", {{"shard", 0}, {"bytes", 18446744073709551615ULL}}),
            "relay started shard=0 bytes=18446744073709551615");
  EXPECT_EQ(format("x", {{"negative", -5}, {"tls", true}, {"plain", false}}),
            "x negative=-5 tls=yes plain=no");
  EXPECT_EQ(format("x", {{"colour", Colour::red}, {"word", Literal("abc")}}),
            "x colour=red word=abc");
}

TEST(Log, WhatTheOperatorWroteIsQuotedAndStaysOneLine) {
  EXPECT_EQ(format("x", {{"path", Configured("/a b")}}), "x path=\"/a b\"");
  EXPECT_EQ(format("x", {{"path", Configured("a\"b\\c\nd\x7f")}}), "x path=\"a\\\"b\\\\c?d?\"");
}

TEST(Log, RedactedContentShowsItsSizeOnly) {
  EXPECT_EQ(format("bad token", {{"token", Redacted{12}}}), "bad token token=<redacted 12 bytes>");
}

TEST(Log, LinesBelowTheLevelAreNotWrittenAndOthersGoToStandardError) {
  testing::internal::CaptureStderr();
  set_level(Level::warning);
  info("quiet {}", {});
  warning("loud {} %s", {{"n", 1}});
  set_level(Level::info);
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_EQ(written.find("quiet"), std::string::npos);
  EXPECT_NE(written.find(" warning loud {} %s n=1\n"), std::string::npos) << written;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST(ChecklistA, Line15_lines_are_rate_limited_per_class) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) warning("somebody knocks", {{"i", i}});
  warning("something else");
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count(written, "somebody knocks"), LineLimiter::kLines);
  EXPECT_EQ(count(written, "something else"), 1U);
}

TEST(ChecklistA, Line15_what_was_held_back_is_told_a_minute_later) {
  LineLimiter limiter;
  const char kinds[2] = {};
  LineLimiter::Time now{};
  for (std::uint32_t i = 0; i < LineLimiter::kLines; ++i) EXPECT_EQ(limiter.admit(kinds, now), 0U);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limiter.admit(kinds, now));
  EXPECT_EQ(limiter.admit(kinds + 1, now), 0U);
  now += LineLimiter::kWindow;
  EXPECT_EQ(limiter.admit(kinds, now), 5U);
  EXPECT_EQ(limiter.admit(kinds, now), 0U);
}

TEST(ChecklistA, Line15_classes_beyond_the_table_share_a_limit) {
  LineLimiter limiter;
  const char kinds[LineLimiter::kKinds + 2] = {};
  const LineLimiter::Time now{};
  for (std::size_t i = 0; i < LineLimiter::kKinds; ++i) EXPECT_TRUE(limiter.admit(kinds + i, now));
  for (std::uint32_t i = 0; i < LineLimiter::kLines; ++i) {
    EXPECT_TRUE(limiter.admit(kinds + LineLimiter::kKinds + i % 2, now));
  }
  EXPECT_FALSE(limiter.admit(kinds + LineLimiter::kKinds, now));
  EXPECT_FALSE(limiter.admit(kinds + LineLimiter::kKinds + 1, now));
  EXPECT_TRUE(limiter.admit(kinds, now));
}

TEST(Log, LevelsHaveNames) {
  EXPECT_EQ(level_from("debug"), Level::debug);
  EXPECT_EQ(level_from("error"), Level::error);
  EXPECT_FALSE(level_from("verbose"));
}

}  // namespace
}  // namespace bedside::server::log
