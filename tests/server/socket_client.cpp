#include "tests/server/socket_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace bedside::tests {
namespace {

constexpr int kPatienceMs = 10'000;

net::Fd connect_to(std::uint16_t port, const std::string& from) {
  net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in local{};
  local.sin_family = AF_INET;
  ::inet_pton(AF_INET, from.c_str(), &local.sin_addr);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return {};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fd.reset();
  }
  const int on = 1;  // wslay writes a frame's head and body apart
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

struct SocketClient::Callbacks {
  static SocketClient& self(void* user) { return *static_cast<SocketClient*>(user); }

  static ssize_t receive(wslay_event_context_ptr context, std::uint8_t* into, std::size_t size, int,
                         void* user) {
    SocketClient& client = self(user);
    if (!client.early_.empty()) {
      const std::size_t taken = std::min(size, client.early_.size());
      std::copy_n(client.early_.data(), taken, into);
      client.early_.erase(0, taken);
      return static_cast<ssize_t>(taken);
    }
    const ssize_t got = ::recv(client.fd_.get(), into, size, MSG_DONTWAIT);
    if (got > 0) return got;
    const bool later = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    wslay_event_set_error(context, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
  }
  static ssize_t transmit(wslay_event_context_ptr context, const std::uint8_t* bytes,
                          std::size_t size, int, void* user) {
    const ssize_t sent = ::send(self(user).fd_.get(), bytes, size, MSG_NOSIGNAL);
    if (sent < 0) wslay_event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
    return sent;
  }
  static int mask(wslay_event_context_ptr, std::uint8_t* into, std::size_t size, void*) {
    std::fill_n(into, size, std::uint8_t{0x5a});
    return 0;
  }
  static void message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* arg, void* user) {
    SocketClient& client = self(user);
    if (arg->opcode == WSLAY_TEXT_FRAME) {
      client.inbox_.emplace_back(arg->msg, arg->msg + arg->msg_length);
    } else if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
      client.close_code_ = arg->status_code == 0 ? 1005 : arg->status_code;
    }
  }
};

void SocketClient::FreeContext::operator()(wslay_event_context* context) const {
  wslay_event_context_free(context);
}

SocketClient::SocketClient(std::uint16_t port, const std::string& path, const std::string& headers,
                           const std::string& from)
    : fd_(connect_to(port, from)) {
  wslay_event_callbacks callbacks{};
  callbacks.recv_callback = Callbacks::receive;
  callbacks.send_callback = Callbacks::transmit;
  callbacks.genmask_callback = Callbacks::mask;
  callbacks.on_msg_recv_callback = Callbacks::message;
  wslay_event_context_ptr context = nullptr;
  wslay_event_context_client_init(&context, &callbacks, this);
  context_.reset(context);
  shake_hands(path, port, headers);
}

SocketClient::~SocketClient() = default;

void SocketClient::shake_hands(const std::string& path, std::uint16_t port,
                               const std::string& headers) {
  const std::string request = "GET " + path +
                              " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                              "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                              headers + "\r\n";
  ::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  while (answer.find("\r\n\r\n") == std::string::npos && wait_readable()) {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  const std::size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos) return;
  status_ = std::stoi(answer.substr(9, 3));
  early_ = answer.substr(end + 4);
}

void SocketClient::send_text(std::string_view text) {
  const wslay_event_msg message{WSLAY_TEXT_FRAME,
                                reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  wslay_event_queue_msg(context_.get(), &message);
  flush();
}

void SocketClient::close() {
  wslay_event_queue_close(context_.get(), 1000, nullptr, 0);
  flush();
}

void SocketClient::flush() {
  while (wslay_event_want_write(context_.get()) != 0) {
    if (wslay_event_send(context_.get()) != 0) return;
  }
}

bool SocketClient::wait_readable() const {
  pollfd wait{fd_.get(), POLLIN, 0};
  return ::poll(&wait, 1, kPatienceMs) == 1;
}

bool SocketClient::turn() {
  if (!fd_ || close_code_ != 0 || wslay_event_want_read(context_.get()) == 0) return false;
  if (early_.empty() && !wait_readable()) return false;
  const bool open = wslay_event_recv(context_.get()) == 0;
  flush();  // pongs, and the answer to a close
  return open;
}

SocketClient::Json SocketClient::next() {
  while (inbox_.empty() && turn()) {
  }
  if (inbox_.empty()) return nullptr;
  const std::string text = std::move(inbox_.front());
  inbox_.pop_front();
  return Json::parse(text);
}

std::vector<SocketClient::Json> SocketClient::until(std::string_view type) {
  std::vector<Json> messages;
  while (true) {
    Json message = next();
    if (message.is_null()) return messages;
    messages.push_back(std::move(message));
    if (messages.back().value("type", "") == type) return messages;
  }
}

int SocketClient::close_code() {
  while (turn()) {
  }
  return close_code_;
}

}  // namespace bedside::tests
