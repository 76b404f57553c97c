#pragma once

// Every URL of the public listeners in one table: what answers it, and how it is recorded. A path
// that is not in the table is 404, a method that is not is 405.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bedside::server {

enum class Target : std::uint8_t {
  signaling,   // protocol.md 1.1 and 2.4
  socket,      // protocol.md 1.2: a WebSocket or nothing
  root,        // a WebSocket for the seed's stand-alone clients, else the landing page
  page,        // embedded files
  admin_page,  // embedded files, for those who may see the admin page
  admin_home,  // "/admin" leads to "/admin/"
  admin_api,
  witness,  // add-checkpoint of other logs
  nothing,  // 404
};

// What of a request ends up in the audit trail.
enum class Recorded : std::uint8_t {
  nothing,      // it grants and changes nothing
  with_change,  // each change and its record are one transaction, before the answer
  by_handler,   // the handler decides per action (log-in, views of the audit list)
};

struct Route {
  std::string_view path;     // with a '/' at the end: everything below, unless a longer path fits
  std::string_view methods;  // as in an Allow header; empty: the handler checks
  Target target;
  Recorded recorded;
};

// In no particular order; each path once.
std::span<const Route> routes();

// The route whose path fits best; one with Target::nothing for paths that are not in the table.
const Route& find_route(std::string_view path);

bool allows(const Route& route, std::string_view method);

}  // namespace bedside::server
