#include "server/first_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "tests/store/sealed_store.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The modules of a code on a terminal, true for dark.
std::vector<std::vector<bool>> modules(const std::string& lines) {
  std::vector<std::vector<bool>> rows;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    std::vector<bool> upper;
    std::vector<bool> lower;
    line = line.substr(line.find('m') + 1);
    for (std::size_t at = 0; at < line.size() && line[at] != '\033';) {
      const bool blank = line[at] == ' ';
      const std::string block = blank ? " " : line.substr(at, 3);
      upper.push_back(block == "█" || block == "▀");
      lower.push_back(block == "█" || block == "▄");
      at += block.size();
    }
    rows.push_back(upper);
    rows.push_back(lower);
  }
  return rows;
}

// 7 x 7: a dark ring, a light one, a dark square of three.
bool finder_at(const std::vector<std::vector<bool>>& code, std::size_t x, std::size_t y) {
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 7; ++j) {
      const std::size_t ring = std::min({i, j, 6 - i, 6 - j});
      if (code.at(y + i).at(x + j) != (ring != 1)) return false;
    }
  }
  return true;
}

TEST(FirstKey, IsACodeThatCamerasFind) {
  const auto code = modules(qr_code(std::string(64, 'a')));
  ASSERT_EQ(code.front().size(), 33U + 8U) << "version 4, quiet zone";
  ASSERT_GE(code.size(), 41U);
  for (std::size_t i = 0; i < 41; ++i) {
    for (const std::size_t quiet : {0U, 3U, 37U, 40U}) {
      EXPECT_FALSE(code[quiet][i]);
      EXPECT_FALSE(code[i][quiet]);
    }
  }
  EXPECT_TRUE(finder_at(code, 4, 4));
  EXPECT_TRUE(finder_at(code, 30, 4));
  EXPECT_TRUE(finder_at(code, 4, 30));
  for (std::size_t i = 8; i < 25; ++i) EXPECT_EQ(code[4 + 6][4 + i], i % 2 == 0) << "timing";
  EXPECT_NE(code, modules(qr_code(std::string(64, 'b'))));
  EXPECT_EQ(qr_code(std::string(3000, 'a')), "");
}

TEST(FirstKey, IsTextWhereNobodyHasATerminal) {
  const std::string key(64, 'a');
  EXPECT_THAT(first_key_banner(key, false), HasSubstr(key));
  EXPECT_THAT(first_key_banner(key, false), Not(HasSubstr("\033")));
  EXPECT_THAT(first_key_banner(key, true), HasSubstr(qr_code(key)));
  EXPECT_EQ(first_key_banner("", true), "");
}

TEST(FirstKey, IsTheOneTheLogBeganWith) {
  store::SealedStore log;
  log.open();
  const std::string key = store::to_hex(log.epoch(1).key);
  log.close();
  log.open();  // another epoch, another key
  EXPECT_EQ(first_key_of(store::reader_or_die(log.database())), key);
}

}  // namespace
}  // namespace bedside::server
