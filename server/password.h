#pragma once

// Passwords as they are stored: scrypt (RFC 7914) with its parameters and salt in one line of text,
//   $scrypt$ln=17,r=8,p=1$<salt, base64>$<hash, base64>
// the form the PHC string format describes, so that the cost can be raised later without a flag
// day: old lines keep their own parameters.
//
// Any thread. One call takes about 128 MiB and some hundred milliseconds at the default cost: never
// on the control thread. Passwords are borrowed for the call; copies made here are erased.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace bedside::server {

struct ScryptCost {
  unsigned log2_n = 17;
  unsigned r = 8;
  unsigned p = 1;
  friend bool operator==(const ScryptCost&, const ScryptCost&) = default;
};

using PasswordSalt = std::array<std::uint8_t, 16>;

enum class PasswordError : std::uint8_t {
  cost,    // parameters outside of what verify_password() would accept again
  memory,  // the library could not do it, in practice: not enough memory
};

// NIST SP 800-63B: length is what counts, no composition rules. The upper bound keeps a request
// small.
inline constexpr std::size_t kMinPasswordChars = 12;
inline constexpr std::size_t kMaxPasswordBytes = 256;

enum class PasswordRule : std::uint8_t { fine, too_short, too_long, not_text, too_plain };

// Counts characters (code points), not bytes. too_plain: one repeated character, or the account's
// name.
PasswordRule check_password_rules(std::string_view password, std::string_view account_name);

tl::expected<std::string, PasswordError> hash_password(std::string_view password,
                                                       const PasswordSalt& salt,
                                                       ScryptCost cost = {});

enum class PasswordMatch : std::uint8_t {
  yes,
  no,
  unreadable,  // the stored line is not one of ours or asks for an absurd cost
  failed,      // not enough memory to know
};

// Compares in constant time.
PasswordMatch verify_password(std::string_view password, std::string_view encoded);

// A line nobody knows a password of, at the given cost. Verifying against it makes an unknown
// account take as long as a known one.
std::string decoy_password_line(ScryptCost cost = {});

}  // namespace bedside::server
