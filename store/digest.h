#pragma once

// SHA-256, piece by piece. One thread at a time.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

struct evp_md_ctx_st;

namespace bedside::store {

// Allocates once; a hash after the first costs hashing only.
class Sha256 {
 public:
  using Value = std::array<std::uint8_t, 32>;

  Sha256();
  Sha256& add(std::string_view bytes);
  Sha256& add(std::span<const std::uint8_t> bytes);
  // Of everything since the last one; then it begins anew.
  Value finish();

 private:
  void begin();

  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace bedside::store
