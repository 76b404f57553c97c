#include "server/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string_view>
#include <utility>

#include "server/net/certificate.h"

namespace bedside::net {
namespace {

int select_alpn(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned int size, void* /*unused*/) noexcept {
  for (unsigned int at = 0; at < size && offered[at] < size - at; at += 1U + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name != "http/1.1" && name != "stun.turn") continue;
    *out = offered + at + 1;
    *out_size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;  // ALPN is a hint: go on without one
}

void configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");  // of TLS 1.2
  // A peer that leaves without close_notify is an end like any other: our protocols carry lengths,
  // so a cut never looks like a complete message.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  // The queue of a connection may move between two attempts to write it, and idle connections keep
  // no record buffers.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);  // one read a record instead of two
  static constexpr std::string_view kSessionContext = "bedside";
  SSL_CTX_set_session_id_context(context,
                                 reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 kSessionContext.size());
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // resumption by tickets: stateless
  SSL_CTX_set_alpn_select_cb(context, &select_alpn, nullptr);
}

}  // namespace

void FreeSsl::operator()(ssl_st* ssl) const { SSL_free(ssl); }
void TlsContext::FreeContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

tl::expected<TlsContext, std::string> TlsContext::load(const std::string& certificate_path,
                                                       const std::string& private_key_path) {
  ERR_clear_error();
  TlsContext result(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = result.serving_->context.get();
  if (context == nullptr) return tl::unexpected("cannot start TLS: " + openssl_reason());
  configure(context);
  if (auto used = use_certificate(context, certificate_path, private_key_path); !used) {
    return tl::unexpected(std::move(used.error()));
  }
  return result;
}

SslPtr TlsContext::accept(int fd) const {
  SslPtr ssl = [this] {
    const std::lock_guard lock(serving_->mutex);
    return SslPtr(SSL_new(serving_->context.get()));
  }();
  if (ssl && SSL_set_fd(ssl.get(), fd) != 1) ssl.reset();
  if (ssl) SSL_set_accept_state(ssl.get());
  return ssl;
}

TlsContext::TlsContext(ssl_ctx_st* context) : serving_(std::make_unique<Serving>()) {
  serving_->context.reset(context);
}

void TlsContext::replace(TlsContext fresh) {
  const std::lock_guard lock(serving_->mutex);
  serving_->context.swap(fresh.serving_->context);  // sessions keep the old one alive
}

CertificateFacts TlsContext::certificate() const {
  const std::lock_guard lock(serving_->mutex);
  return facts_of(serving_->context.get());
}

bool TlsContext::names(const std::string& host) const {
  const std::lock_guard lock(serving_->mutex);
  return certificate_names(serving_->context.get(), host);
}

}  // namespace bedside::net
