#pragma once

// The iceServers of a participant: the addresses this server really listens on, with a TURN
// credential that is short-lived and good only while the participant is live (protocol.md 2.2).
//
// Also the hub's source of ids and tokens, from the system's random generator.
//
// Control thread only; `live` outlives this object.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "server/live_participants.h"
#include "signaling/issuer.h"
#include "stun/endpoint.h"
#include "turn/credentials.h"

namespace bedside::server {

// Where browsers reach STUN and TURN, as they see it: external addresses, no wildcards.
struct AdvertisedRelay {
  std::vector<stun::Endpoint> udp;
  std::vector<stun::Endpoint> tcp;
  // turns: URIs carry the certificate's name; empty: no TURN over TLS.
  std::string tls_name;
  std::uint16_t tls_port = 5349;
};

class IceServers final : public signaling::Issuer {
 public:
  static constexpr std::chrono::seconds kLifetime{600};

  // `live` is told every name that is issued, so that the relays find it by USERHASH. Null where
  // nothing is issued to participants.
  IceServers(turn::Credentials credentials, const AdvertisedRelay& relay, LiveParticipantSet* live);

  // What is issued from now on; what was issued before is not taken back.
  void replace(turn::Credentials credentials, const AdvertisedRelay& relay);

  std::string participant_id() override;
  std::string token() override;
  signaling::TokenHash hash(std::string_view token) const override;
  signaling::IceGrant ice_grant(std::string_view room, std::string_view participant,
                                const signaling::Now& now) override;

  // ["stun:…","turn:…?transport=udp", …] in the order UDP, TCP, TLS.
  const std::vector<std::string>& urls() const { return urls_; }

 private:
  void advertise(const AdvertisedRelay& relay);

  turn::Credentials credentials_;
  LiveParticipantSet* live_;
  std::vector<std::string> urls_;
};

}  // namespace bedside::server
