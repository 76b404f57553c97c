#include "server/net/udp_errors.h"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "server/net/socket_address.h"
#include "server/net/udp_socket.h"

namespace bedside::net {
namespace {

// The extended error is followed by the address of whoever sent the ICMP message.
constexpr std::size_t kErrorControlSize =
    CMSG_SPACE(sizeof(sock_extended_err) + sizeof(sockaddr_in6));

struct alignas(cmsghdr) ErrorControl {
  std::array<std::uint8_t, kErrorControlSize> bytes;
};

std::optional<sock_extended_err> extended_error(msghdr& header) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    const bool v4 = item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR;
    const bool v6 = item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_RECVERR;
    if (!v4 && !v6) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(item), sizeof error);
    return error;
  }
  return std::nullopt;
}

std::optional<UdpError> translate(const stun::Endpoint& to, const sock_extended_err& error) {
  if (error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6) {
    return UdpError{to, error.ee_type, error.ee_code, error.ee_info};
  }
  if (error.ee_origin != SO_EE_ORIGIN_LOCAL || error.ee_errno != EMSGSIZE) return std::nullopt;
  if (to.address.is_v4()) return UdpError{to, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, error.ee_info};
  return UdpError{to, ICMP6_PACKET_TOO_BIG, 0, error.ee_info};
}

}  // namespace

struct ErrorBatch::Slots {
  std::array<mmsghdr, kErrors> headers{};
  std::array<SocketAddress, kErrors> names{};
  std::array<ErrorControl, kErrors> controls{};
  std::array<UdpError, kErrors> errors{};
};

ErrorBatch::ErrorBatch() : slots_(std::make_unique<Slots>()) {}
ErrorBatch::~ErrorBatch() = default;

std::span<const UdpError> UdpSocket::take_errors(ErrorBatch& batch) {
  ErrorBatch::Slots& slots = *batch.slots_;
  for (std::size_t i = 0; i < ErrorBatch::kErrors; ++i) {
    msghdr& header = slots.headers[i].msg_hdr;
    header = {};  // without a buffer: the datagram itself is of no interest
    header.msg_name = &slots.names[i];
    header.msg_namelen = sizeof slots.names[i];
    header.msg_control = slots.controls[i].bytes.data();
    header.msg_controllen = kErrorControlSize;
  }
  const int taken = ::recvmmsg(fd_.get(), slots.headers.data(), ErrorBatch::kErrors,
                               MSG_ERRQUEUE | MSG_DONTWAIT, nullptr);
  std::size_t usable = 0;
  for (std::size_t i = 0; static_cast<int>(i) < taken; ++i) {
    msghdr& header = slots.headers[i].msg_hdr;
    const auto to = from_socket_address(slots.names[i], header.msg_namelen);
    const auto reported = extended_error(header);
    const auto error = to && reported ? translate(*to, *reported) : std::nullopt;
    if (error) slots.errors[usable++] = *error;
  }
  return {slots.errors.data(), usable};
}

}  // namespace bedside::net
