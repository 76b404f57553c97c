#include "server/front_door.h"

#include <cerrno>
#include <random>
#include <utility>

#include "server/net/timer.h"
#include "server/source_counts.h"

namespace bedside::server {
namespace {

enum class Language : std::uint8_t { turn, http, neither };

Language language_of(std::uint8_t first) {
  if (first <= 0x03) return Language::turn;  // the two zero bits of a STUN message, RFC 8489 §5
  const bool letter = (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
  return letter ? Language::http : Language::neither;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

// A connection of which we do not know yet what it wants.
class FrontDoor::Visitor final : private net::Connection::Handler {
 public:
  Visitor(FrontDoor& door, net::AcceptedSocket accepted, const ListenerSpec& listener)
      : door_(door),
        listener_(listener),
        source_(source_of(accepted.peer.address)),
        deadline_(door.loop_, [this] { door_.dismiss(*this, door_.counters_.refused_overdue); }),
        connection_(door.loop_, std::move(accepted), listener.tls, door.tls_, *this) {
    if (listener.tls == net::TlsMode::off) {
      deadline_.enter(Phase::first_byte, door.limits_.first_byte);
    } else {
      deadline_.enter(Phase::handshake, door.limits_.handshake);
    }
  }

  const stun::IpAddress& source() const { return source_; }
  const ListenerSpec& listener() const { return listener_; }
  // Its place among the arrivals of its source.
  Arrivals::iterator place() const { return place_; }
  void set_place(Arrivals::iterator place) { place_ = place; }
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
  const stun::IpAddress source_;
  Arrivals::iterator place_;
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
    : loop_(loop),
      tls_(tls),
      limits_(limits),
      // Clients choose their IPv6 prefixes: the seed keeps them from choosing our buckets.
      per_source_(0, stun::EndpointHash{random_seed()}) {}

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
  per_source_.clear();
}

void FrontDoor::admit(net::AcceptedSocket accepted, const ListenerSpec& listener) {
  ++counters_.accepted;
  const stun::IpAddress source = source_of(accepted.peer.address);
  const auto known = per_source_.find(source);
  if (known != per_source_.end() && known->second.size() >= limits_.undecided_per_source) {
    dismiss(*known->second.front(), counters_.refused_limit);
  }
  if (visitors_.size() >= limits_.undecided) {
    ++counters_.refused_limit;
    return;  // closed with `accepted`
  }
  auto visitor = std::make_unique<Visitor>(*this, std::move(accepted), listener);
  Visitor* const key = visitor.get();
  visitors_.emplace(key, std::move(visitor));
  Arrivals& arrivals = per_source_[source];
  key->set_place(arrivals.insert(arrivals.end(), key));
}

void FrontDoor::decide(Visitor& visitor, stun::Bytes bytes) {
  const ListenerSpec& listener = visitor.listener();
  const Language language = language_of(bytes[0]);
  const bool turn = language == Language::turn && listener.serves_turn;
  const bool http = language == Language::http && listener.serves_http;
  if (!turn && !http) return dismiss(visitor, counters_.refused_first);
  net::DetachedConnection connection = visitor.release(bytes);
  dismiss(visitor, turn ? counters_.turn : counters_.http);
  (turn ? on_turn_ : on_http_)(std::move(connection), listener);
}

void FrontDoor::dismiss(Visitor& visitor, std::uint64_t& counter) {
  ++counter;
  const auto source = per_source_.find(visitor.source());
  if (source != per_source_.end()) {
    source->second.erase(visitor.place());
    if (source->second.empty()) per_source_.erase(source);
  }
  visitors_.erase(&visitor);
}

}  // namespace bedside::server
