#include "server/routes.h"

#include <gtest/gtest.h>

#include <set>

namespace bedside::server {
namespace {

TEST(Routes, LongestPathWins) {
  EXPECT_EQ(find_route("/").target, Target::root);
  EXPECT_EQ(find_route("/api/webrtc-signaling").target, Target::signaling);
  EXPECT_EQ(find_route("/api/webrtc-signaling/x").target, Target::nothing);
  EXPECT_EQ(find_route("/admin").target, Target::admin_home);
  EXPECT_EQ(find_route("/admin/").target, Target::admin_page);
  EXPECT_EQ(find_route("/admin/main.js").target, Target::admin_page);
  EXPECT_EQ(find_route("/admin/api/state").target, Target::admin_api);
  EXPECT_EQ(find_route("/administrator").target, Target::nothing);
  EXPECT_EQ(find_route("").target, Target::nothing);
}

TEST(Routes, PathsAreUnique) {
  std::set<std::string_view> paths;
  for (const Route& route : routes()) EXPECT_TRUE(paths.insert(route.path).second) << route.path;
}

TEST(Routes, WhatGrantsOrChangesSomethingIsRecorded) {
  for (const Route& route : routes()) {
    const bool only_reads = route.methods == "GET, HEAD" && route.target != Target::root;
    EXPECT_EQ(route.recorded == Recorded::nothing, only_reads) << route.path;
  }
}

TEST(Routes, MethodsAreThoseOfTheTable) {
  EXPECT_TRUE(allows(find_route("/session/main.js"), "HEAD"));
  EXPECT_FALSE(allows(find_route("/session/main.js"), "POST"));
  EXPECT_FALSE(allows(find_route("/session/main.js"), "get"));
  EXPECT_FALSE(allows(find_route("/session/main.js"), "GET, HEAD"));
  EXPECT_TRUE(allows(find_route("/api/webrtc-signaling"), "BREW")) << "its handler answers 405";
}

}  // namespace
}  // namespace bedside::server
