#include "server/net/connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

namespace bedside::net {
namespace {

constexpr std::size_t kReadSize = std::size_t{16} * 1024;  // one TLS record
constexpr std::size_t kReadBudget =
    std::size_t{64} * 1024;  // bytes a wake-up: other connections want a turn
constexpr std::size_t kLeastProgress = std::size_t{8} * 1024;
constexpr std::uint8_t kTlsHandshakeRecord = 0x16;

}  // namespace

Connection::Connection(Loop& loop, AcceptedSocket accepted, TlsMode mode, const TlsContext* tls,
                       Handler& handler, const ConnectionLimits& limits)
    : handler_(handler),
      limits_(limits),
      fd_(std::move(accepted.fd)),
      tls_context_(tls),
      peer_(accepted.peer),
      local_(accepted.local),
      read_watch_(loop, fd_.get(), FdWatch::Direction::read, [this] { on_readable(); }),
      write_watch_(loop, fd_.get(), FdWatch::Direction::write, [this] { on_writable(); }),
      timer_(loop, [this] { on_overdue(); }),
      soon_(loop, [this] { on_readable(); }) {
  assert(mode == TlsMode::off || tls != nullptr);
  if (mode == TlsMode::detect) {
    state_ = State::detecting;
  } else if (mode == TlsMode::on) {
    begin_tls();
  }
  update_watches();
}

Connection::Connection(Loop& loop, DetachedConnection detached, Handler& handler,
                       const ConnectionLimits& limits)
    : handler_(handler),
      limits_(limits),
      fd_(std::move(detached.fd)),
      ssl_(std::move(detached.ssl)),
      peer_(detached.peer),
      local_(detached.local),
      peer_ended_(detached.peer_ended),
      early_(std::move(detached.early)),
      read_watch_(loop, fd_.get(), FdWatch::Direction::read, [this] { on_readable(); }),
      write_watch_(loop, fd_.get(), FdWatch::Direction::write, [this] { on_writable(); }),
      timer_(loop, [this] { on_overdue(); }),
      soon_(loop, [this] { on_readable(); }) {
  update_watches();
  // The early bytes, an end seen earlier and what the TLS session holds make no descriptor ready.
  soon_.arm(MonoTime(0));
}

Connection::~Connection() = default;

void Connection::begin_tls() {
  ssl_ = tls_context_->accept(fd_.get());
  tls_context_ = nullptr;
  state_ = State::handshaking;
  if (!ssl_) fail(CloseReason::tls_failed);
}

// ---- what the loop calls ----

void Connection::on_readable() {
  const Lifeline::Watch alive(lifeline_);
  switch (state_) {
    case State::detecting:
      if (!detect() || alive.cut()) return;
      if (state_ == State::handshaking) break;
      handler_.on_secured(*this);
      break;
    case State::closed:
      state_ = State::released;  // nothing is reported after this
      handler_.on_closed(*this, close_reason_);
      return;
    case State::released:
      return;
    case State::handshaking:
    case State::open:
    case State::finishing:
    case State::lingering:
      break;
  }
  if (alive.cut()) return;
  if (state_ == State::handshaking) {
    if (!handshake()) return;
    handler_.on_secured(*this);
    if (alive.cut()) return;
  }
  if (write_wants_read_ && (state_ == State::open || state_ == State::finishing)) {
    write_wants_read_ = false;
    send_queue(alive);
    if (alive.cut()) return;
  }
  if (state_ == State::open) {
    read_some(alive);
  } else if (state_ == State::finishing || state_ == State::lingering) {
    discard_input();
  }
  if (!alive.cut()) update_watches();
}

void Connection::on_writable() {
  const Lifeline::Watch alive(lifeline_);
  if (state_ == State::handshaking || read_wants_write_) {
    read_wants_write_ = false;
    handshake_wants_write_ = false;
    update_watches();
    soon_.arm(MonoTime(0));
    return;
  }
  if (state_ == State::open || state_ == State::finishing) send_queue(alive);
  if (!alive.cut()) update_watches();
}

void Connection::on_overdue() {
  if (state_ == State::lingering) {
    fail(CloseReason::finished);
  } else if (sent_since_check_ < kLeastProgress) {
    fail(CloseReason::slow_reader);
  } else {
    sent_since_check_ = 0;
    timer_.arm(limits_.write_stall);
  }
}

// ---- the beginning ----

bool Connection::detect() {
  std::uint8_t first = 0;
  const auto got = ::recv(fd_.get(), &first, 1, MSG_PEEK);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) fail(CloseReason::peer_reset);
    return false;
  }
  if (got == 1 && first == kTlsHandshakeRecord) {
    begin_tls();
    return state_ == State::handshaking;
  }
  tls_context_ = nullptr;
  state_ = State::open;
  return true;
}

bool Connection::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = State::open;
    return true;
  }
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    handshake_wants_write_ = error == SSL_ERROR_WANT_WRITE;
    update_watches();
  } else {
    fail(CloseReason::tls_failed);
  }
  return false;
}

// ---- reading ----

void Connection::read_some(const Lifeline::Watch& alive) {
  if (!early_.empty() && reading_) {
    const std::vector<std::uint8_t> early = std::exchange(early_, {});
    handler_.on_bytes(*this, early);
    if (alive.cut()) return;
  }
  std::array<std::uint8_t, kReadSize> buffer;  // NOLINT: not worth clearing 16 KiB each time
  std::size_t budget = kReadBudget;
  while (state_ == State::open && reading_ && !peer_ended_ && budget > 0) {
    const IoResult result = read(buffer);
    if (result.io == Io::again) return;
    if (result.io == Io::failed) {
      fail(ssl_ ? CloseReason::tls_failed : CloseReason::peer_reset);
      return;
    }
    if (result.io == Io::ended) {
      peer_ended_ = true;
      break;
    }
    budget -= std::min(budget, result.size);
    handler_.on_bytes(*this, stun::Bytes(buffer.data(), result.size));
    if (alive.cut()) return;
    // Nothing more, here or in the TLS session: spares a call to learn it.
    if (result.size < buffer.size() && (!ssl_ || SSL_has_pending(ssl_.get()) == 0)) break;
  }
  if (state_ != State::open || !reading_) return;
  if (peer_ended_ && !peer_end_reported_ && early_.empty()) {
    peer_end_reported_ = true;
    handler_.on_peer_ended(*this);
    return;
  }
  if (budget == 0 && ssl_ && SSL_has_pending(ssl_.get()) != 0) soon_.arm(MonoTime(0));
}

Connection::IoResult Connection::read(stun::MutableBytes into) {
  if (ssl_) {
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
    if (result > 0) return {Io::ok, static_cast<std::size_t>(result)};
    const int error = SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    read_wants_write_ = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || read_wants_write_) return {Io::again, 0};
    return {error == SSL_ERROR_ZERO_RETURN ? Io::ended : Io::failed, 0};
  }
  const auto result = ::recv(fd_.get(), into.data(), into.size(), 0);
  if (result > 0) return {Io::ok, static_cast<std::size_t>(result)};
  if (result == 0) return {Io::ended, 0};
  return {errno == EAGAIN || errno == EINTR ? Io::again : Io::failed, 0};
}

// After finish(): what the peer still says is of no interest, only that it ends. TLS records are
// thrown away undecrypted.
void Connection::discard_input() {
  std::array<std::uint8_t, kReadSize> buffer;  // NOLINT: not worth clearing 16 KiB each time
  for (std::size_t budget = kReadBudget; budget > 0; budget -= std::min(budget, buffer.size())) {
    const auto result = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (result > 0) continue;
    if (result < 0 && (errno == EAGAIN || errno == EINTR)) return;
    peer_ended_ = true;
    if (result < 0) {
      fail(CloseReason::peer_reset);
    } else if (state_ == State::lingering) {
      fail(CloseReason::finished);
    }
    return;
  }
}

void Connection::pause_reading() {
  reading_ = false;
  update_watches();
}

void Connection::resume_reading() {
  if (reading_) return;
  reading_ = true;
  update_watches();
  soon_.arm(MonoTime(0));  // the TLS session may hold bytes that make no descriptor ready
}

// ---- writing ----

bool Connection::write(stun::Bytes bytes, WriteClass write_class) {
  if (state_ != State::open) return false;
  if (write_class == WriteClass::data && queued() > limits_.queue_data) {
    ++dropped_data_;
    return false;
  }
  if (queued() > limits_.queue_control) {
    fail(CloseReason::slow_reader);
    return false;
  }
  while (queued() == 0 && !bytes.empty()) {
    const IoResult result = write_now(bytes);
    if (result.io == Io::again) break;
    if (result.io == Io::failed) {
      fail(CloseReason::peer_reset);
      return false;
    }
    bytes = bytes.subspan(result.size);
  }
  if (bytes.empty()) return true;
  if (queued() == 0) {
    sent_since_check_ = 0;
    timer_.arm(limits_.write_stall);
  }
  queue_.insert(queue_.end(), bytes.begin(), bytes.end());
  update_watches();
  return true;
}

Connection::IoResult Connection::write_now(stun::Bytes bytes) {
  if (ssl_) {
    ERR_clear_error();
    const auto size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 30));
    const int result = SSL_write(ssl_.get(), bytes.data(), size);
    if (result > 0) return {Io::ok, static_cast<std::size_t>(result)};
    const int error = SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    write_wants_read_ = error == SSL_ERROR_WANT_READ;
    return {write_wants_read_ || error == SSL_ERROR_WANT_WRITE ? Io::again : Io::failed, 0};
  }
  const auto result = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (result >= 0) return {Io::ok, static_cast<std::size_t>(result)};
  return {errno == EAGAIN || errno == EINTR ? Io::again : Io::failed, 0};
}

void Connection::send_queue(const Lifeline::Watch& alive) {
  constexpr std::size_t kKeepCapacity = std::size_t{4} * 1024;
  if (queued() == 0) return;
  while (queued() > 0) {
    const IoResult result = write_now(stun::Bytes(queue_).subspan(queue_head_));
    if (result.io == Io::again) break;
    if (result.io == Io::failed) {
      fail(CloseReason::peer_reset);
      return;
    }
    queue_head_ += result.size;
    sent_since_check_ += result.size;
  }
  if (queued() > 0) {
    // Moving the rest to the front only when it is the smaller half keeps the cost linear.
    if (queue_head_ > queue_.size() / 2) {
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_head_));
      queue_head_ = 0;
    }
    return;
  }
  queue_.clear();
  queue_head_ = 0;
  // Thousands of WebSockets that were slow once must not cost for ever.
  if (queue_.capacity() > kKeepCapacity) queue_ = {};
  timer_.cancel();
  if (state_ == State::finishing) {
    send_end();
    return;
  }
  update_watches();
  handler_.on_drained(*this);
  if (!alive.cut()) update_watches();
}

// ---- the end ----

void Connection::finish() {
  switch (state_) {
    case State::detecting:
    case State::handshaking:
      fail(CloseReason::finished);
      return;
    case State::open:
      state_ = State::finishing;
      if (queued() == 0) send_end();
      update_watches();
      return;
    case State::finishing:
    case State::lingering:
    case State::closed:
    case State::released:
      return;
  }
}

void Connection::send_end() {
  state_ = State::lingering;
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(
        ssl_.get());  // our close_notify; a full send buffer means the peer gets the FIN only
    ERR_clear_error();
  }
  ::shutdown(fd_.get(), SHUT_WR);
  if (peer_ended_) {
    fail(CloseReason::finished);
    return;
  }
  timer_.arm(limits_.linger);
  update_watches();
}

void Connection::abort(CloseReason reason) { fail(reason); }

DetachedConnection Connection::release(stun::Bytes unread) {
  assert(state_ == State::open && queued() == 0);
  state_ = State::released;
  update_watches();
  timer_.cancel();
  DetachedConnection result;
  result.fd = std::move(fd_);
  result.ssl = std::move(ssl_);
  result.early.assign(unread.begin(), unread.end());
  result.early.insert(result.early.end(), early_.begin(), early_.end());
  result.peer_ended = peer_ended_;
  result.peer = peer_;
  result.local = local_;
  return result;
}

void Connection::fail(CloseReason reason) {
  if (state_ == State::closed || state_ == State::released) return;
  state_ = State::closed;
  close_reason_ = reason;
  timer_.cancel();
  update_watches();
  soon_.arm(MonoTime(0));  // on_closed comes from the loop, never from inside an owner's call
}

void Connection::update_watches() {
  bool want_read = false;
  bool want_write = false;
  switch (state_) {
    case State::detecting:
      want_read = true;
      break;
    case State::handshaking:
      want_read = !handshake_wants_write_;
      want_write = handshake_wants_write_;
      break;
    case State::open:
      want_read = (reading_ && !peer_ended_ && !read_wants_write_) || write_wants_read_;
      want_write = read_wants_write_ || (queued() > 0 && !write_wants_read_);
      break;
    case State::finishing:
      want_read = !peer_ended_ || write_wants_read_;
      want_write = !write_wants_read_;
      break;
    case State::lingering:
      want_read = !peer_ended_;
      break;
    case State::closed:
    case State::released:
      break;
  }
  if (want_read && !read_watch_.started()) read_watch_.start();
  if (!want_read && read_watch_.started()) read_watch_.stop();
  if (want_write && !write_watch_.started()) write_watch_.start();
  if (!want_write && write_watch_.started()) write_watch_.stop();
}

}  // namespace bedside::net
