#include "server/net/http_connection.h"

#include <ctime>
#include <utility>

namespace bedside::net {
namespace {

constexpr std::size_t kReadAhead =
    std::size_t{16} * 1024;  // bytes of later requests before reading pauses

constexpr std::uint16_t kGoingAway = 1001;
constexpr std::uint16_t kAbnormal = 1006;

}  // namespace

HttpConnection::HttpConnection(Loop& loop, DetachedConnection detached, Id id, HttpHandler& handler,
                               const HttpTimeouts& timeouts, const HttpLimits& limits)
    : id_(id),
      handler_(handler),
      timeouts_(timeouts),
      reader_(std::make_unique<HttpReader>(limits)),
      timer_(loop, [this] { on_overdue(); }),
      read_on_(loop, [this] { read_pending(); }),
      connection_(loop, std::move(detached), *this) {
  enter(Phase::request);  // its first byte has come: that is why it is here
}

HttpConnection::~HttpConnection() = default;

void HttpConnection::enter(Phase phase) {
  phase_ = phase;
  switch (phase) {
    case Phase::idle:
      return timer_.enter(phase, timeouts_.idle);
    case Phase::request:
      return timer_.enter(phase, timeouts_.request);
    case Phase::half_closed:
      return timer_.enter(phase, timeouts_.half_closed);
    case Phase::ping:
      return timer_.enter(phase, timeouts_.ping);
    case Phase::close:
      return timer_.enter(phase, timeouts_.close);
  }
}

void HttpConnection::on_overdue() {
  switch (phase_) {
    case Phase::request:
      return refuse({408, "The request did not arrive in time"});
    case Phase::idle:
      return end();
    case Phase::half_closed:
    case Phase::close:
      return connection_.abort(CloseReason::finished);
    case Phase::ping:
      if (pings_unanswered_ >= timeouts_.missed_pings) {
        close_code_ = kAbnormal;
        return connection_.abort(CloseReason::peer_reset);
      }
      ++pings_unanswered_;
      socket_->send_ping();
      send_socket_output();
      enter(Phase::ping);
  }
}

// ---- what the connection tells ----

void HttpConnection::on_bytes(Connection& /*connection*/, stun::Bytes bytes) {
  if (mode_ == Mode::websocket) return read_socket(bytes);
  if (mode_ == Mode::ending) return;
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  if (mode_ == Mode::reading) return read_requests();
  if (pending_.size() >= kReadAhead) connection_.pause_reading();
}

void HttpConnection::on_drained(Connection& /*connection*/) {
  if (mode_ == Mode::reading) read_requests();
}

void HttpConnection::on_peer_ended(Connection& /*connection*/) {
  peer_ended_ = true;
  if (mode_ == Mode::answering) {
    enter(Phase::half_closed);  // it may still read, but a parked answer need not wait for long
    return;
  }
  end();
}

void HttpConnection::on_closed(Connection& /*connection*/, CloseReason /*reason*/) {
  mode_ = Mode::ending;
  timer_.leave();
  handler_.on_closed(*this, close_code_);
}

// ---- requests and answers ----

void HttpConnection::read_pending() {
  if (mode_ == Mode::websocket) {
    const std::vector<std::uint8_t> early = std::exchange(pending_, {});
    if (!early.empty()) read_socket(early);
  } else if (mode_ == Mode::reading) {
    read_requests();
  }
}

void HttpConnection::read_requests() {
  const Lifeline::Watch alive(lifeline_);
  reading_requests_ = true;
  // The next request is looked at when the last answer has left: one answer waits, never two.
  while (mode_ == Mode::reading && connection_.queued() == 0 && !pending_.empty()) {
    const std::size_t taken = reader_->feed(pending_);
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(taken));
    if (reader_->take_continue())
      connection_.write(stun::as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
    if (reader_->state() == HttpReader::State::refused) {
      refuse(reader_->refusal());
    } else if (reader_->state() == HttpReader::State::complete) {
      HttpRequest request = reader_->take();
      mode_ = Mode::answering;
      timer_.leave();
      keep_alive_ = request.keep_alive;
      head_request_ = request.method == "HEAD";
      handler_.on_request(*this, std::move(request));
      if (alive.cut()) return;
    }
  }
  reading_requests_ = false;
  if (mode_ == Mode::reading) {
    await_request();
  } else if (mode_ == Mode::websocket && !pending_.empty()) {
    read_on_.arm(MonoTime(0));
  }
  if (mode_ != Mode::websocket && pending_.size() >= kReadAhead) connection_.pause_reading();
}

void HttpConnection::await_request() {
  if (connection_.queued() > 0) return;  // on_drained comes first, or the write stall
  enter(reader_->started() ? Phase::request : Phase::idle);
  connection_.resume_reading();
}

void HttpConnection::respond(const HttpResponse& response) {
  if (mode_ != Mode::answering) return;
  send_response(response);
  if (mode_ != Mode::reading) return;
  await_request();
  // What was sent meanwhile is read from the loop: no callback from inside the handler's call.
  if (!reading_requests_) read_on_.arm(MonoTime(0));
}

void HttpConnection::send_response(const HttpResponse& response) {
  WriteOptions options;
  options.close = !keep_alive_ || stopping_ || peer_ended_;
  options.head_only = head_request_;
  options.wall_seconds = static_cast<long long>(std::time(nullptr));
  timer_.leave();
  connection_.write(stun::as_bytes(to_bytes(response, options)));
  mode_ = Mode::reading;
  if (options.close) end();
}

void HttpConnection::refuse(const HttpRefusal& refusal) {
  keep_alive_ = false;
  head_request_ = false;
  // The reasons are our own sentences without quotes: this is JSON.
  std::string body = R"({"success":false,"error":")";
  body.append(refusal.reason).append(R"("})");
  HttpResponse answer = HttpResponse::json(refusal.status, std::move(body));
  handler_.on_refused(*this, reader_->head(), answer);
  send_response(answer);
}

void HttpConnection::end() {
  mode_ = Mode::ending;
  timer_.leave();
  pending_.clear();
  connection_.finish();
}

void HttpConnection::stop() {
  stopping_ = true;
  if (mode_ == Mode::websocket) {
    close_socket(kGoingAway, "The server is stopping");
  } else if (mode_ == Mode::reading) {
    end();
  }
}

// ---- the WebSocket ----

bool HttpConnection::upgrade(const HttpRequest& request) {
  if (mode_ != Mode::answering) return false;
  auto answer = accept_websocket(request);
  if (!answer) {
    handler_.on_refused(*this, &request, answer.error());
    respond(answer.error());
    return false;
  }
  handler_.on_upgraded(*this, *answer);
  connection_.write(stun::as_bytes(to_bytes(*answer, {})));
  socket_ = std::make_unique<WebSocket>();
  mode_ = Mode::websocket;
  close_code_ = kAbnormal;  // until somebody says something better
  if (peer_ended_) {
    end();
    return true;
  }
  enter(Phase::ping);
  connection_.resume_reading();
  // Sockets live long, most of them silently.
  pending_.shrink_to_fit();
  reader_.reset();
  if (!reading_requests_) read_on_.arm(MonoTime(0));
  if (stopping_) close_socket(kGoingAway, "The server is stopping");
  return true;
}

void HttpConnection::read_socket(stun::Bytes bytes) {
  const Lifeline::Watch alive(lifeline_);
  const bool closing = socket_->close_sent();
  bool told = false;
  socket_->feed(bytes);
  while (mode_ == Mode::websocket && socket_->has_event()) {
    const WebSocketEvent event = socket_->next_event();
    if (const auto* text = std::get_if<WebSocketText>(&event)) {
      if (closing) continue;
      told = true;
      handler_.on_socket_message(*this, text->text);
      if (alive.cut()) return;
    } else if (const auto* closed = std::get_if<WebSocketClosed>(&event)) {
      if (!closing) close_code_ = closed->code;
      connection_.write(stun::as_bytes(socket_->take_output()));
      end();
    } else {
      pings_unanswered_ = 0;
    }
  }
  if (mode_ == Mode::websocket) send_socket_output();
  if (told) handler_.on_socket_burst_end(*this);
}

bool HttpConnection::send_text(std::string_view text) {
  if (mode_ != Mode::websocket || socket_->close_sent()) return false;
  socket_->send_text(text);
  return send_socket_output();
}

bool HttpConnection::send_texts(std::span<const std::string> texts) {
  if (mode_ != Mode::websocket || socket_->close_sent()) return false;
  for (const std::string& text : texts) socket_->send_text(text);
  return send_socket_output();
}

void HttpConnection::close_socket(std::uint16_t code, std::string_view reason) {
  if (mode_ != Mode::websocket || socket_->close_sent()) return;
  close_code_ = code;
  socket_->close(code, reason);
  send_socket_output();
  enter(Phase::close);
}

bool HttpConnection::send_socket_output() {
  const std::string output = socket_->take_output();
  return output.empty() || connection_.write(stun::as_bytes(output));
}

}  // namespace bedside::net
