#pragma once

// What goes into every export beside its records, carried by the binary. Any thread.

#include <string_view>

namespace bedside::server {

// store/offline/verify_audit_log.py and README.txt.
std::string_view offline_verifier();
std::string_view export_readme();

}  // namespace bedside::server
