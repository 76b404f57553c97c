// The rules of the source tree that no compiler checks: who may include whom, how long a file or a
// function may be, and which words and constructs stay out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = BEDSIDE_SOURCE_DIR;
constexpr std::size_t kMaxFileLines = 600;
constexpr std::size_t kMaxFunctionLines = 70;

struct SourceFile {
  std::string path;  // relative to the root, with '/'
  std::vector<std::string> lines;
  bool is_cpp() const { return path.ends_with(".cpp") || path.ends_with(".h"); }
};

bool is_source(const fs::path& path) {
  static const std::set<std::string> kEndings{".cpp",  ".h",   ".js",  ".mjs", ".css",
                                              ".html", ".sql", ".txt", ".sh"};
  return kEndings.contains(path.extension().string());
}

std::vector<SourceFile> load_sources() {
  std::vector<SourceFile> files;
  for (const char* folder :
       {"stun", "turn", "signaling", "store", "server", "admin-ui", "systemd", "tests"}) {
    for (auto it = fs::recursive_directory_iterator(kRoot / folder);
         it != fs::recursive_directory_iterator(); ++it) {
      const std::string name = it->path().filename().string();
      if (name == "node_modules" || name == "shots" || name == "corpus") {
        it.disable_recursion_pending();
        continue;
      }
      if (!it->is_regular_file() || !is_source(it->path())) continue;
      SourceFile file{fs::relative(it->path(), kRoot).generic_string(), {}};
      std::ifstream in(it->path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  return files;
}

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> kFiles = load_sources();
  return kFiles;
}

// Looking for a word is a hundred times cheaper than a regular expression: lines without any of
// these need none.
bool mentions(const std::string& line, const std::vector<std::string_view>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return line.find(word) != std::string::npos; });
}

std::string folder_of(const std::string& path) {
  if (path.starts_with("server/net/")) return "server/net";
  return path.substr(0, path.find('/'));
}

// Comments and string literals are no code: a rule about code must not trip over prose.
std::string code_of(const std::string& line) {
  static const std::regex kStrings(R"("([^"\\]|\\.)*")");
  std::string code = std::regex_replace(line, kStrings, "\"\"");
  if (const auto comment = code.find("//"); comment != std::string::npos) code.resize(comment);
  return code;
}

bool starts_function(const std::string& line, std::size_t indent) {
  static const std::regex kNoFunction(
      R"(^\s*(namespace|struct|class|enum|union|extern|if|for|while|switch|else|do|return|case)\b)");
  static const std::regex kBody(R"(\)( const| noexcept| override| final)*( -> .*)? \{$)");
  if (line.size() <= indent || line.find_first_not_of(' ') != indent) return false;
  if (!line.ends_with(" {")) return false;
  if (line.find("](") != std::string::npos) return false;  // a lambda among arguments
  return std::regex_search(line, kBody) && !std::regex_search(line, kNoFunction);
}

TEST(Tidy, the_sources_are_found) { EXPECT_GT(sources().size(), 50U); }

TEST(Tidy, each_folder_includes_only_what_the_design_allows) {
  const std::map<std::string, std::set<std::string>> allowed{
      {"stun", {"stun"}},   {"turn", {"turn", "stun"}},     {"signaling", {"signaling"}},
      {"store", {"store"}}, {"server/net", {"server/net"}},
  };
  // One address type for the whole process: the kernel's side borrows it from the wire's side.
  const std::set<std::string> kNetMayBorrow{"stun/endpoint.h", "stun/bytes.h"};
  static const std::regex kInclude(R"re(^#include "([^"]+)")re");
  for (const SourceFile& file : sources()) {
    const auto rule = allowed.find(folder_of(file.path));
    if (!file.is_cpp() || rule == allowed.end()) continue;
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (!std::regex_search(line, match, kInclude)) continue;
      const std::string target = match[1];
      if (rule->first == "server/net" && kNetMayBorrow.contains(target)) continue;
      EXPECT_TRUE(rule->second.contains(folder_of(target)))
          << file.path << " may not include " << target;
    }
  }
}

TEST(Tidy, heavy_and_foreign_headers_stay_in_their_place) {
  const std::vector<std::pair<std::regex, std::vector<std::string>>> homes{
      {std::regex(R"(<openssl/)"),
       {"stun/integrity.cpp", "turn/credentials.cpp", "turn/nonce.cpp", "store/", "server/"}},
      {std::regex(R"(<nlohmann/)"), {"signaling/", "server/", "store/", "tests/"}},
      {std::regex(R"(<sqlite3\.h>)"), {"store/", "tests/"}},
      {std::regex(R"(<event2/)"), {"server/net/", "tests/"}},
      {std::regex(R"(<wslay/)"), {"tests/"}},
      {std::regex(R"(<(toml\+\+|toml|CLI)/)"), {"server/"}},
      {std::regex(R"(<spdlog/)"), {"server/log"}},
      {std::regex(R"(<sys/socket\.h>|<netinet/)"), {"server/", "tests/"}},
  };
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp() || file.path.starts_with("tests/")) continue;
    for (const std::string& line : file.lines) {
      if (!line.starts_with("#include")) continue;
      for (const auto& [header, places] : homes) {
        if (!std::regex_search(line, header)) continue;
        EXPECT_TRUE(
            std::any_of(places.begin(), places.end(),
                        [&](const std::string& place) { return file.path.starts_with(place); }))
            << file.path << ": " << line;
      }
    }
  }
}

TEST(Tidy, nlohmann_json_is_in_one_file_of_signaling) {
  std::set<std::string> users;
  for (const SourceFile& file : sources()) {
    if (folder_of(file.path) != "signaling") continue;
    for (const std::string& line : file.lines) {
      if (line.starts_with("#include <nlohmann/")) users.insert(file.path);
    }
  }
  EXPECT_LE(users.size(), 1U) << testing::PrintToString(users);
}

TEST(Tidy, files_stay_short) {
  for (const SourceFile& file : sources()) {
    EXPECT_LE(file.lines.size(), kMaxFileLines) << file.path;
  }
}

TEST(Tidy, functions_stay_short) {
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp()) continue;
    for (const std::size_t indent : {0U, 2U}) {
      const std::string end = std::string(indent, ' ') + "}";
      for (std::size_t i = 0; i < file.lines.size(); ++i) {
        if (!starts_function(file.lines[i], indent)) continue;
        std::size_t last = i + 1;
        while (last < file.lines.size() && !file.lines[last].starts_with(end)) ++last;
        EXPECT_LE(last - i + 1, kMaxFunctionLines) << file.path << ":" << i + 1;
      }
    }
  }
}

TEST(Tidy, nothing_is_named_after_what_it_is_not) {
  static const std::regex kForbidden(
      R"((^|[^a-z])(utils?|commons?|helpers?|managers?|misc)([^a-z]|$))", std::regex::icase);
  static const std::regex kType(R"(^\s*(?:class|struct|enum class|union)\s+(\w+))");
  static const std::regex kTypeWord(R"((Utils?|Common|Helpers?|Managers?|Misc)($|[A-Z]))");
  for (const SourceFile& file : sources()) {
    EXPECT_FALSE(std::regex_search(file.path, kForbidden)) << file.path;
    if (!file.is_cpp()) continue;
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (!mentions(line, {"class", "struct", "union"})) continue;
      if (!std::regex_search(line, match, kType)) continue;
      const std::string type = match[1];
      EXPECT_FALSE(std::regex_search(type, kTypeWord)) << file.path << ": " << type;
    }
  }
}

TEST(Tidy, forbidden_constructs_stay_out) {
  const std::vector<std::pair<std::regex, std::string>> rules{
      {std::regex(R"(\breinterpret_cast\b)"), "server/net/"},
      // The logging library takes its sinks shared.
      {std::regex(R"(\bshared_ptr\b|\bmake_shared\b)"), "server/log.cpp"},
      {std::regex(R"((^|[\s=(,])new\s+[A-Za-z_:]+)"), ""},
      {std::regex(R"((^|\s)delete(\[\])?\s+[a-z_])"), ""},
      // systemd names the folder of credentials there; no secret is in it.
      {std::regex(R"(\b(getenv|secure_getenv)\b)"), "server/keys.cpp"},
      {std::regex(R"(\b(strcpy|strcat|sprintf|gets|rand|srand|popen)\s*\(|\bstd::system\s*\()"),
       ""},
      {std::regex(R"(using namespace std;)"), ""},
  };
  const std::vector<std::string_view> kWords{
      "reinterpret_cast", "shared", "new",  "delete", "getenv",      "strc",
      "sprintf",          "gets",   "rand", "popen",  "std::system", "namespace std"};
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp() || file.path.starts_with("tests/")) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      if (!mentions(file.lines[i], kWords)) continue;
      const std::string code = code_of(file.lines[i]);
      for (const auto& [pattern, home] : rules) {
        if (!home.empty() && file.path.starts_with(home)) continue;
        // What a private constructor needs; it is owned before the expression ends.
        if (code.find("unique_ptr<") != std::string::npos) continue;
        EXPECT_FALSE(std::regex_search(code, pattern))
            << file.path << ":" << i + 1 << ": " << file.lines[i];
      }
    }
  }
}

TEST(Tidy, nothing_is_left_for_later_in_a_comment) {
  // Spelled in two parts, so that this file passes its own rule.
  const std::regex later(std::string("\\b(TO") + "DO|FIX" + "ME|XX" + "X|HA" + "CK)\\b");
  const std::vector<std::string_view> kWords{
      "TO"
      "DO",
      "FIX"
      "ME",
      "XX"
      "X",
      "HA"
      "CK"};
  for (const SourceFile& file : sources()) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      if (!mentions(file.lines[i], kWords)) continue;
      EXPECT_FALSE(std::regex_search(file.lines[i], later)) << file.path << ":" << i + 1;
    }
  }
}

TEST(Tidy, every_header_guards_itself_and_says_what_it_is) {
  for (const SourceFile& file : sources()) {
    if (!file.path.ends_with(".h")) continue;
    EXPECT_THAT(file.lines, testing::Contains("#pragma once")) << file.path;
    const auto first = [&file](const std::regex& what) {
      return std::find_if(file.lines.begin(), file.lines.end(),
                          [&](const std::string& line) { return std::regex_search(line, what); });
    };
    static const std::regex kComment(R"(^\s*//)");
    static const std::regex kDeclaration(
        R"(^(class|struct|enum|using|inline|constexpr|template)\b)");
    EXPECT_LT(first(kComment), first(kDeclaration)) << file.path << " declares before it explains";
  }
}

}  // namespace
