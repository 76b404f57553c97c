#include "server/net/tcp_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "server/net/socket_address.h"

namespace bedside::net {
namespace {

bool out_of_resources(int code) {
  return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

}  // namespace

void set_stream_options(int fd) {
  const auto set = [fd](int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

struct TcpListener::Opened {};

tl::expected<std::unique_ptr<TcpListener>, SocketError> TcpListener::open(
    const stun::Endpoint& endpoint, bool first) {
  auto fd = open_bound(endpoint, SOCK_STREAM, true, first);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  set_stream_options(fd->get());
  if (::listen(fd->get(), SOMAXCONN) != 0) {
    return tl::unexpected(describe_bind_error(errno, "tcp", endpoint));
  }
  const stun::Endpoint local = local_endpoint(fd->get());
  return std::make_unique<TcpListener>(Opened{}, std::move(*fd), local);
}

TcpListener::TcpListener(const Opened& /*opened*/, Fd fd, const stun::Endpoint& local)
    : fd_(std::move(fd)), local_(local) {}

void TcpListener::start(Loop& loop, OnAccept on_accept) {
  on_accept_ = std::move(on_accept);
  watch_ = std::make_unique<FdWatch>(loop, fd_.get(), FdWatch::Direction::read,
                                     [this] { on_readable(); });
  resume_ = std::make_unique<Timer>(loop, [this] { watch_->start(); });
  watch_->start();
}

void TcpListener::stop() {
  if (watch_) watch_->stop();
  if (resume_) resume_->cancel();
}

void TcpListener::on_readable() {
  // The callback may destroy the listener, and with it the function it is running in: it runs from
  // here and goes back only when the listener still lives.
  auto running = std::exchange(on_accept_, nullptr);
  const Lifeline::Watch alive(lifeline_);
  accept_some(running, alive);
  if (!alive.cut()) on_accept_ = std::move(running);
}

void TcpListener::accept_some(const OnAccept& on_accept, const Lifeline::Watch& alive) {
  constexpr int kBatch = 16;
  constexpr std::chrono::milliseconds kPause(100);
  for (int i = 0; i < kBatch && watch_->started(); ++i) {
    SocketAddress address{};
    socklen_t size = sizeof address;
    Fd fd(::accept4(fd_.get(), &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EAGAIN) return;
      if (!out_of_resources(errno)) continue;  // this connection failed already, the next may not
      watch_->stop();
      resume_->arm(kPause);
      return;
    }
    const auto peer = from_socket_address(address, size);
    if (!peer) continue;
    const bool wildcard = local_.address.is_unspecified();
    const stun::Endpoint local = wildcard ? local_endpoint(fd.get()) : local_;
    on_accept(AcceptedSocket{std::move(fd), *peer, local});
    if (alive.cut()) return;
  }
}

}  // namespace bedside::net
