#pragma once

// The tokens with which other programs (the practice's records system) use the API in invite mode.
//
// A token is shown once, when it is made; only its hash is kept. It is good for the scopes it was
// given, until it is revoked or expires. `ApiTokens` is the table of those that are good: control
// thread only. The free functions are pure.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "store/change.h"

namespace bedside::server {

enum class Scope : std::uint8_t {
  rooms_create,  // "rooms.create": create-room, which also gives the links
  rooms_read,    // "rooms.read": GET
  rooms_end,     // "rooms.end": end-room and DELETE
};

std::string_view name_of(Scope scope);

// Tokens at once. Above: making one is refused; revoke those that are not used.
inline constexpr std::size_t kMaxApiTokens = 256;
inline constexpr std::size_t kMaxApiTokenName = 64;  // bytes
inline constexpr unsigned kMaxApiTokenDays = 3650;

struct ApiTokenWish {
  std::string name;                 // 1 to kMaxApiTokenName bytes without control characters
  std::vector<std::string> scopes;  // at least one
  unsigned days = 0;                // 0: until it is revoked
};

struct NewApiToken {
  store::ApiTokenRow row;
  std::string secret;     // "bedside_…"; the only copy
  std::string receipt{};  // of its record, once there is one
};

// The error is a sentence with its remedy.
tl::expected<NewApiToken, std::string> make_api_token(const ApiTokenWish& wish,
                                                      std::chrono::milliseconds now_wall);

bool allows(const store::ApiTokenRow& token, Scope scope);

class ApiTokens {
 public:
  void restore(std::vector<store::ApiTokenRow> rows) { rows_ = std::move(rows); }
  const std::vector<store::ApiTokenRow>& all() const { return rows_; }
  bool full() const { return rows_.size() >= kMaxApiTokens; }
  bool contains(std::string_view token_id) const;
  void add(store::ApiTokenRow row) { rows_.push_back(std::move(row)); }
  void remove(std::string_view token_id);

  // Whose secret this is; null for nobody's and for an expired one. The time it takes does not
  // depend on which hash fits or where others differ.
  const store::ApiTokenRow* find(std::string_view secret, std::chrono::milliseconds now_wall) const;

 private:
  std::vector<store::ApiTokenRow> rows_;
};

}  // namespace bedside::server
