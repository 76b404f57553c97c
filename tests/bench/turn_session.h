// One client of a TURN server, just complete enough to put load on any server: a blocking set-up
// (Allocate, CreatePermission, ChannelBind) over UDP, then raw ChannelData.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stun/endpoint.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/message_writer.h"

namespace bedside::bench {

struct Login {
  std::string username;
  std::string password;
};

// Password of a short-lived user name: base64(HMAC-SHA1(secret, username)).
Login rest_login(const std::string& secret, std::string username);

// A UDP socket on a loopback address that closes itself.
class LoopbackSocket {
 public:
  explicit LoopbackSocket(const stun::IpAddress& address = stun::IpAddress::v4(127, 0, 0, 1));
  ~LoopbackSocket();
  LoopbackSocket(LoopbackSocket&& other) noexcept;
  LoopbackSocket(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(LoopbackSocket&&) = delete;

  int fd() const { return fd_; }
  stun::Endpoint local() const;
  void connect(const stun::Endpoint& to) const;

 private:
  int fd_;
};

class TurnSession {
 public:
  static constexpr std::uint16_t kChannel = 0x4001;
  static constexpr std::size_t kChannelHeader = 4;

  TurnSession(const stun::Endpoint& server, Login login);
  // From a loopback address of the caller's choice: servers count allocations by address.
  TurnSession(const stun::Endpoint& server, Login login, const stun::IpAddress& from);

  // Asks with a Binding request whether a server is there. Throws as the others do.
  void probe();
  // Each throws std::runtime_error with the server's error when it does not succeed in 2 s.
  void allocate();
  void bind_channel(const stun::Endpoint& peer);
  void refresh();
  // Sends what keeps allocation, permission and channel alive, without waiting for the answers:
  // they come among the packets.
  void keep_alive(const stun::Endpoint& peer);
  // Gives the allocation back, so that the next socket on this port does not meet it.
  void release();

  const LoopbackSocket& socket() const { return socket_; }
  // The relayed transport address of the last allocate().
  const std::optional<stun::Endpoint>& relayed() const { return relayed_; }

 private:
  using Fill = void (*)(stun::MessageWriter&, const stun::Endpoint& peer);
  void transact(stun::Method method, Fill fill, const stun::Endpoint& peer);
  std::vector<std::uint8_t> request(stun::Method method, Fill fill,
                                    const stun::Endpoint& peer) const;
  std::vector<std::uint8_t> exchange(stun::Bytes request);

  LoopbackSocket socket_;
  Login login_;
  std::string realm_;
  std::string nonce_;
  std::optional<stun::LongTermKey> key_;
  std::optional<stun::Endpoint> relayed_;
};

}  // namespace bedside::bench
