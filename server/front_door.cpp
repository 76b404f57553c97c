#include "server/front_door.h"

#include <cerrno>
#include <utility>

#include "server/net/timer.h"

namespace bedside::server {
namespace {

enum class Language : std::uint8_t { turn, http, neither };

Language language_of(std::uint8_t first) {
  if (first <= 0x03) return Language::turn;  // the two zero bits of a STUN message, RFC 8489 §5
  const bool letter = (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
  return letter ? Language::http : Language::neither;
}

}  // namespace

// A connection of which we do not know yet what it wants.
class FrontDoor::Visitor final : private net::Connection::Handler {
 public:
  Visitor(FrontDoor& door, net::AcceptedSocket accepted, const ListenerSpec& listener)
      : door_(door),
        listener_(listener),
        place_(door.arrivals_.enter(accepted.peer.address, *this)),
        deadline_(door.loop_, [this] { door_.dismiss(*this, door_.counters_.refused_overdue); }),
        connection_(door.loop_, std::move(accepted), listener.tls, door.tls_, *this) {
    if (listener.tls == net::TlsMode::off) {
      deadline_.enter(Phase::first_byte, door.limits_.first_byte);
    } else {
      deadline_.enter(Phase::handshake, door.limits_.handshake);
    }
  }

  const ListenerSpec& listener() const { return listener_; }
  const Arrivals<Visitor>::Place& place() const { return place_; }
  bool tls() const { return connection_.tls(); }
  net::DetachedConnection release(stun::Bytes read) { return connection_.release(read); }

 private:
  enum class Phase : std::uint8_t { handshake, first_byte };

  void on_secured(net::Connection& /*connection*/) override {
    deadline_.enter(Phase::first_byte, door_.limits_.first_byte);
  }
  void on_bytes(net::Connection& /*connection*/, stun::Bytes bytes) override {
    door_.decide(*this, bytes);
  }
  void on_peer_ended(net::Connection& /*connection*/) override {
    door_.dismiss(*this, door_.counters_.refused_broken);
  }
  void on_closed(net::Connection& /*connection*/, net::CloseReason /*reason*/) override {
    door_.dismiss(*this, door_.counters_.refused_broken);
  }

  FrontDoor& door_;
  const ListenerSpec& listener_;
  const Arrivals<Visitor>::Place place_;
  net::PhaseTimer deadline_;
  net::Connection connection_;
};

struct FrontDoor::Opened {};

tl::expected<std::unique_ptr<FrontDoor>, net::SocketError> FrontDoor::open(
    net::Loop& loop, std::span<const ListenerSpec> listeners, const net::TlsContext* tls,
    const FrontDoorLimits& limits, bool first_shard) {
  auto door = std::make_unique<FrontDoor>(Opened{}, loop, tls, limits);
  for (const ListenerSpec& spec : listeners) {
    if (spec.tls != net::TlsMode::off && tls == nullptr) {
      return tl::unexpected(net::SocketError{
          EINVAL, "the listener " + spec.name + " on " + spec.endpoint.to_string() +
                      " speaks TLS but there is no certificate. Configure one"});
    }
    auto listener = net::TcpListener::open(spec.endpoint, first_shard);
    if (!listener) return tl::unexpected(std::move(listener.error()));
    door->specs_.push_back(spec);
    door->specs_.back().endpoint = (*listener)->local();
    door->listeners_.push_back(std::move(*listener));
  }
  return door;
}

FrontDoor::FrontDoor(const Opened& /*opened*/, net::Loop& loop, const net::TlsContext* tls,
                     const FrontDoorLimits& limits)
    : loop_(loop), tls_(tls), limits_(limits) {}

FrontDoor::~FrontDoor() = default;

void FrontDoor::start(OnConnection on_turn, OnConnection on_http) {
  on_turn_ = std::move(on_turn);
  on_http_ = std::move(on_http);
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    listeners_[i]->start(
        loop_, [this, i](net::AcceptedSocket accepted) { admit(std::move(accepted), specs_[i]); });
  }
}

void FrontDoor::stop() {
  for (const auto& listener : listeners_) listener->stop();
  visitors_.clear();
  arrivals_.clear();
}

void FrontDoor::admit(net::AcceptedSocket accepted, const ListenerSpec& listener) {
  ++counters_.accepted;
  Visitor* oldest = arrivals_.oldest_beyond(accepted.peer.address, limits_.undecided_per_source);
  if (oldest == nullptr && visitors_.size() >= limits_.undecided) oldest = arrivals_.oldest();
  if (oldest != nullptr) dismiss(*oldest, counters_.refused_limit);
  auto visitor = std::make_unique<Visitor>(*this, std::move(accepted), listener);
  Visitor* const key = visitor.get();
  visitors_.emplace(key, std::move(visitor));
}

void FrontDoor::decide(Visitor& visitor, stun::Bytes bytes) {
  const ListenerSpec& listener = visitor.listener();
  const Language language = language_of(bytes[0]);
  const bool turn = language == Language::turn && listener.serves_turn;
  const bool serves_http = visitor.tls() ? listener.serves_https : listener.serves_plain_http;
  const bool http = language == Language::http && serves_http;
  if (!turn && !http) return dismiss(visitor, counters_.refused_first);
  net::DetachedConnection connection = visitor.release(bytes);
  dismiss(visitor, turn ? counters_.turn : counters_.http);
  (turn ? on_turn_ : on_http_)(std::move(connection), listener);
}

void FrontDoor::dismiss(Visitor& visitor, std::uint64_t& counter) {
  ++counter;
  arrivals_.leave(visitor.place());
  visitors_.erase(&visitor);
}

}  // namespace bedside::server
