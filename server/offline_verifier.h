#pragma once

// store/offline/verify_audit_log.py, carried by the binary: it goes into every export.

#include <string_view>

namespace bedside::server {

std::string_view offline_verifier();

}  // namespace bedside::server
