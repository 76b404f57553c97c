#include "tests/server/bedside_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <random>

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kProcessPatience{30'000};

bool binds(int type, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const void* untyped = &address;
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const bool bound = ::bind(fd, static_cast<const sockaddr*>(untyped), sizeof address) == 0;
  ::close(fd);
  return bound;
}

}  // namespace

std::uint16_t free_port() {
  std::random_device random;
  std::uniform_int_distribution<std::uint16_t> below_ephemeral(10'000, 32'767);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::uint16_t port = below_ephemeral(random);
    if (binds(SOCK_STREAM, port) && binds(SOCK_DGRAM, port)) return port;
  }
  ADD_FAILURE() << "no free port";
  return 0;
}

BedsideProcess::BedsideProcess(const std::vector<std::string>& arguments,
                               const std::filesystem::path& working_folder) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0 || ::pipe2(err.data(), O_CLOEXEC) != 0) std::abort();
  std::vector<std::string> words{BEDSIDE_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) std::abort();
  if (pid_ == 0) {
    if (!working_folder.empty() && ::chdir(working_folder.c_str()) != 0) ::_exit(126);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  output_.fd = out[0];
  errors_.fd = err[0];
}

BedsideProcess::~BedsideProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (output_.fd >= 0) ::close(output_.fd);
  if (errors_.fd >= 0) ::close(errors_.fd);
}

bool BedsideProcess::read_some(Stream& stream, milliseconds patience) {
  pollfd descriptor{stream.fd, POLLIN, 0};
  if (::poll(&descriptor, 1, static_cast<int>(patience.count())) <= 0) return false;
  std::array<char, 4096> block{};
  const ssize_t got = ::read(stream.fd, block.data(), block.size());
  if (got <= 0) return false;
  stream.text.append(block.data(), static_cast<std::size_t>(got));
  return true;
}

bool BedsideProcess::read_until(Stream& stream, const std::string& text) {
  const auto deadline = steady_clock::now() + kProcessPatience;
  while (stream.text.find(text, stream.seen) == std::string::npos) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0 || !read_some(stream, left)) return false;
  }
  return true;
}

bool BedsideProcess::wait_for_next_errors(const std::string& text) {
  if (!read_until(errors_, text)) return false;
  errors_.seen = errors_.text.find(text, errors_.seen) + text.size();
  return true;
}

void BedsideProcess::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);  // -1, after its end, would mean everybody
}

Ended BedsideProcess::wait() {
  const auto deadline = steady_clock::now() + kProcessPatience;
  // Both pipes end with the process.
  bool open = true;
  while (open && steady_clock::now() < deadline) {
    std::array<pollfd, 2> descriptors{pollfd{output_.fd, POLLIN, 0}, pollfd{errors_.fd, POLLIN, 0}};
    ::poll(descriptors.data(), descriptors.size(), 1000);
    open = false;
    for (Stream* stream : {&output_, &errors_}) {
      pollfd descriptor{stream->fd, POLLIN, 0};
      const bool silent = ::poll(&descriptor, 1, 0) == 0;
      open = silent || read_some(*stream, milliseconds(0)) || open;
    }
  }
  if (open) signal(SIGKILL);
  int status = 0;
  Ended ended;
  if (pid_ > 0 && ::waitpid(pid_, &status, 0) == pid_) {
    if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  }
  pid_ = -1;
  ended.output = output_.text;
  ended.errors = errors_.text;
  return ended;
}

Ended run_bedside(const std::vector<std::string>& arguments,
                  const std::filesystem::path& working_folder) {
  return BedsideProcess(arguments, working_folder).wait();
}

TestServer::TestServer() { configure("", ""); }

void TestServer::configure(const std::string& first, const std::string& turn,
                           const std::string& https) {
  const auto on = [](std::uint16_t port) { return "\"127.0.0.1:" + std::to_string(port) + "\"\n"; };
  folder_.write("bedside.toml",
                "data_dir = \"data\"\n" + first + "[https]\nlisten = []\n" + https +
                    "[http]\nlisten = " + on(http_) + "[turn]\nlisten = " + on(turn_) +
                    "threads = 2\n" + turn + "[operator]\nlisten = " + on(operator_) +
                    "[signaling]\naccess = \"open\"\n",
                0600);
}

BedsideProcess& TestServer::start() {
  process_.emplace(std::vector<std::string>{"serve", "--config", config_file().string()});
  if (!process_->wait_for_output("Bedside is running")) {
    ADD_FAILURE() << "bedside does not start:\n" << process_->wait().errors;
  }
  return *process_;
}

Ended TestServer::stop(int signal) {
  process_->signal(signal);
  Ended ended = process_->wait();
  process_.reset();
  return ended;
}

}  // namespace bedside::server
