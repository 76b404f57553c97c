// Thousands of clients who hold connections and hardly move: what a slow attack looks like.
//
//   slow_crowd --port HTTPS-PORT --connections 10000 --sources 500 --seconds 60 --kinds head,idle
//
// Of the kinds named, all of them by default, in equal parts (more of one that is named twice);
// each comes back when the server has closed it:
//   handshake  begins a TLS handshake and goes on a byte at a time
//   head       sends an endless HTTP head, a byte a second
//   socket     opens a WebSocket and never says a word, nor answers a ping
//   poll       joins a room of open access and parks one long poll after the other
//   unread     asks for many pages and never reads one
//   idle       asks once, reads the answer and keeps the connection alive
// Clients are spread over the addresses 127.20.0.1 and following. Prints a line of JSON every two
// seconds: how many of each kind are connected as far as this side can tell, and how many were
// closed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

enum Kind : std::uint8_t { handshake, head, socket_kind, poll_kind, unread, idle_kind, kKinds };
constexpr std::array<std::string_view, kKinds> kNames{"handshake", "head",   "socket",
                                                      "poll",      "unread", "idle"};

constexpr double kConnectsPerSecond = 800;
// Who has begun is let through first: on a busy machine more would push each other out at the door,
// and none would ever hold a connection.
constexpr double kMostArriving = 400;
constexpr seconds kUnreadPatience{35};  // its end is not visible from here: the window is closed
constexpr std::size_t kRoomSize = 8;

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 10'000;
  std::size_t sources = 500;
  int seconds = 60;
  std::vector<Kind> kinds;
};

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

const sockaddr* generic(const sockaddr_in* address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(address));
}

sockaddr_in loopback(std::uint32_t address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(address);
  return result;
}

// The value of a string member of flat JSON.
std::string member(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":\"";
  const std::size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + key.size();
  return std::string(json.substr(begin, json.find('"', begin) - begin));
}

std::string number(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const std::size_t at = json.find(key);
  if (at == std::string_view::npos) return "0";
  const std::size_t begin = at + key.size();
  return std::string(json.substr(begin, json.find_first_not_of("0123456789", begin) - begin));
}

// A ClientHello's record header and the beginning of its body: more is awaited.
constexpr std::string_view kHalfHello{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11};

class Client {
 public:
  // `of_kind`: how many of its kind there were before.
  Client(Kind kind, std::size_t of_kind, std::size_t number, const Options& options)
      : kind_(kind),
        room_(of_kind / kRoomSize),
        port_(options.port),
        source_(0x7F140001U + static_cast<std::uint32_t>(number % options.sources)) {}
  ~Client() { close_now(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Kind kind() const { return kind_; }
  bool connected() const { return stage_ == Stage::holding; }
  bool arriving() const { return stage_ == Stage::connecting || stage_ == Stage::handshaking; }
  // The kernel on the other side has it, so the server has or will.
  bool open() const { return stage_ == Stage::handshaking || stage_ == Stage::holding; }

  void connect(int poller, SSL_CTX* context, Clock::time_point now) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
    const int one = 1;
    setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (kind_ == unread) {
      const int small = 4096;
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    const sockaddr_in from = loopback(source_, 0);
    const sockaddr_in to = loopback(INADDR_LOOPBACK, port_);
    if (bind(fd_, generic(&from), sizeof from) != 0) {
      throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    }
    ::connect(fd_, generic(&to), sizeof to);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = this;
    epoll_ctl(poller, EPOLL_CTL_ADD, fd_, &event);
    if (kind_ != handshake) {
      ssl_.reset(SSL_new(context));
      SSL_set_fd(ssl_.get(), fd_);
      SSL_set_connect_state(ssl_.get());
    }
    stage_ = Stage::connecting;
    since_ = next_ = now;
  }

  // False: the server has closed it.
  bool on_event(std::uint32_t events, Clock::time_point now) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return false;
    if (stage_ == Stage::connecting) {
      if ((events & EPOLLOUT) == 0) return true;
      if (kind_ == handshake) return hold(kHalfHello, now);
      stage_ = Stage::handshaking;
    }
    if (stage_ == Stage::handshaking) {
      const int done = SSL_do_handshake(ssl_.get());
      if (done != 1) return wants_more(done);
      return begin(now);
    }
    if (kind_ == unread) return true;
    return read(now);
  }

  // The slow part: called now and then. False: it is over.
  bool tend(Clock::time_point now) {
    if (stage_ != Stage::holding || now < next_) return true;
    if (kind_ == handshake) {
      next_ = now + seconds(2);
      return write(std::string_view("\0", 1));
    }
    if (kind_ == head) {
      next_ = now + seconds(1);
      return write("a");
    }
    return kind_ != unread || now - since_ < kUnreadPatience;
  }

  void close_now() {
    ssl_.reset();
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    stage_ = Stage::closed;
    input_.clear();
  }

 private:
  enum class Stage : std::uint8_t { closed, connecting, handshaking, holding };

  bool wants_more(int result) const {
    const int error = SSL_get_error(ssl_.get(), result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  bool write(std::string_view bytes) {
    if (!ssl_) return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0;
    const int size = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    return size > 0 || wants_more(size);
  }

  bool hold(std::string_view first, Clock::time_point now) {
    stage_ = Stage::holding;
    since_ = next_ = now;
    return write(first);
  }

  bool begin(Clock::time_point now) {
    static const std::string kHost = "Host: localhost\r\n";
    if (kind_ == head) return hold("GET / HTTP/1.1\r\n" + kHost + "X-Slow: ", now);
    if (kind_ == socket_kind) {
      return hold("GET /api/webrtc-ws HTTP/1.1\r\n" + kHost +
                      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                  now);
    }
    if (kind_ == unread) {
      std::string pages;
      for (int i = 0; i < 20; ++i)
        pages += "GET /telehealth-webrtc.html HTTP/1.1\r\n" + kHost + "\r\n";
      return hold(pages, now);
    }
    if (kind_ == idle_kind) return hold("GET /nothing HTTP/1.1\r\n" + kHost + "\r\n", now);
    stage_ = Stage::holding;
    return token_.empty()
               ? post(R"({"action":"create-room","appointmentId":1,"roomName":")" + room() + "\"}")
               : poll();
  }

  // Not one of a crowd before, in which people may still have their places.
  std::string room() const {
    return "crowd-" + std::to_string(::getpid()) + "-" + std::to_string(room_);
  }

  bool post(const std::string& body) {
    return write(
        "POST /api/webrtc-signaling HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\n"
        "Content-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  bool join() {
    return post(R"({"action":"join-room","participantName":"Crowd","roomId":")" + room() + "\"}");
  }
  bool poll() {
    return post(R"({"action":"poll","wait":25,"after":)" + after_ + R"(,"roomId":")" + room() +
                R"(","participantId":")" + participant_ + R"(","token":")" + token_ + "\"}");
  }

  bool read(Clock::time_point now) {
    std::array<char, 4096> buffer;
    for (;;) {
      const auto size = ssl_ ? SSL_read(ssl_.get(), buffer.data(), buffer.size())
                             : static_cast<int>(recv(fd_, buffer.data(), buffer.size(), 0));
      if (size <= 0) {
        if (!ssl_) return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        return wants_more(size);
      }
      if (kind_ == poll_kind) input_.append(buffer.data(), static_cast<std::size_t>(size));
      if (kind_ == poll_kind && !take_answer(now)) return false;
    }
  }

  // A whole answer leads to the next request.
  bool take_answer(Clock::time_point /*now*/) {
    const std::size_t end = input_.find("\r\n\r\n");
    if (end == std::string::npos) return true;
    const std::size_t at = input_.find("Content-Length: ");
    if (at > end) return false;
    const std::size_t size = end + 4 + std::stoul(input_.substr(at + 16));
    if (input_.size() < size) return true;
    const std::string answer = input_.substr(0, size);
    input_.erase(0, size);
    if (answer.find(" 200 ") != 8) return false;
    if (!token_.empty()) {
      after_ = number(answer, "next");
      return poll();
    }
    token_ = member(answer, "participantToken");
    participant_ = member(answer, "participantId");
    return token_.empty() ? join() : poll();
  }

  const Kind kind_;
  const std::size_t room_;
  const std::uint16_t port_;
  const std::uint32_t source_;
  int fd_ = -1;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  Stage stage_ = Stage::closed;
  Clock::time_point since_{};
  Clock::time_point next_{};
  std::string input_;
  std::string participant_;
  std::string token_;
  std::string after_ = "0";
};

class Crowd {
 public:
  explicit Crowd(const Options& options)
      : options_(options),
        context_(SSL_CTX_new(TLS_client_method())),
        poller_(epoll_create1(EPOLL_CLOEXEC)) {
    SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    std::array<std::size_t, kKinds> before{};
    for (std::size_t i = 0; i < options_.connections; ++i) {
      const Kind kind = options_.kinds[i % options_.kinds.size()];
      clients_.push_back(std::make_unique<Client>(kind, before[kind]++, i, options_));
      waiting_.push_back(clients_.back().get());
    }
  }
  ~Crowd() { close(poller_); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  void run() {
    const auto start = Clock::now();
    auto tended = start;
    auto reported = start;
    double connects = 0;
    for (auto now = start; now - start < seconds(options_.seconds); now = Clock::now()) {
      std::array<epoll_event, 512> events{};
      const int ready = epoll_wait(poller_, events.data(), events.size(), 10);
      for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        Client& client = *static_cast<Client*>(event.data.ptr);
        if (!client.on_event(event.events, now)) give_up(client);
      }
      if (now - tended >= milliseconds(100)) {
        connects += kConnectsPerSecond * std::chrono::duration<double>(now - tended).count();
        tended = now;
        connects = std::min(connects, kConnectsPerSecond / 4);
        connects = std::min(connects, kMostArriving - arriving());
        for (const auto& client : clients_) {
          if (!client->tend(now)) give_up(*client);
        }
      }
      for (; connects >= 1 && !waiting_.empty(); connects -= 1) {
        waiting_.front()->connect(poller_, context_.get(), now);
        ++opened_;
        waiting_.pop_front();
      }
      if (now - reported >= seconds(2)) {
        reported = now;
        report(std::chrono::duration<double>(now - start).count());
      }
    }
  }

 private:
  void give_up(Client& client) {
    ++closed_[client.kind()];
    client.close_now();
    waiting_.push_back(&client);
  }

  double arriving() const {
    return static_cast<double>(std::count_if(
        clients_.begin(), clients_.end(), [](const auto& client) { return client->arriving(); }));
  }

  void report(double at) const {
    std::array<std::size_t, kKinds> held{};
    std::size_t all = 0;
    std::size_t open = 0;  // and those that shake hands, which hold a connection of the server too
    for (const auto& client : clients_) {
      if (client->open()) ++open;
      if (!client->connected()) continue;
      ++held[client->kind()];
      ++all;
    }
    std::printf(R"({"at":%.0f,"held":%zu,"open":%zu,"opened":%zu)", at, all, open, opened_);
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const std::string name(kNames[kind]);
      std::printf(R"(,"%s":%zu,"%s_closed":%zu)", name.c_str(), held[kind], name.c_str(),
                  closed_[kind]);
    }
    std::printf("}\n");
    std::fflush(stdout);
  }

  const Options options_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  const int poller_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::deque<Client*> waiting_;  // not connected
  std::size_t opened_ = 0;
  std::array<std::size_t, kKinds> closed_{};
};

// Names with commas between.
std::vector<Kind> kinds_of(std::string_view names) {
  std::vector<Kind> kinds;
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) throw std::runtime_error("there is no kind " + std::string(name));
    kinds.push_back(static_cast<Kind>(found - kNames.begin()));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
  }
  return kinds;
}

Options parse(int argc, char** argv) {
  Options options;
  options.kinds = kinds_of("handshake,head,socket,poll,unread,idle");
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--kinds") {
      options.kinds = kinds_of(argv[i + 1]);
      continue;
    }
    const int value = std::stoi(argv[i + 1]);
    if (name == "--port") options.port = static_cast<std::uint16_t>(value);
    if (name == "--connections") options.connections = static_cast<std::size_t>(value);
    if (name == "--sources") options.sources = static_cast<std::size_t>(value);
    if (name == "--seconds") options.seconds = value;
  }
  if (options.port == 0 || options.sources == 0 || options.kinds.empty()) {
    throw std::runtime_error(
        "usage: slow_crowd --port PORT [--connections N] [--sources N] [--seconds S] [--kinds "
        "K,K]");
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    Crowd(options).run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "slow_crowd: %s\n", error.what());
    return 2;
  }
}
