#include "turn/relay_counters.h"

namespace bedside::turn {

std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::not_stun_or_channel:
      return "not_stun_or_channel";
    case DropReason::malformed:
      return "malformed";
    case DropReason::unexpected_class:
      return "unexpected_class";
    case DropReason::rate_limited:
      return "rate_limited";
    case DropReason::no_allocation:
      return "no_allocation";
    case DropReason::no_channel:
      return "no_channel";
    case DropReason::no_permission:
      return "no_permission";
    case DropReason::peer_refused:
      return "peer_refused";
    case DropReason::wrong_family:
      return "wrong_family";
    case DropReason::incomplete_send:
      return "incomplete_send";
    case DropReason::over_bandwidth:
      return "over_bandwidth";
    case DropReason::too_large:
      return "too_large";
    case DropReason::icmp_withheld:
      return "icmp_withheld";
    case DropReason::connection_refused:
      return "connection_refused";
    case DropReason::count_:
      break;
  }
  return "unknown";
}

}  // namespace bedside::turn
