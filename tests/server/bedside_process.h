#pragma once

// The real binary as a child process with a configuration of its own: free ports, a scratch folder.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/server/scratch_folder.h"

namespace bedside::server {

// A loopback port that was free for TCP and UDP a moment ago, and that the kernel gives to no
// client: it is below the ephemeral range.
std::uint16_t free_port();

struct Ended {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  std::string output;  // standard output
  std::string errors;  // standard error
};

class BedsideProcess {
 public:
  explicit BedsideProcess(const std::vector<std::string>& arguments,
                          const std::filesystem::path& working_folder = {});
  ~BedsideProcess();  // kills it if it still runs
  BedsideProcess(const BedsideProcess&) = delete;
  BedsideProcess& operator=(const BedsideProcess&) = delete;

  // Reads standard output or standard error until `text` appears; false when the process ended or
  // 30 s passed first.
  bool wait_for_output(const std::string& text) { return read_until(output_, text); }
  bool wait_for_errors(const std::string& text) { return read_until(errors_, text); }

  // The same for what comes after the last text that was waited for with it.
  bool wait_for_next_errors(const std::string& text);

  // Standard output as far as it was read.
  const std::string& output() const { return output_.text; }

  void signal(int number) const;
  pid_t pid() const { return pid_; }
  // Waits for the end; kills the process after 30 s.
  Ended wait();

 private:
  struct Stream {
    int fd = -1;
    std::string text;
    std::size_t seen = 0;
  };
  bool read_until(Stream& stream, const std::string& text);
  static bool read_some(Stream& stream, std::chrono::milliseconds patience);

  pid_t pid_ = -1;
  Stream output_;
  Stream errors_;
};

Ended run_bedside(const std::vector<std::string>& arguments,
                  const std::filesystem::path& working_folder = {});

// A server on free loopback ports whose data outlives its processes.
class TestServer {
 public:
  TestServer();

  // Writes the configuration anew, with more lines for the file's beginning, for [turn] and for
  // [https].
  void configure(const std::string& first, const std::string& turn, const std::string& https = {});
  // Starts a process and waits until it serves.
  BedsideProcess& start();
  BedsideProcess& process() { return *process_; }
  // Ends it: returns how.
  Ended stop(int signal);

  std::uint16_t http() const { return http_; }
  std::uint16_t turn() const { return turn_; }
  std::uint16_t operator_port() const { return operator_; }
  std::filesystem::path config_file() const { return folder_.path() / "bedside.toml"; }
  std::filesystem::path data_dir() const { return folder_.path() / "data"; }
  const ScratchFolder& folder() const { return folder_; }

 private:
  ScratchFolder folder_;
  std::uint16_t http_ = free_port();
  std::uint16_t turn_ = free_port();
  std::uint16_t operator_ = free_port();
  std::optional<BedsideProcess> process_;
};

}  // namespace bedside::server
