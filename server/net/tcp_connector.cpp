#include "server/net/tcp_connector.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "server/net/socket_address.h"

namespace bedside::net {

TcpConnector::TcpConnector(Loop& loop, const stun::Endpoint& local, const stun::Endpoint& peer,
                           OnDone on_done)
    : peer_(peer), on_done_(std::move(on_done)), soon_(loop, [this] { report(); }) {
  begin(loop, local);
}

void TcpConnector::begin(Loop& loop, const stun::Endpoint& local) {
  auto bound = open_bound(local, SOCK_STREAM, true, false);
  if (!bound) return fail(bound.error().code, false);
  fd_ = std::move(*bound);
  set_stream_options(fd_.get());
  SocketAddress address{};
  const socklen_t size = to_socket_address(peer_, address);
  if (::connect(fd_.get(), &address.any, size) != 0 && errno != EINPROGRESS) {
    return fail(errno, true);
  }
  watch_ =
      std::make_unique<FdWatch>(loop, fd_.get(), FdWatch::Direction::write, [this] { finish(); });
  watch_->start();
}

void TcpConnector::finish() {
  watch_->stop();
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code != 0) return fail(code, true);
  report();
}

// Before connect() these two mean that the local address is gone or not ours to share.
void TcpConnector::fail(int code, bool connecting) {
  if (connecting && (code == EADDRNOTAVAIL || code == EADDRINUSE)) error_ = ConnectError::exists;
  fd_.reset();
  soon_.arm(MonoTime(0));
}

void TcpConnector::report() {
  const OnDone on_done = std::move(on_done_);
  if (!fd_) return on_done(tl::make_unexpected(error_));
  const stun::Endpoint local = local_endpoint(fd_.get());
  on_done(AcceptedSocket{std::move(fd_), peer_, local});
}

}  // namespace bedside::net
