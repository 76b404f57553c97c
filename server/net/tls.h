// Our certificate as a TLS server.
#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

struct ssl_st;
struct ssl_ctx_st;

namespace bedside::net {

struct FreeSsl {
  void operator()(ssl_st* ssl) const;
};
using SslPtr = std::unique_ptr<ssl_st, FreeSsl>;

// Our certificate and key, ready to serve: TLS 1.2 and 1.3, session tickets, no renegotiation, no
// compression. ALPN is a hint only: "http/1.1" or "stun.turn" is selected when offered, otherwise
// none (browsers send none on TURN over TLS). Shared by all threads, read-only after load().
// Connections keep what they need alive, so it may be replaced while they live.
class TlsContext {
 public:
  // Both files in PEM, the certificate first and its chain after it. The error is a sentence that
  // names the file, the reason and the user we run as; it never shows contents.
  static tl::expected<TlsContext, std::string> load(const std::string& certificate_path,
                                                    const std::string& private_key_path);

  TlsContext(TlsContext&&) noexcept = default;
  TlsContext& operator=(TlsContext&&) noexcept = default;

  SslPtr accept(int fd) const;  // a server session over `fd`; the handshake has not begun

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

  std::unique_ptr<ssl_ctx_st, FreeContext> context_;
};

}  // namespace bedside::net
