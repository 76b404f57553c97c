#pragma once

// `bedside admin`: a second account for the admin page, without anybody knowing its password.
// Each call prints what it found on standard output, or why not on standard error, and returns the
// exit code.

#include <string>

#include "server/config.h"

namespace bedside::server {

// Prints a link that makes the account, once.
int admin_add(const Config& config, const std::string& name);
int admin_list(const Config& config);
int admin_disable(const Config& config, const std::string& name);

}  // namespace bedside::server
