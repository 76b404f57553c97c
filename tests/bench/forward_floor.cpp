// What no program on this machine gets below: it receives WebSocket frames and sends each one on to
// the other person of its room, one read and one write for what has come, and does nothing else. It
// knows no limits, checks nothing, stores nothing and reads no JSON after the join. A yardstick for
// signaling_cost, and no server.
//
//   forward_floor [CERTIFICATE KEY]     prints its port; ends with SIGTERM
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

std::string frame(std::string_view text) {
  std::string result(1, '\x81');
  if (text.size() < 126) {
    result += static_cast<char>(text.size());
  } else {
    result += '\x7e';
    result += static_cast<char>(text.size() >> 8);
    result += static_cast<char>(text.size() & 0xff);
  }
  return result.append(text);
}

// RFC 6455 section 4.2.2.
std::string accept_key(std::string_view head) {
  constexpr std::string_view kField = "Sec-WebSocket-Key: ";
  const std::string key = std::string(head.substr(head.find(kField) + kField.size(), 24)) +
                          "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(key.data(), key.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> text{};
  const int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
  return {text.begin(), text.begin() + length};
}

// Of {"type":"join","roomId":"…"; the bench's client writes no space.
std::string room_of(std::string_view join) {
  constexpr std::string_view kMember = "\"roomId\":\"";
  const std::size_t begin = join.find(kMember) + kMember.size();
  return std::string(join.substr(begin, join.find('"', begin) - begin));
}

class Floor {
 public:
  Floor(const char* certificate, const char* key) : epoll_(::epoll_create1(0)) {
    if (certificate != nullptr) {
      context_.reset(SSL_CTX_new(TLS_server_method()));
      SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS);
      SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
      SSL_CTX_set_read_ahead(context_.get(), 1);
      if (SSL_CTX_use_certificate_chain_file(context_.get(), certificate) != 1 ||
          SSL_CTX_use_PrivateKey_file(context_.get(), key, SSL_FILETYPE_PEM) != 1) {
        throw std::runtime_error("the certificate or its key cannot be used");
      }
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, SOMAXCONN) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port of loopback can be had");
    }
    watch(listener_);
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> ready{};
    for (;;) {
      const int count = ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = ready.at(static_cast<std::size_t>(i)).data.fd;
        if (fd == listener_) {
          accept_all();
        } else if (!serve(fd, clients_[fd])) {
          clients_.erase(fd);
          ::close(fd);
        }
      }
    }
  }

 private:
  struct Client {
    std::unique_ptr<SSL, FreeSsl> ssl;
    bool upgraded = false;
    int partner = -1;
  };

  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void accept_all() {
    for (int fd = 0; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      Client& client = clients_[fd] = {};
      if (context_) {
        client.ssl.reset(SSL_new(context_.get()));
        SSL_set_fd(client.ssl.get(), fd);
        SSL_set_accept_state(client.ssl.get());
      }
      watch(fd);
    }
  }

  // False: the client is gone.
  bool serve(int fd, Client& client) {
    SSL* const ssl = client.ssl.get();
    if (ssl == nullptr) {
      const auto got = ::recv(fd, buffer_.data(), buffer_.size(), 0);
      if (got > 0) take(fd, client, static_cast<std::size_t>(got));
      return got > 0;
    }
    if (SSL_is_init_finished(ssl) == 0 && SSL_do_handshake(ssl) != 1) return true;
    for (;;) {
      const int got = SSL_read(ssl, buffer_.data(), static_cast<int>(buffer_.size()));
      if (got <= 0) return SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;
      take(fd, client, static_cast<std::size_t>(got));
      if (SSL_has_pending(ssl) == 0) return true;
    }
  }

  void take(int fd, Client& client, std::size_t size) {
    const std::span<char> bytes(buffer_.data(), size);
    if (client.upgraded) {
      forward(fd, client, bytes);
      return;
    }
    client.upgraded = true;
    send(fd,
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: " +
             accept_key({bytes.data(), bytes.size()}) + "\r\n\r\n");
  }

  // The bench's client sends frames of less than 64 KiB, and a read takes whole ones.
  void forward(int fd, Client& client, std::span<char> bytes) {
    std::string out;
    while (bytes.size() >= 6) {
      const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
      const bool extended = (byte(1) & 0x7f) == 126;
      const std::size_t size = extended ? std::size_t{byte(2)} << 8 | byte(3) : byte(1) & 0x7fU;
      const std::span<char> mask = bytes.subspan(extended ? 4 : 2, 4);
      const std::span<char> text = bytes.subspan(extended ? 8 : 6, size);
      for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(text[i] ^ mask[i & 3]);
      if (client.partner < 0 && byte(0) == 0x81) {
        join(fd, client, room_of({text.data(), size}));
      } else if (byte(0) == 0x81) {
        out += frame({text.data(), size});
      }
      bytes = bytes.subspan((extended ? 8 : 6) + size);
    }
    if (!out.empty()) send(client.partner, out);
  }

  void join(int fd, Client& client, const std::string& room) {
    if (const auto first = waiting_.find(room); first == waiting_.end()) {
      waiting_.emplace(room, fd);
    } else {
      client.partner = first->second;
      clients_[first->second].partner = fd;
      waiting_.erase(first);
    }
    send(fd, frame(R"({"type":"existing-peers"})"));
  }

  void send(int fd, std::string_view bytes) {
    const auto found = clients_.find(fd);
    if (found == clients_.end()) return;
    if (SSL* ssl = found->second.ssl.get(); ssl != nullptr) {
      SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()));
    } else {
      ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }

  int epoll_;
  int listener_ = -1;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unordered_map<int, Client> clients_;
  std::map<std::string, int> waiting_;  // room → who came first
  std::array<char, 16384> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Floor(argc == 3 ? argv[1] : nullptr, argc == 3 ? argv[2] : nullptr).run();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "forward_floor: %s\n", problem.what());
    return 1;
  }
}
