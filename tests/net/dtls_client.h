// The client side of DTLS tests.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/net/tls.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"

namespace bedside::tests {

// A DTLS client on a loopback UDP socket of its own that never blocks: call pump() in the condition
// of Loop::run_until. It repeats lost flights like any client, every second.
class DtlsTestClient {
 public:
  enum class Version { dtls10, dtls12 };

  explicit DtlsTestClient(const stun::Endpoint& server, Version version = Version::dtls12,
                          const stun::IpAddress& from = stun::IpAddress::v4(127, 0, 0, 1))
      : server_(server), socket_(net::UdpSocket::bind({from, 0}).value()) {
    context_.reset(SSL_CTX_new(DTLS_client_method()));
    SSL_CTX_set_options(context_.get(), SSL_OP_NO_QUERY_MTU);
    if (version == Version::dtls10) {
      SSL_CTX_set_security_level(context_.get(), 0);
      SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
      SSL_CTX_set_max_proto_version(context_.get(), DTLS1_VERSION);
    }
    start();
  }

  const stun::Endpoint& local() const { return socket_.local(); }

  // Forgets everything but its port and begins a new handshake.
  void start_again() {
    start();
    secured_ = failed_ = ended_ = false;
  }

  void send(std::string_view message) { unsent_.emplace_back(message); }
  // A datagram beside the association, and how many came back (RFC 7983: STUN begins with 0 to 3).
  void send_plain(stun::Bytes datagram) {
    outgoing_.add_copy(socket_, server_, datagram);
    outgoing_.flush();
  }
  std::size_t plain_received() const { return plain_received_; }
  const stun::Endpoint& last_sender() const { return last_sender_; }
  void say_goodbye() {
    SSL_shutdown(ssl_.get());
    flush();
  }
  void stop_after_first_flight() { deaf_ = true; }
  void lose_second_answer() { lose_second_ = true; }
  void never_repeat() { repeats_ = false; }

  // Moves what can be moved; returns itself for conditions.
  DtlsTestClient& pump() {
    // Whoever asks OpenSSL for news after a second makes it repeat its flight.
    if (repeats_ || sent_.empty()) drive();
    for (const net::Datagram& datagram : socket_.receive(inbox_)) {
      bytes_in_ += datagram.size;
      last_sender_ = datagram.from;
      if (datagram.size > 0 && datagram.payload()[0] <= 3) {
        ++plain_received_;
        continue;
      }
      if (deaf_ || (lose_second_ && is_second_flight(datagram.payload()))) continue;
      BIO_write(in_, datagram.payload().data(), static_cast<int>(datagram.size));
      drive();
    }
    if (repeats_ && !secured_) DTLSv1_handle_timeout(ssl_.get());
    flush();
    return *this;
  }

  bool secured() const { return secured_; }
  bool ended() const { return ended_; }    // the server said close_notify
  bool failed() const { return failed_; }  // anything else that cannot be gone on with
  std::string version() const { return SSL_get_version(ssl_.get()); }
  // In DER, once secured.
  std::string server_certificate() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        SSL_get1_peer_certificate(ssl_.get()), &X509_free);
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    std::string copy(der, der + (size > 0 ? size : 0));
    OPENSSL_free(der);
    return copy;
  }
  const std::vector<std::string>& received() const { return received_; }
  std::vector<std::string> take_received() { return std::exchange(received_, {}); }
  std::size_t bytes_in() const { return bytes_in_; }
  stun::Bytes sent_datagram(std::size_t i) const { return stun::as_bytes(sent_.at(i)); }

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  void start() {
    ssl_.reset(SSL_new(context_.get()));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_mtu(ssl_.get(), 1200);
    SSL_set_connect_state(ssl_.get());
  }
  // ServerHello and all that comes with it, until the ServerHello comes again.
  bool is_second_flight(stun::Bytes datagram) {
    if (datagram.size() > 13 && datagram[0] == 22 && datagram[13] == 3) return false;
    if (datagram.size() > 13 && datagram[0] == 22 && datagram[13] == 2 && ++server_hellos_ > 1) {
      lose_second_ = false;
      return false;
    }
    return true;
  }
  void drive() {
    ERR_clear_error();
    if (!secured_ && !failed_) {
      const int result = SSL_do_handshake(ssl_.get());
      if (result == 1) {
        secured_ = true;
      } else if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
        failed_ = true;
      }
      flush();
    }
    if (!secured_) return;
    for (const std::string& message : std::exchange(unsent_, {})) {
      SSL_write(ssl_.get(), message.data(), static_cast<int>(message.size()));
      flush();
    }
    std::array<char, 4096> buffer{};
    while (!ended_) {
      const int got = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (got <= 0) {
        ended_ = SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
        break;
      }
      received_.emplace_back(buffer.data(), static_cast<std::size_t>(got));
    }
    ERR_clear_error();
  }
  void flush() {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out_, &bytes);
    if (size <= 0) return;
    sent_.emplace_back(bytes, static_cast<std::size_t>(size));
    outgoing_.add(socket_, server_, stun::as_bytes(sent_.back()));
    outgoing_.flush();
    (void)BIO_reset(out_);
  }

  stun::Endpoint server_;
  net::UdpSocket socket_;
  net::ReceiveBatch inbox_;
  net::SendBatch outgoing_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  net::SslPtr ssl_;
  BIO* in_ = nullptr;   // owned by ssl_
  BIO* out_ = nullptr;  // owned by ssl_
  std::vector<std::string> unsent_;
  std::vector<std::string> received_;
  std::vector<std::string> sent_;
  std::size_t bytes_in_ = 0;
  std::size_t plain_received_ = 0;
  stun::Endpoint last_sender_;
  int server_hellos_ = 0;
  bool deaf_ = false;
  bool lose_second_ = false;
  bool repeats_ = true;
  bool secured_ = false;
  bool ended_ = false;
  bool failed_ = false;
};

// What a client says first, without a cookie: one datagram.
inline std::string dtls_client_hello() {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(DTLS_client_method()),
                                                                  &SSL_CTX_free);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_QUERY_MTU);
  const net::SslPtr ssl(SSL_new(context.get()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_mtu(ssl.get(), 1200);
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());
  ERR_clear_error();
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace bedside::tests
