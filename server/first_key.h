#pragma once

// The first key of the audit log, shown while a server is set up, so that it is kept off this
// machine: with it anybody sees whether the whole log was written anew. Any thread; no state.

#include <string>

#include "server/config.h"
#include "store/reader.h"

namespace bedside::server {

// 64 hex digits. Empty when the log does not begin with a key (it is older than the seal), or
// cannot be read.
std::string first_key_of(const store::Reader& log);

// A QR code (ISO/IEC 18004) with its quiet zone as lines of a terminal, dark on light whatever the
// terminal's own colours. Empty when `text` is too long for one (2,953 octets).
std::string qr_code(const std::string& text);

// What is printed: the key as text, and for a terminal, whose reader has a camera at hand, as a QR
// code. Empty without a key.
std::string first_key_banner(const std::string& key, bool terminal);

// `bedside audit first-key`: the key alone, for a terminal as a QR code, too, where the server was
// set up without one. Reads the database; the server may run. Returns the exit code.
int print_first_key(const Config& config);

}  // namespace bedside::server
