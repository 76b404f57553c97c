#pragma once

// What every answer of the admin API has, for the files that make them: admin_json.cpp and
// admin_retention_json.cpp. Pure functions; any thread.

#include <nlohmann/json.hpp>

#include "server/admin_json.h"

namespace bedside::server {

net::HttpResponse admin_answer(int status, const nlohmann::json& body);
// {"success":true, "session":…, "certificate"?:…}
nlohmann::json admin_success(const SessionView& session);

}  // namespace bedside::server
