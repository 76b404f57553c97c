#pragma once

// The one-time code that makes an admin account: of the first one whoever started the server has
// it, of others (invitation.h) whoever was invited. 100 random bits in Crockford's base32 (no I, L,
// O, U), in groups that can be read aloud: "7K3M-0QXD-…". Only a hash of it is kept.
//
// Any thread; values only.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bedside::server {

using SetUpEntropy = std::array<std::uint8_t, 20>;  // 5 bits of each byte are used

std::string make_set_up_code(const SetUpEntropy& entropy);

class SetUpCode {
 public:
  using Digest = std::array<std::uint8_t, 32>;

  explicit SetUpCode(std::string_view code);
  explicit SetUpCode(const Digest& digest) : digest_(digest) {}

  // Forgiving about case, spaces, dashes and look-alikes (O for 0, I or L for 1); takes the same
  // time whatever is wrong.
  bool matches(std::string_view typed) const;
  const Digest& digest() const { return digest_; }

 private:
  Digest digest_{};
};

}  // namespace bedside::server
