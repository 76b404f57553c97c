#pragma once

#include <cstdint>

namespace bedside::signaling {

// The codes with which a WebSocket of a visit is closed (RFC 6455 §7.4; 4000 to 4999 are ours), so
// that a page can tell what to say and whether to come back.
namespace close_codes {

inline constexpr std::uint16_t kTryAgain = 1013;    // the server is short of something
inline constexpr std::uint16_t kSuperseded = 4000;  // the same participant attached elsewhere
inline constexpr std::uint16_t kRoomEnded = 4001;
inline constexpr std::uint16_t kJoinExpected = 4002;  // the first message was no join
inline constexpr std::uint16_t kNotAParticipant = 4003;
inline constexpr std::uint16_t kNoSuchRoom = 4004;
inline constexpr std::uint16_t kRemoved = 4005;   // a host removed this participant
inline constexpr std::uint16_t kDeclined = 4006;  // a host did not let this guest in, this time
inline constexpr std::uint16_t kRateLimited = 4008;
inline constexpr std::uint16_t kRoomFull = 4009;

}  // namespace close_codes
}  // namespace bedside::signaling
