// A TURN client that is more than an address: behind a TCP or TLS connection, or behind DTLS.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "server/arrivals.h"
#include "server/net/connection.h"
#include "server/net/loop.h"
#include "server/net/timer.h"
#include "stun/bytes.h"
#include "turn/five_tuple.h"

namespace bedside::server {

// What a session may cost before and after it has proven itself with its first allocation.
struct TurnSessionLimits {
  std::size_t streams = 4096;  // TCP and TLS; more are closed at once
  // DTLS, whose library keeps about 40 KiB for each; more ClientHellos are not answered.
  std::size_t associations = 1024;
  std::chrono::nanoseconds handshake = std::chrono::seconds(10);  // of DTLS, after the cookie
  std::chrono::nanoseconds unproven = std::chrono::seconds(10);   // then to the first allocation
  // Unproven sessions of one IPv4 address or IPv6 /64. Beyond it the oldest is closed for the
  // newcomer.
  std::size_t unproven_per_source = 64;
  // Without an allocation it only costs a descriptor or a session: closed after this long.
  std::chrono::nanoseconds idle = std::chrono::seconds(60);
};

// The common half of TurnStream and DtlsClient: who it is, how it is answered, and the deadlines.
// A session is proven by its first allocation, which took a valid credential. Shard's thread.
class TurnSession {
 public:
  // Who keeps the sessions. Every call but on_proven may destroy the session.
  class Owner {
   public:
    virtual void on_frame(TurnSession& session, stun::Bytes frame) = 0;
    virtual void on_frames_done(TurnSession& session) = 0;  // all that one read brought
    virtual void on_proven(TurnSession& session) = 0;
    virtual void on_over(TurnSession& session) = 0;  // closed, broken or overdue

   protected:
    ~Owner() = default;
  };

  TurnSession(net::Loop& loop, const turn::FiveTuple& tuple, const TurnSessionLimits& limits,
              Owner& owner)
      : owner_(owner),
        limits_(limits),
        tuple_(tuple),
        deadline_(loop, [this] { owner_.on_over(*this); }) {}
  virtual ~TurnSession() = default;
  TurnSession(const TurnSession&) = delete;
  TurnSession& operator=(const TurnSession&) = delete;

  const turn::FiveTuple& tuple() const { return tuple_; }

  // Answers must arrive; media is dropped first when the client reads too slowly (checklist B.59).
  virtual void answer(stun::Bytes message) = 0;
  virtual bool media(stun::Bytes framed) = 0;  // false: dropped

  // Gives the connection away with what was read behind the frame being handled; this object is
  // over and is to be removed. Nothing: it is no stream, or it does not take its answers.
  virtual std::optional<net::DetachedConnection> detach() { return std::nullopt; }

  // Its allocation got or lost a relay port. Whose allocation was revoked has nothing more to do
  // here; `idle` is for clients that may come back.
  void port_opened() {
    ++ports_;
    deadline_.leave();
    if (!std::exchange(proven_, true)) owner_.on_proven(*this);
  }
  void port_closed(bool revoked) {
    if (--ports_ > 0) return;
    const auto wait = revoked ? std::chrono::nanoseconds::zero() : limits_.idle;
    deadline_.enter(revoked ? Phase::revoked : Phase::idle, wait);
  }

  // It came from another shard (a ConnectionBind on the wrong one).
  bool handed_over = false;

  // Its place among the unproven of its source, kept for whoever counts them.
  std::optional<Arrivals<TurnSession>::Place> place;

 protected:
  enum class Phase : std::uint8_t { handshake, unproven, idle, revoked };
  void enter(Phase phase) {
    deadline_.enter(phase, phase == Phase::handshake ? limits_.handshake : limits_.unproven);
  }
  Owner& owner() { return owner_; }

 private:
  Owner& owner_;
  const TurnSessionLimits limits_;
  const turn::FiveTuple tuple_;
  net::PhaseTimer deadline_;
  std::size_t ports_ = 0;
  bool proven_ = false;
};

}  // namespace bedside::server
