#include "tests/bench/turn_session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <utility>

namespace bedside::bench {
namespace {

sockaddr_in to_sockaddr(const stun::Endpoint& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  std::memcpy(&address.sin_addr, endpoint.address.bytes().data(), 4);
  return address;
}

const sockaddr* generic(const sockaddr_in* address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(address));
}

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

stun::TransactionId new_transaction() {
  stun::TransactionId id;
  if (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) fail("getrandom");
  return id;
}

std::string base64(stun::Bytes bytes) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? bytes[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kAlphabet[group >> (18 - 6 * j) & 0x3F] : '=';
    }
  }
  return text;
}

stun::Bytes bytes_of(const std::string& text) {
  return {static_cast<const std::uint8_t*>(static_cast<const void*>(text.data())), text.size()};
}

// Somewhere in 127.0.0.0/8, the same for a whole process. Some servers need a while to forget an
// allocation that was given back; the next process must not meet it on the same port.
const stun::IpAddress& client_address() {
  static const stun::IpAddress address = [] {
    const stun::TransactionId random = new_transaction();
    const auto some = [&](std::size_t i) { return static_cast<std::uint8_t>(1 + random[i] % 254); };
    return stun::IpAddress::v4(127, some(0), some(1), some(2));
  }();
  return address;
}

void add_nothing(stun::MessageWriter&, const stun::Endpoint&) {}

void add_channel(stun::MessageWriter& writer, const stun::Endpoint& peer) {
  writer.add_u32(stun::Attribute::channel_number, std::uint32_t{TurnSession::kChannel} << 16)
      .add_xor_address(stun::Attribute::xor_peer_address, peer);
}

}  // namespace

Login rest_login(const std::string& secret, std::string username) {
  stun::Sha1Digest digest{};
  if (!stun::hmac_sha1(bytes_of(secret), {bytes_of(username)}, digest)) {
    throw std::runtime_error("HMAC-SHA1 is not available");
  }
  return {std::move(username), base64(digest)};
}

LoopbackSocket::LoopbackSocket(const stun::IpAddress& address)
    : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  if (fd_ < 0) fail("socket");
  const sockaddr_in any = to_sockaddr({address, 0});
  if (bind(fd_, generic(&any), sizeof any) != 0) fail("bind");
  const int size = 1 << 21;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

LoopbackSocket::~LoopbackSocket() {
  if (fd_ >= 0) close(fd_);
}

LoopbackSocket::LoopbackSocket(LoopbackSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

stun::Endpoint LoopbackSocket::local() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (getsockname(fd_, static_cast<sockaddr*>(static_cast<void*>(&address)), &size) != 0) {
    fail("getsockname");
  }
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &address.sin_addr, bytes.size());
  return {stun::IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]), ntohs(address.sin_port)};
}

void LoopbackSocket::connect(const stun::Endpoint& to) const {
  const sockaddr_in address = to_sockaddr(to);
  if (::connect(fd_, generic(&address), sizeof address) != 0) fail("connect");
}

TurnSession::TurnSession(const stun::Endpoint& server, Login login)
    : TurnSession(server, std::move(login), client_address()) {}

TurnSession::TurnSession(const stun::Endpoint& server, Login login, const stun::IpAddress& from)
    : socket_(from), login_(std::move(login)) {
  socket_.connect(server);
}

std::vector<std::uint8_t> TurnSession::exchange(stun::Bytes request) {
  std::vector<std::uint8_t> reply(2048);
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (send(socket_.fd(), request.data(), request.size(), 0) < 0 && errno != ECONNREFUSED) {
      fail("send");
    }
    pollfd waiting{socket_.fd(), POLLIN, 0};
    while (poll(&waiting, 1, 500) > 0) {
      const ssize_t size = recv(socket_.fd(), reply.data(), reply.size(), 0);
      if (size <= 0) break;
      if ((reply[0] & 0xC0) != 0) continue;  // late ChannelData
      reply.resize(static_cast<std::size_t>(size));
      return reply;
    }
  }
  throw std::runtime_error("the server did not answer within 2 s");
}

std::vector<std::uint8_t> TurnSession::request(stun::Method method, Fill fill,
                                               const stun::Endpoint& peer) const {
  std::array<std::uint8_t, 1024> buffer{};
  stun::MessageWriter writer(buffer, stun::Class::request, method, new_transaction());
  fill(writer, peer);
  if (key_) {
    writer.add_text(stun::Attribute::username, login_.username)
        .add_text(stun::Attribute::realm, realm_)
        .add_text(stun::Attribute::nonce, nonce_)
        .add_integrity(key_->bytes());
  }
  const stun::Bytes bytes = writer.finish();
  return {bytes.begin(), bytes.end()};
}

void TurnSession::transact(stun::Method method, Fill fill, const stun::Endpoint& peer) {
  for (int round = 0; round < 3; ++round) {  // a 401 and perhaps a 438 come first
    const std::vector<std::uint8_t> reply = exchange(request(method, fill, peer));
    const auto message = stun::MessageView::parse(reply);
    if (!message) throw std::runtime_error("the server's reply is no STUN message");
    if (message->message_class() == stun::Class::success) {
      const auto relayed = message->xor_address(stun::Attribute::xor_relayed_address);
      if (relayed) relayed_ = relayed;
      return;
    }
    const auto error = message->error_code();
    const unsigned code = error ? error->code : 0;
    if (code != 401 && code != 438) {
      throw std::runtime_error("the server refused with " + std::to_string(code));
    }
    realm_ = std::string(message->text(stun::Attribute::realm).value_or(""));
    nonce_ = std::string(message->text(stun::Attribute::nonce).value_or(""));
    key_ = stun::LongTermKey::md5(login_.username, realm_, login_.password);
  }
  throw std::runtime_error("the server does not accept the credentials");
}

void TurnSession::probe() { transact(stun::Method::binding, add_nothing, {}); }

void TurnSession::allocate() {
  transact(stun::Method::allocate,
           [](stun::MessageWriter& writer, const stun::Endpoint&) {
             constexpr std::uint32_t kUdp = 17U << 24;
             writer.add_u32(stun::Attribute::requested_transport, kUdp);
           },
           {});
}

void TurnSession::release() {
  transact(stun::Method::refresh,
           [](stun::MessageWriter& writer, const stun::Endpoint&) {
             writer.add_u32(stun::Attribute::lifetime, 0);
           },
           {});
}

void TurnSession::bind_channel(const stun::Endpoint& peer) {
  transact(stun::Method::channel_bind, add_channel, peer);
}

void TurnSession::refresh() { transact(stun::Method::refresh, add_nothing, {}); }

void TurnSession::keep_alive(const stun::Endpoint& peer) {
  for (const auto& bytes : {request(stun::Method::refresh, add_nothing, {}),
                            request(stun::Method::channel_bind, add_channel, peer)}) {
    if (send(socket_.fd(), bytes.data(), bytes.size(), 0) < 0) fail("send");
  }
}

}  // namespace bedside::bench
