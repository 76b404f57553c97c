#pragma once

// The page files carried by the binary; the table is written by embed_assets.cmake.

#include <span>
#include <string_view>

namespace bedside::server {

struct EmbeddedAsset {
  std::string_view source;  // "admin-ui/index.html", relative to the source tree
  const char* begin;
  const char* end;

  std::string_view body() const { return {begin, static_cast<std::size_t>(end - begin)}; }
};

std::span<const EmbeddedAsset> embedded_assets();

}  // namespace bedside::server
