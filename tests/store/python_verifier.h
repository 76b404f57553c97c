#pragma once

// The verifier that shares no code with ours, for tests that ask both.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "store/verify.h"

namespace bedside::store {

// The exit code of a program that is found by its name; -1: it did not run.
inline int run_program(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) {
    return -1;
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// One Python process that judges file after file.
class PythonVerifier {
 public:
  PythonVerifier() {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    // A second verifier must not hold the first one's input open.
    if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    std::string words[] = {"python3", BEDSIDE_VERIFIER, "--many"};
    std::array<char*, 4> arguments{words[0].data(), words[1].data(), words[2].data(), nullptr};
    if (posix_spawnp(&child_, "python3", &actions, nullptr, arguments.data(), environ) != 0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    in_ = fdopen(to[1], "w");
    out_ = fdopen(from[0], "r");
  }
  ~PythonVerifier() {
    std::fclose(in_);
    std::fclose(out_);
    int status = 0;
    waitpid(child_, &status, 0);
  }
  PythonVerifier(const PythonVerifier&) = delete;
  PythonVerifier& operator=(const PythonVerifier&) = delete;

  // "0 PASS …", "1 FAIL …" or "2 …".
  std::string judge(const std::string& question) {
    ask(question);
    return answer();
  }
  // The same in two halves, for who has something else to do meanwhile.
  void ask(const std::string& question) {
    std::fprintf(in_, "%s\n", question.c_str());
    std::fflush(in_);
  }
  std::string answer() {
    std::array<char, 4096> line{};
    return fgets(line.data(), line.size(), out_) == nullptr ? "" : line.data();
  }

 private:
  pid_t child_ = 0;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

// Fails the test unless both verifiers say the same: whether the log is whole, which record is the
// first bad one, and up to which record all is as it was sealed.
inline void expect_agreement(const tl::expected<VerifyReport, std::string>& report,
                             const std::string& said) {
  if (!report) {
    EXPECT_EQ(said.substr(0, 2), "2 ") << said << "against: " << report.error();
    return;
  }
  const bool compared = report->unproven_anchors + report->unproven_receipts == 0;
  const std::string record = " at record " + std::to_string(report->first_bad_seq);
  const std::string verdict = report->ok()
                                  ? (compared ? "0 PASS" : "3 PASS")
                                  : "1 FAIL" + (report->first_bad_seq == 0 ? "" : record) + ": ";
  EXPECT_EQ(said.substr(0, verdict.size()), verdict) << said << "against: " << report->problem;
  if (report->ok()) return;
  const std::string proven = "; Records 1 to " + std::to_string(report->intact) + " are as";
  EXPECT_EQ(said.find(report->intact == 0 ? "; Records 1 to " : proven) == std::string::npos,
            report->intact == 0)
      << said << "against: " << report->intact << " records, " << report->problem;
}

}  // namespace bedside::store
