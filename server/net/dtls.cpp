#include "server/net/dtls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

#include "server/net/certificate.h"

namespace bedside::net {

// The BIO of a session ends here: one datagram in, any number out.
struct DtlsWire {
  stun::Bytes incoming;
  SendBatch* outgoing = nullptr;
  DtlsPath path;
};

struct DtlsContext::State {
  struct FreeContext {
    void operator()(SSL_CTX* freed) const { SSL_CTX_free(freed); }
  };
  mutable std::mutex mutex;  // held for a look at the pointer, once a session
  std::unique_ptr<SSL_CTX, FreeContext> context;
  std::atomic<std::uint64_t> generation = 1;  // counts replacements
  std::array<std::uint8_t, 32> cookie_key{};
};

void FreeDtlsWire::operator()(DtlsWire* wire) const { const std::unique_ptr<DtlsWire> freed(wire); }

namespace {

// Fits every path that carries IPv6 (1280 bytes) with room for a tunnel. Only our handshake flights
// are cut to it; messages keep their size.
constexpr long kMtu = 1200;
// The longest message: a Data indication around the largest datagram a slot holds.
constexpr std::size_t kMaxMessage = kUdpPayload + kUdpHeadroom + kUdpTailroom;

constexpr std::size_t kCookieSize = 16;         // of the HMAC; more would only lengthen the answer
constexpr std::chrono::seconds kCookieAge{60};  // this minute's and the last one's are good
using Cookie = std::array<std::uint8_t, kCookieSize>;

constexpr std::size_t kRecordHeader = 13;
constexpr std::size_t kHandshakeHeader = 12;
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHello = 1;

// ---- the BIO ----

DtlsWire& wire_of(BIO* bio) { return *static_cast<DtlsWire*>(BIO_get_data(bio)); }

int read_datagram(BIO* bio, char* out, int size) {
  DtlsWire& wire = wire_of(bio);
  BIO_clear_retry_flags(bio);
  if (wire.incoming.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(wire.incoming.size(), static_cast<std::size_t>(size));
  std::memcpy(out, wire.incoming.data(), taken);
  wire.incoming = {};  // what does not fit is lost, as with a socket
  return static_cast<int>(taken);
}

int write_datagram(BIO* bio, const char* bytes, int size) {
  DtlsWire& wire = wire_of(bio);
  const stun::Bytes datagram(reinterpret_cast<const std::uint8_t*>(bytes),
                             static_cast<std::size_t>(size));
  wire.outgoing->add_copy(*wire.path.socket, wire.path.client, datagram, &wire.path.server.address);
  return size;
}

long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  switch (command) {
    case BIO_CTRL_FLUSH:  // datagrams leave with the batch
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
      return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return kMtu;
    default:
      return 0;
  }
}

// One table of functions for every session; it lives as long as the process.
BIO_METHOD* wire_method() {
  static BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
    BIO_meth_set_read(method, &read_datagram);
    BIO_meth_set_write(method, &write_datagram);
    BIO_meth_set_ctrl(method, &control);
    return method;
  }();
  return kMethod;
}

// ---- cookies ----

void add_endpoint(std::array<std::uint8_t, 64>& text, std::size_t& size,
                  const stun::Endpoint& endpoint) {
  for (const std::uint8_t byte : endpoint.address.bytes()) text[size++] = byte;
  text[size++] = static_cast<std::uint8_t>(endpoint.port >> 8);
  text[size++] = static_cast<std::uint8_t>(endpoint.port & 0xFF);
}

Cookie cookie_of(const DtlsContext::State& state, const DtlsPath& path, std::uint64_t minute) {
  std::array<std::uint8_t, 64> text{};
  std::size_t size = 0;
  for (; size < 8; ++size) text[size] = static_cast<std::uint8_t>(minute >> (8 * size));
  add_endpoint(text, size, path.client);
  add_endpoint(text, size, path.server);
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned int digest_size = 0;
  HMAC(EVP_sha256(), state.cookie_key.data(), static_cast<int>(state.cookie_key.size()),
       text.data(), size, digest.data(), &digest_size);
  Cookie cookie{};
  std::copy_n(digest.begin(), cookie.size(), cookie.begin());
  return cookie;
}

std::uint64_t this_minute() { return static_cast<std::uint64_t>(steady_now() / kCookieAge); }

const DtlsContext::State& state_of(SSL* ssl) {
  return *static_cast<const DtlsContext::State*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}
const DtlsPath& path_of(SSL* ssl) { return wire_of(SSL_get_rbio(ssl)).path; }

int make_cookie(SSL* ssl, unsigned char* out, unsigned int* size) {
  const Cookie cookie = cookie_of(state_of(ssl), path_of(ssl), this_minute());
  std::copy(cookie.begin(), cookie.end(), out);
  *size = kCookieSize;
  return 1;
}

int check_cookie(SSL* ssl, const unsigned char* given, unsigned int size) {
  if (size != kCookieSize) return 0;
  const std::uint64_t minute = this_minute();
  for (const std::uint64_t made : {minute, minute - 1}) {
    const Cookie good = cookie_of(state_of(ssl), path_of(ssl), made);
    if (CRYPTO_memcmp(given, good.data(), good.size()) == 0) return 1;
  }
  return 0;
}

void configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // Sizes the buffer a session writes records from; the default is eight times as much.
  SSL_CTX_set_max_send_fragment(context, kMaxMessage);
  SSL_CTX_set_cookie_generate_cb(context, &make_cookie);
  SSL_CTX_set_cookie_verify_cb(context, &check_cookie);
}

}  // namespace

bool is_client_hello(stun::Bytes datagram) noexcept {
  return datagram.size() > kRecordHeader + kHandshakeHeader && datagram[0] == kHandshakeRecord &&
         stun::load_u16(datagram, 3) == 0 && datagram[kRecordHeader] == kClientHello;
}

// ---- DtlsContext ----

DtlsContext::DtlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
DtlsContext::DtlsContext(DtlsContext&&) noexcept = default;
DtlsContext& DtlsContext::operator=(DtlsContext&&) noexcept = default;
DtlsContext::~DtlsContext() = default;

tl::expected<DtlsContext, std::string> DtlsContext::load(const std::string& certificate_path,
                                                         const std::string& private_key_path) {
  ERR_clear_error();
  auto state = std::make_unique<State>();
  state->context.reset(SSL_CTX_new(DTLS_server_method()));
  SSL_CTX* context = state->context.get();
  const bool ready =
      context != nullptr &&
      RAND_bytes(state->cookie_key.data(), static_cast<int>(state->cookie_key.size())) == 1;
  if (!ready) return tl::unexpected("cannot start DTLS: " + openssl_reason());
  configure(context);
  SSL_CTX_set_app_data(context, state.get());
  if (auto used = use_certificate(context, certificate_path, private_key_path); !used) {
    return tl::unexpected(std::move(used.error()));
  }
  return DtlsContext(std::move(state));
}

void DtlsContext::replace(DtlsContext fresh) {
  SSL_CTX_set_app_data(fresh.state_->context.get(), state_.get());  // the cookies' key stays ours
  const std::lock_guard lock(state_->mutex);
  state_->context.swap(fresh.state_->context);
  state_->generation.fetch_add(1);
}

// ---- DtlsGate ----

DtlsGate::DtlsGate(const DtlsContext& context, SendBatch& outgoing)
    : context_(context), outgoing_(outgoing) {}

DtlsSession DtlsGate::make_session() {
  DtlsSession session;
  session.wire.reset(std::make_unique<DtlsWire>().release());
  session.wire->outgoing = &outgoing_;
  {
    const DtlsContext::State& state = context_.state();
    const std::lock_guard lock(state.mutex);
    session.ssl.reset(SSL_new(state.context.get()));
    generation_ = state.generation;
  }
  BIO* bio = BIO_new(wire_method());
  if (!session.ssl || bio == nullptr) {
    BIO_free(bio);
    return {};
  }
  BIO_set_data(bio, session.wire.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session.ssl.get(), bio, bio);
  SSL_set_mtu(session.ssl.get(), kMtu);
  SSL_set_accept_state(session.ssl.get());
  return session;
}

std::optional<DtlsSession> DtlsGate::knock(const DtlsPath& path, stun::Bytes datagram) {
  if (!is_client_hello(datagram)) return std::nullopt;
  if (!next_.ssl || generation_ != context_.state().generation) next_ = make_session();
  if (!next_.ssl) return std::nullopt;
  next_.wire->path = path;
  next_.wire->incoming = datagram;
  const std::unique_ptr<BIO_ADDR, decltype(&BIO_ADDR_free)> unused(BIO_ADDR_new(), &BIO_ADDR_free);
  ERR_clear_error();
  const int result = DTLSv1_listen(next_.ssl.get(), unused.get());
  ERR_clear_error();
  next_.wire->incoming = {};
  if (result < 0) next_ = {};
  if (result <= 0) return std::nullopt;
  return std::exchange(next_, {});
}

// ---- DtlsAssociation ----

DtlsAssociation::DtlsAssociation(Loop& loop, DtlsSession session, Handler& handler)
    : handler_(handler), session_(std::move(session)), timer_(loop, [this] { on_timer(); }) {}

DtlsAssociation::~DtlsAssociation() {
  if (state_ != State::open) return;
  ERR_clear_error();
  SSL_shutdown(session_.ssl.get());
  ERR_clear_error();
  session_.wire->outgoing->flush();
}

void DtlsAssociation::receive(stun::Bytes datagram) {
  const Lifeline::Watch alive(lifeline_);
  session_.wire->incoming = datagram;
  if (state_ == State::handshaking && !handshake(alive)) {
    if (!alive.cut()) session_.wire->incoming = {};
    return;
  }
  if (state_ == State::open) read_all(alive);
  if (!alive.cut()) session_.wire->incoming = {};
}

bool DtlsAssociation::handshake(const Lifeline::Watch& alive) {
  ERR_clear_error();
  const int result = SSL_do_handshake(session_.ssl.get());
  const int error = SSL_get_error(session_.ssl.get(), result);
  ERR_clear_error();
  if (result == 1) {
    state_ = State::open;
    timer_.cancel();
    handler_.on_secured(*this);
    return !alive.cut();
  }
  if (error == SSL_ERROR_WANT_READ) {
    arm_retransmission();
  } else {
    report_closed();
  }
  return false;
}

void DtlsAssociation::read_all(const Lifeline::Watch& alive) {
  std::array<std::uint8_t, kMaxMessage> payload;  // NOLINT: written before it is read
  while (state_ == State::open) {
    ERR_clear_error();
    const int result =
        SSL_read(session_.ssl.get(), payload.data(), static_cast<int>(payload.size()));
    if (result > 0) {
      handler_.on_message(*this, {payload.data(), static_cast<std::size_t>(result)});
      if (alive.cut()) return;
      continue;
    }
    const int error = SSL_get_error(session_.ssl.get(), result);
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      // RFC 5246 §7.2.1: a close_notify is answered with one.
      if (error == SSL_ERROR_ZERO_RETURN) SSL_shutdown(session_.ssl.get());
      ERR_clear_error();
      report_closed();
    }
    return;
  }
}

bool DtlsAssociation::write(stun::Bytes payload) {
  if (state_ != State::open) return false;
  ERR_clear_error();
  const int result =
      SSL_write(session_.ssl.get(), payload.data(), static_cast<int>(payload.size()));
  if (result > 0) return true;
  ERR_clear_error();
  state_ = State::closed;
  timer_.arm(MonoTime(0));  // told from the loop, never from inside an owner's call
  return false;
}

void DtlsAssociation::arm_retransmission() {
  timeval left{};
  if (DTLSv1_get_timeout(session_.ssl.get(), &left) != 1) return timer_.cancel();
  timer_.arm(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec));
}

void DtlsAssociation::on_timer() {
  if (state_ == State::closed) return report_closed();
  if (state_ != State::handshaking) return;
  ERR_clear_error();
  const int result = static_cast<int>(DTLSv1_handle_timeout(session_.ssl.get()));
  ERR_clear_error();
  session_.wire->outgoing->flush();
  if (result < 0) return report_closed();  // repeated in vain too often
  arm_retransmission();
}

void DtlsAssociation::report_closed() {
  if (state_ == State::reported) return;
  state_ = State::reported;
  timer_.cancel();
  handler_.on_closed(*this);
}

}  // namespace bedside::net
