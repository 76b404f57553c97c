// The client side of TCP tests.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/net/fd.h"
#include "server/net/tls.h"
#include "stun/endpoint.h"

namespace bedside::tests {

// The other end of a TCP connection to 127.0.0.1, plain or TLS, that never blocks: call pump() in
// the condition of Loop::run_until.
class LoopbackClient {
 public:
  // `from`: the loopback address to come from.
  explicit LoopbackClient(const stun::Endpoint& server, int receive_buffer = 0,
                          const std::string& from = {})
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (!from.empty()) {
      ::inet_pton(AF_INET, from.c_str(), &address.sin_addr);
      ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    address.sin_port = htons(server.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Completes in the kernel: the listener's backlog takes it without the server's doing.
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  // One that somebody has accepted.
  explicit LoopbackClient(net::Fd accepted) : fd_(std::move(accepted)), connected_(true) {}

  bool connected() const { return connected_; }
  int fd() const { return fd_.get(); }

  // `only_version`: TLS1_1_VERSION …; 0 offers what the library offers.
  void start_tls(std::vector<unsigned char> alpn = {}, SSL_SESSION* resume = nullptr,
                 int only_version = 0) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (only_version != 0) {
      SSL_CTX_set_security_level(context_.get(), 0);
      SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
      SSL_CTX_set_min_proto_version(context_.get(), only_version);
      SSL_CTX_set_max_proto_version(context_.get(), only_version);
    }
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    SSL_set_connect_state(ssl_.get());
    if (!alpn.empty()) {
      SSL_set_alpn_protos(ssl_.get(), alpn.data(), static_cast<unsigned>(alpn.size()));
    }
    if (resume != nullptr) SSL_set_session(ssl_.get(), resume);
    set_nonblocking();
  }
  SSL* ssl() { return ssl_.get(); }
  // In DER, after the handshake.
  std::string server_certificate() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        SSL_get1_peer_certificate(ssl_.get()), &X509_free);
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    std::string copy(der, der + std::max(size, 0));
    OPENSSL_free(der);
    return copy;
  }

  void send(std::string_view text) {
    unsent_ += text;
    pump();
  }
  void send_fin() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

  // Moves what can be moved; returns itself for conditions.
  LoopbackClient& pump() {
    if (!fd_) return *this;
    while (!unsent_.empty()) {
      const long sent = write_some();
      if (sent <= 0) break;
      unsent_.erase(0, static_cast<std::size_t>(sent));
    }
    std::array<char, 65536> buffer{};
    while (reading_ && !ended_) {
      const long got = read_some(buffer.data(), buffer.size());
      if (got <= 0) break;
      received_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return *this;
  }
  void stop_reading() { reading_ = false; }
  void start_reading() { reading_ = true; }

  const std::string& received() const { return received_; }
  std::string take_received() { return std::exchange(received_, {}); }
  bool has(std::string_view text) { return pump().received_.find(text) != std::string::npos; }
  bool ended() { return pump().ended_; }  // FIN, close_notify or reset has come
  bool handshake_done() {
    pump();
    return handshake_done_;
  }

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  void set_nonblocking() { ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) | O_NONBLOCK); }
  long write_some() {
    if (!ssl_)
      return ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ERR_clear_error();
    return SSL_write(ssl_.get(), unsent_.data(), static_cast<int>(unsent_.size()));
  }
  long read_some(char* into, std::size_t size) {
    if (!ssl_) {
      const long got = ::recv(fd_.get(), into, size, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN)) ended_ = true;
      return got;
    }
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), into, static_cast<int>(size));
    const int error = SSL_get_error(ssl_.get(), got);
    // OpenSSL forgets it when the connection breaks later.
    if (SSL_is_init_finished(ssl_.get()) == 1) handshake_done_ = true;
    if (got <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) ended_ = true;
    return got;
  }

  net::Fd fd_;
  bool connected_ = false;
  bool reading_ = true;
  bool ended_ = false;
  bool handshake_done_ = false;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  net::SslPtr ssl_;
  std::string unsent_;
  std::string received_;
};

// What a client says first, as one TLS record.
inline std::string client_hello() {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  const net::SslPtr ssl(SSL_new(context.get()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace bedside::tests
