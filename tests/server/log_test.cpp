#include "server/log.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

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

TEST(Log, LevelsHaveNames) {
  EXPECT_EQ(level_from("debug"), Level::debug);
  EXPECT_EQ(level_from("error"), Level::error);
  EXPECT_FALSE(level_from("verbose"));
}

}  // namespace
}  // namespace bedside::server::log
