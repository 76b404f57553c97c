#pragma once

// The verifier that shares no code with ours, for tests that ask both.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

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
    if (pipe(to.data()) != 0 || pipe(from.data()) != 0) std::abort();
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    for (const int fd : {to[0], to[1], from[0], from[1]}) {
      posix_spawn_file_actions_addclose(&actions, fd);
    }
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
    std::fprintf(in_, "%s\n", question.c_str());
    std::fflush(in_);
    std::array<char, 4096> line{};
    return fgets(line.data(), line.size(), out_) == nullptr ? "" : line.data();
  }

 private:
  pid_t child_ = 0;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

}  // namespace bedside::store
