#include "server/net/udp_batch.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "server/net/socket_address.h"

namespace bedside::net {
namespace {

constexpr std::size_t kSlotSize = kUdpHeadroom + kUdpPayload + kUdpTailroom;
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo));

struct alignas(cmsghdr) ControlBuffer {
  std::array<std::uint8_t, kControlSize> bytes;
};

// The local address a datagram was sent to, from its IP_PKTINFO.
void read_destination(const msghdr& header, stun::IpAddress& out) {
  // CMSG_NXTHDR wants a mutable header but changes nothing.
  msghdr copy = header;
  for (cmsghdr* item = CMSG_FIRSTHDR(&copy); item != nullptr; item = CMSG_NXTHDR(&copy, item)) {
    if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(item), sizeof info);
      out = from_in_addr(info.ipi_addr);
    } else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(item), sizeof info);
      out = from_in6_addr(info.ipi6_addr);
    }
  }
}

// Fills a control buffer that makes the kernel send from `source`; returns its length.
std::size_t write_source(const stun::IpAddress& source, ControlBuffer& control) {
  msghdr header{};
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  control.bytes.fill(0);
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  if (source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
    item->cmsg_level = IPPROTO_IP;
    item->cmsg_type = IP_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(item), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
  item->cmsg_level = IPPROTO_IPV6;
  item->cmsg_type = IPV6_PKTINFO;
  item->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(item), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

// IPv4 has no such option for a single datagram, so it is one of the socket for a moment. PROBE:
// what the kernel has heard of the path is ignored, because the client is the one who probes it.
bool forbid_fragments(int fd, bool v4, bool forbid) {
  static_assert(IP_PMTUDISC_PROBE == IPV6_PMTUDISC_PROBE);
  const int usual = v4 ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_WANT;
  const int wanted = forbid ? IP_PMTUDISC_PROBE : usual;
  return ::setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
                      &wanted, sizeof wanted) == 0;
}

}  // namespace

struct ReceiveBatch::Slots {
  std::size_t count = 0;
  std::vector<std::uint8_t> memory;
  std::array<mmsghdr, kUdpBatch> headers{};
  std::array<iovec, kUdpBatch> vectors{};
  std::array<SocketAddress, kUdpBatch> names{};
  std::array<ControlBuffer, kUdpBatch> controls{};
  std::array<Datagram, kUdpBatch> datagrams{};

  stun::MutableBytes slot(std::size_t i) { return {memory.data() + i * kSlotSize, kSlotSize}; }

  void prepare(bool wildcard) {
    for (std::size_t i = 0; i < count; ++i) {
      msghdr& header = headers[i].msg_hdr;
      header.msg_namelen = sizeof names[i];
      header.msg_control = wildcard ? controls[i].bytes.data() : nullptr;
      header.msg_controllen = wildcard ? kControlSize : 0;
      header.msg_flags = 0;
    }
  }
};

ReceiveBatch::ReceiveBatch(std::size_t slots) : slots_(std::make_unique<Slots>()) {
  assert(slots >= 1 && slots <= kUdpBatch);
  slots_->count = std::clamp<std::size_t>(slots, 1, kUdpBatch);
  slots_->memory.resize(slots_->count * kSlotSize);
  for (std::size_t i = 0; i < slots_->count; ++i) {
    slots_->vectors[i] = {slots_->slot(i).data() + kUdpHeadroom, kUdpPayload};
    msghdr& header = slots_->headers[i].msg_hdr;
    header.msg_iov = &slots_->vectors[i];
    header.msg_iovlen = 1;
    header.msg_name = &slots_->names[i];
  }
}

ReceiveBatch::~ReceiveBatch() = default;

std::size_t ReceiveBatch::slots() const { return slots_->count; }

std::span<Datagram> UdpSocket::receive(ReceiveBatch& batch) {
  ReceiveBatch::Slots& slots = *batch.slots_;
  int received = -1;
  // An error of an earlier send may be reported here instead of a datagram: once per error.
  for (int attempt = 0; attempt < 8 && received < 0; ++attempt) {
    slots.prepare(wildcard_);
    received = ::recvmmsg(fd_.get(), slots.headers.data(), static_cast<unsigned>(slots.count),
                          MSG_DONTWAIT, nullptr);
    if (received < 0 && (errno == EAGAIN || errno == EBADF || errno == ENOTSOCK)) return {};
  }
  std::size_t usable = 0;
  for (std::size_t i = 0; static_cast<int>(i) < received; ++i) {
    const msghdr& header = slots.headers[i].msg_hdr;
    if ((header.msg_flags & MSG_TRUNC) != 0) {
      ++batch.dropped_truncated_;
      continue;
    }
    const auto from = from_socket_address(slots.names[i], header.msg_namelen);
    if (!from || from->port == 0) {
      ++batch.dropped_unusable_;
      continue;
    }
    Datagram& datagram = slots.datagrams[usable++];
    datagram.from = *from;
    datagram.to = local_;
    if (wildcard_) read_destination(header, datagram.to.address);
    datagram.buffer = slots.slot(i);
    datagram.offset = kUdpHeadroom;
    datagram.size = slots.headers[i].msg_len;
  }
  return {slots.datagrams.data(), usable};
}

struct SendBatch::Slots {
  struct Entry {
    int fd = -1;
    SocketAddress to{};
    socklen_t to_size = 0;
    iovec payload{};
    ControlBuffer control{};
    std::size_t control_size = 0;
    Fragments fragments = Fragments::allowed;
  };
  static constexpr std::size_t kCopySpace = std::size_t{32} * 1024;

  std::size_t count = 0;
  std::size_t copied = 0;
  std::array<Entry, kUdpBatch> entries;
  std::array<mmsghdr, kUdpBatch> run;
  std::array<std::uint8_t, kCopySpace> copies;
};

SendBatch::SendBatch() : slots_(std::make_unique<Slots>()) {}
SendBatch::~SendBatch() = default;

bool SendBatch::empty() const { return slots_->count == 0; }

void SendBatch::add(const UdpSocket& socket, const stun::Endpoint& to, stun::Bytes payload,
                    const stun::IpAddress* source, Fragments fragments) {
  if (slots_->count == kUdpBatch) flush();
  Slots::Entry& entry = slots_->entries[slots_->count++];
  entry.fd = socket.fd();
  entry.to_size = to_socket_address(to, entry.to);
  // sendmmsg reads only; iovec serves readv too and so has no const.
  entry.payload = {const_cast<std::uint8_t*>(payload.data()), payload.size()};
  entry.control_size = 0;
  entry.fragments = fragments;
  if (source != nullptr && socket.wildcard() && !source->is_unspecified()) {
    entry.control_size = write_source(*source, entry.control);
  }
}

void SendBatch::add_copy(const UdpSocket& socket, const stun::Endpoint& to, stun::Bytes payload,
                         const stun::IpAddress* source, Fragments fragments) {
  if (payload.size() > kUdpPayload + kUdpHeadroom) {
    ++counters_.dropped_error;
    return;
  }
  if (slots_->count == kUdpBatch || slots_->copied + payload.size() > Slots::kCopySpace) flush();
  std::uint8_t* copy = slots_->copies.data() + slots_->copied;
  std::copy(payload.begin(), payload.end(), copy);
  slots_->copied += payload.size();
  add(socket, to, {copy, payload.size()}, source, fragments);
}

void SendBatch::flush() {
  constexpr int kSent = -1;
  for (std::size_t i = 0; i < slots_->count; ++i) {
    const int fd = slots_->entries[i].fd;
    if (fd == kSent) continue;
    const Fragments fragments = slots_->entries[i].fragments;
    const bool v4 = slots_->entries[i].to.any.sa_family == AF_INET;
    std::size_t run = 0;
    for (std::size_t j = i; j < slots_->count; ++j) {
      Slots::Entry& entry = slots_->entries[j];
      if (entry.fd != fd) continue;
      if (entry.fragments != fragments) break;  // the next run, so that the order is kept
      entry.fd = kSent;
      msghdr& header = slots_->run[run++].msg_hdr;
      header.msg_name = &entry.to;
      header.msg_namelen = entry.to_size;
      header.msg_iov = &entry.payload;
      header.msg_iovlen = 1;
      header.msg_control = entry.control_size > 0 ? entry.control.bytes.data() : nullptr;
      header.msg_controllen = entry.control_size;
      header.msg_flags = 0;
    }
    if (fragments == Fragments::allowed) {
      send_run(fd, run);
    } else if (forbid_fragments(fd, v4, true)) {
      send_run(fd, run);
      forbid_fragments(fd, v4, false);
    } else {
      counters_.dropped_error += run;
    }
  }
  slots_->count = 0;
  slots_->copied = 0;
}

void SendBatch::send_run(int fd, std::size_t count) {
  std::size_t done = 0;
  std::size_t retried = count;
  while (done < count) {
    const int sent = ::sendmmsg(fd, slots_->run.data() + done, static_cast<unsigned>(count - done),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      counters_.sent += static_cast<std::uint64_t>(sent);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      counters_.dropped_would_block += count - done;  // the others would not fit either
      return;
    } else if (errno != EINTR) {
      // Where ICMP errors are kept, one about an earlier datagram is reported here, once. Otherwise
      // the first one is at fault, and the rest may go.
      if (std::exchange(retried, done) != done) continue;
      ++counters_.dropped_error;
      ++done;
    }
  }
}

}  // namespace bedside::net
