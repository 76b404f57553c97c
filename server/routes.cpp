#include "server/routes.h"

#include <array>

#include "server/net/http_message.h"

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
  return route.methods.empty() || net::has_token(route.methods, method);
}

}  // namespace bedside::server
