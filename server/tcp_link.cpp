#include "server/tcp_link.h"

#include <utility>

#include "server/net/timer.h"

namespace bedside::server {
namespace {

net::ConnectionLimits limits() {
  net::ConnectionLimits limits;
  limits.write_stall = TcpLink::kStall;
  return limits;
}

}  // namespace

// One of the two connections.
class TcpLink::Side final : private net::Connection::Handler {
 public:
  template <typename Socket, typename... More>
  Side(TcpLink& link, turn::DataDirection direction, Socket socket, More... more)
      : link_(link),
        direction_(direction),
        pace_(link.loop_, [this] { resume(); }),
        connection_(link.loop_, std::move(socket), more..., *this, limits()) {}

  turn::DataDirection direction() const { return direction_; }  // of what it sends
  bool closed() const { return closed_; }
  void hold() { connection_.pause_reading(); }
  void hold_for(std::chrono::nanoseconds wait) {
    hold();
    pace_.arm(wait);
  }
  // Reads again, unless it is too early or the other side has to catch up.
  void resume() {
    const Side* other = link_.other_of(*this);
    if (!pace_.armed() && other != nullptr && !other->behind()) connection_.resume_reading();
  }
  bool behind() const { return connection_.queued() > 0; }
  // Whether the other side has to wait.
  bool write(stun::Bytes bytes) {
    connection_.write(bytes);
    return connection_.queued() > kQueue;
  }
  void finish() { connection_.finish(); }
  void abort() {
    pace_.cancel();
    connection_.abort(net::CloseReason::finished);
  }

 private:
  void on_bytes(net::Connection& /*connection*/, stun::Bytes bytes) override {
    link_.forward(*this, bytes);
  }
  void on_drained(net::Connection& /*connection*/) override {
    if (Side* other = link_.other_of(*this)) other->resume();
  }
  void on_peer_ended(net::Connection& /*connection*/) override {
    if (Side* other = link_.other_of(*this)) other->finish();
    finish();
  }
  void on_closed(net::Connection& /*connection*/, net::CloseReason /*reason*/) override {
    closed_ = true;
    if (Side* other = link_.other_of(*this)) other->finish();
    link_.on_side_closed();
  }

  TcpLink& link_;
  const turn::DataDirection direction_;
  bool closed_ = false;
  net::Timer pace_;
  net::Connection connection_;
};

TcpLink::TcpLink(net::Loop& loop, const turn::ToConnect& wanted, const stun::Endpoint& local,
                 const stun::Endpoint& peer, Owner& owner)
    : loop_(loop), id_(wanted.id), port_(wanted.from), owner_(owner) {
  connector_ = std::make_unique<net::TcpConnector>(
      loop, local, peer, [this](auto done) { on_connected(std::move(done)); });
}

TcpLink::TcpLink(net::Loop& loop, turn::ConnectionId id, turn::RelayPortId port,
                 net::AcceptedSocket peer, Owner& owner)
    : loop_(loop), id_(id), port_(port), owner_(owner) {
  take(std::move(peer));
}

TcpLink::~TcpLink() = default;

void TcpLink::on_connected(tl::expected<net::AcceptedSocket, net::ConnectError> done) {
  if (ended_) return;
  if (done) {
    take(std::move(*done));
    owner_.on_link_connected(*this);
  } else {
    owner_.on_link_failed(*this, done.error() == net::ConnectError::exists
                                     ? turn::ConnectFailure::exists
                                     : turn::ConnectFailure::failed);
  }
}

void TcpLink::take(net::AcceptedSocket peer) {
  peer_ = std::make_unique<Side>(*this, turn::DataDirection::to_client, std::move(peer),
                                 net::TlsMode::off, nullptr);
  peer_->hold();
}

void TcpLink::join(net::DetachedConnection client) {
  client_ = std::make_unique<Side>(*this, turn::DataDirection::to_peer, std::move(client));
  peer_->resume();
}

void TcpLink::end() {
  ended_ = true;
  if (client_) client_->abort();
  if (peer_) peer_->abort();
}

void TcpLink::forward(Side& from, stun::Bytes bytes) {
  Side* to = other_of(from);
  if (to == nullptr) return;
  const auto wait = owner_.on_link_data(*this, from.direction(), bytes.size());
  if (!wait || ended_) return;
  if (to->write(bytes)) from.hold();
  if (*wait > std::chrono::nanoseconds(0)) from.hold_for(*wait);
}

void TcpLink::on_side_closed() {
  const bool over = peer_->closed() && (!client_ || client_->closed());
  if (over && !ended_) owner_.on_link_over(*this);
}

// Null before the client is joined, and after the end.
TcpLink::Side* TcpLink::other_of(const Side& side) const {
  if (ended_) return nullptr;
  return &side == peer_.get() ? client_.get() : peer_.get();
}

}  // namespace bedside::server
