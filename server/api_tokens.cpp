#include "server/api_tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/bearer_secret.h"

namespace bedside::server {
namespace {

constexpr std::array kScopes{Scope::rooms_create, Scope::rooms_read, Scope::rooms_end};
constexpr std::string_view kTokenPrefix =
    "bedside_";  // so that people and scanners know what they found

bool is_token_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxApiTokenName &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool same_hash(const std::vector<std::uint8_t>& a, const SecretHash& b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < b.size(); ++i) difference |= unsigned{a[i]} ^ unsigned { b[i] };
  return difference == 0;
}

bool has_word(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == wanted) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

}  // namespace

std::string_view name_of(Scope scope) {
  switch (scope) {
    case Scope::rooms_create:
      return "rooms.create";
    case Scope::rooms_read:
      return "rooms.read";
    case Scope::rooms_end:
      return "rooms.end";
  }
  return "";
}

tl::expected<NewApiToken, std::string> make_api_token(const ApiTokenWish& wish,
                                                      std::chrono::milliseconds now_wall) {
  if (!is_token_name(wish.name)) {
    return tl::unexpected<std::string>("a token needs a name of 1 to 64 bytes: what will use it");
  }
  if (wish.days > kMaxApiTokenDays) return tl::unexpected<std::string>("days must be at most 3650");
  NewApiToken made;
  for (const Scope scope : kScopes) {  // in one order, each once
    const bool wanted =
        std::find(wish.scopes.begin(), wish.scopes.end(), name_of(scope)) != wish.scopes.end();
    if (wanted)
      made.row.scopes += (made.row.scopes.empty() ? "" : " ") + std::string(name_of(scope));
  }
  const bool all_known =
      std::all_of(wish.scopes.begin(), wish.scopes.end(),
                  [&](const std::string& scope) { return has_word(made.row.scopes, scope); });
  if (!all_known || made.row.scopes.empty()) {
    return tl::unexpected<std::string>("a token needs scopes: rooms.create, rooms.read, rooms.end");
  }
  made.secret = std::string(kTokenPrefix) + new_secret();
  const SecretHash hash = hash_of(made.secret);
  made.row.token_id = new_name();
  made.row.name = wish.name;
  made.row.secret_hash.assign(hash.begin(), hash.end());
  made.row.created_at = now_wall;
  if (wish.days > 0) made.row.expires_at = now_wall + std::chrono::hours{24} * wish.days;
  return made;
}

bool allows(const store::ApiTokenRow& token, Scope scope) {
  return has_word(token.scopes, name_of(scope));
}

bool ApiTokens::contains(std::string_view token_id) const {
  return std::any_of(rows_.begin(), rows_.end(),
                     [&](const store::ApiTokenRow& row) { return row.token_id == token_id; });
}

void ApiTokens::remove(std::string_view token_id) {
  std::erase_if(rows_, [&](const store::ApiTokenRow& row) { return row.token_id == token_id; });
}

const store::ApiTokenRow* ApiTokens::find(std::string_view secret,
                                          std::chrono::milliseconds now_wall) const {
  const SecretHash hash = hash_of(secret);
  const store::ApiTokenRow* found = nullptr;
  for (const store::ApiTokenRow& row : rows_) {
    if (same_hash(row.secret_hash, hash)) found = &row;
  }
  return found != nullptr && (!found->expires_at || *found->expires_at > now_wall) ? found
                                                                                   : nullptr;
}

}  // namespace bedside::server
