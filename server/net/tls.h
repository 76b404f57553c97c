// Our certificate as a TLS server.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <tl/expected.hpp>

#include "server/net/certificate.h"

struct ssl_st;
struct ssl_ctx_st;

namespace bedside::net {

struct FreeSsl {
  void operator()(ssl_st* ssl) const;
};
using SslPtr = std::unique_ptr<ssl_st, FreeSsl>;

// Our certificate and key, ready to serve: TLS 1.2 and 1.3, session tickets that are good on every
// thread, no renegotiation, no compression. TLS 1.2 has ECDHE with AES-GCM or ChaCha20 only, TLS
// 1.3 its own suites. ALPN is a hint only: "http/1.1" or "stun.turn" is selected when offered,
// otherwise none (browsers send none on TURN over TLS). Any thread.
class TlsContext {
 public:
  // Both files in PEM, the certificate first and its chain after it. The error is a sentence that
  // names the file, the reason and the user we run as; it never shows contents.
  static tl::expected<TlsContext, std::string> load(const std::string& certificate_path,
                                                    const std::string& private_key_path);

  TlsContext(TlsContext&&) noexcept = default;
  TlsContext& operator=(TlsContext&&) noexcept = default;

  SslPtr accept(int fd) const;  // a server session over `fd`; the handshake has not begun

  // Sessions accepted from now on are `fresh`'s: its certificate, and new keys for tickets, so that
  // a ticket of before means a full handshake. Sessions that exist go on untouched.
  void replace(TlsContext fresh);

  CertificateFacts certificate() const;
  bool names(const std::string& host) const;  // certificate_names() of it

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };
  // The lock is held for a look at the pointer, once a handshake.
  struct Serving {
    std::mutex mutex;
    std::unique_ptr<ssl_ctx_st, FreeContext> context;
  };
  explicit TlsContext(ssl_ctx_st* context);

  std::unique_ptr<Serving> serving_;
};

}  // namespace bedside::net
