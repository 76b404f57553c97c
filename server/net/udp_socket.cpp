#include "server/net/udp_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "server/net/socket_address.h"

namespace bedside::net {
namespace {

void set_buffer(int fd, int forced, int ordinary, int bytes) {
  if (bytes <= 0) return;
  // The FORCE forms need CAP_NET_ADMIN; without it the system's limit is what we get. Either is
  // fine: the buffers only decide how long a burst may be.
  if (::setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) == 0) return;
  ::setsockopt(fd, SOL_SOCKET, ordinary, &bytes, sizeof bytes);
}

// DF is never set unless a datagram asks for it (RFC 8656 §14). IP_PMTUDISC_OMIT instead of DONT:
// with DONT the kernel would keep "fragmentation needed" to itself. IPv6 has no DF bit, its default
// fragments here and hears "packet too big".
void prepare_for_peers(int fd, bool v4) {
  const int on = 1;
  ::setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
  if (!v4) return;
  const int omit = IP_PMTUDISC_OMIT;
  ::setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
}

}  // namespace

tl::expected<UdpSocket, SocketError> UdpSocket::bind(const stun::Endpoint& endpoint,
                                                     const UdpOptions& options) {
  auto fd = open_bound(endpoint, SOCK_DGRAM, options.reuse_port, options.first);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  set_buffer(fd->get(), SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer);
  set_buffer(fd->get(), SO_SNDBUFFORCE, SO_SNDBUF, options.send_buffer);
  const bool wildcard = endpoint.address.is_unspecified();
  if (wildcard) {
    const int on = 1;
    const bool v4 = endpoint.address.is_v4();
    ::setsockopt(fd->get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on,
                 sizeof on);
  }
  if (options.faces_peers) prepare_for_peers(fd->get(), endpoint.address.is_v4());
  const stun::Endpoint local = local_endpoint(fd->get());
  return UdpSocket(std::move(*fd), local, wildcard);
}

void UdpSocket::watch(Loop& loop, std::function<void()> on_readable) {
  watch_ =
      std::make_unique<FdWatch>(loop, fd_.get(), FdWatch::Direction::read, std::move(on_readable));
  watch_->start();
}

}  // namespace bedside::net
