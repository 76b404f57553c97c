#pragma once

// Bearer secrets and unguessable names, from the system's random generator, and the hashes under
// which they are kept. A secret has 256 bits: its plain SHA-256 cannot be turned back by guessing.
//
// Any thread. Aborts when the system gives no random numbers: secrets that can be guessed would be
// worse than no service.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bedside::server {

using SecretHash = std::array<std::uint8_t, 32>;

// URL-safe base64 without padding: letters, digits, '-' and '_'.
std::string base64url(std::span<const std::uint8_t> bytes);

std::string new_secret();  // 256 bits
// 128 bits; does not begin with '-', which a command line would take for an option.
std::string new_name();

SecretHash hash_of(std::string_view secret);

}  // namespace bedside::server
