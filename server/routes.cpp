#include "server/routes.h"

#include <algorithm>
#include <array>

namespace bedside::server {
namespace {

constexpr std::string_view kRead = "GET, HEAD";

constexpr std::array kRoutes{
    Route{"/api/webrtc-signaling", "", Target::signaling, Recorded::with_change},
    Route{"/api/webrtc-ws", "GET", Target::socket, Recorded::with_change},
    Route{"/", kRead, Target::root, Recorded::with_change},
    Route{"/telehealth-webrtc", kRead, Target::page, Recorded::nothing},
    Route{"/telehealth-webrtc.html", kRead, Target::page, Recorded::nothing},
    Route{"/session/", kRead, Target::page, Recorded::nothing},
    Route{"/landing/", kRead, Target::page, Recorded::nothing},
    Route{"/favicon.ico", kRead, Target::page, Recorded::nothing},
    Route{"/admin", kRead, Target::admin_home, Recorded::nothing},
    Route{"/admin/", kRead, Target::admin_page, Recorded::nothing},
    Route{"/admin/api/", "", Target::admin_api, Recorded::by_handler},
    Route{"/witness/add-checkpoint", "POST", Target::witness, Recorded::with_change},
};

constexpr Route kNothing{"", "", Target::nothing, Recorded::nothing};

bool fits(const Route& route, std::string_view path) {
  if (route.path == path) return true;
  return route.path.size() > 1 && route.path.back() == '/' &&
         path.substr(0, route.path.size()) == route.path;
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

const Route& find_route(std::string_view path) {
  const Route* best = &kNothing;
  for (const Route& route : kRoutes) {
    if (fits(route, path) && route.path.size() > best->path.size()) best = &route;
  }
  return *best;
}

bool allows(const Route& route, std::string_view method) {
  if (route.methods.empty()) return true;
  // RFC 9110 §9.1: methods are case-sensitive.
  for (std::string_view rest = route.methods; !rest.empty();) {
    const std::string_view each = rest.substr(0, rest.find(", "));
    if (each == method) return true;
    rest.remove_prefix(std::min(rest.size(), each.size() + 2));
  }
  return false;
}

}  // namespace bedside::server
