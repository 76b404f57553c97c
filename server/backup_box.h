#pragma once

// A backup as a file: encrypted with a random AES-256-GCM key that is wrapped to the public half of
// a BackupKey, so that whoever has the file or the server can neither read nor change it unnoticed.
//
//   "bedside backup 1\n" KEY-ID "\n" base64(wrapped key) "\n"
//   then pieces of 64 KiB, each with its tag of 16 bytes; the last one is shorter, perhaps empty.
//
// The nonce of a piece is its number and whether it is the last one (STREAM, Hoang et al., 2015):
// pieces cannot be reordered, dropped or cut off. The header is authenticated with each of them.
// One thread at a time. Errors are sentences.

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/backup_key.h"
#include "store/tar.h"

namespace bedside::server {

inline constexpr std::size_t kBoxPiece = std::size_t{64} * 1024;

class BoxWriter {
 public:
  // Writes the header. The sink outlives this.
  static tl::expected<BoxWriter, std::string> begin(const BackupKey& to, store::ByteSink& sink);
  BoxWriter(BoxWriter&&) noexcept = default;
  BoxWriter& operator=(BoxWriter&&) = delete;
  ~BoxWriter();

  // False: the sink takes no more.
  bool add(std::string_view bytes);
  bool finish();

  // To read the box again while its maker still has the key.
  const ContentKey& key() const { return key_; }

 private:
  explicit BoxWriter(store::ByteSink& sink) : sink_(&sink) {}
  bool seal(std::string_view piece, bool last);

  store::ByteSink* sink_;
  ContentKey key_{};
  std::string header_;
  std::string waiting_;
  std::uint64_t pieces_ = 0;
};

class BoxReader {
 public:
  static tl::expected<BoxReader, std::string> open(const std::string& file);
  BoxReader(BoxReader&&) noexcept = default;
  BoxReader& operator=(BoxReader&&) = delete;
  ~BoxReader();

  const std::string& key_id() const { return key_id_; }  // of the pair it was written to
  tl::expected<void, std::string> unlock(const BackupKey& with);
  void unlock(const ContentKey& key) { key_ = key; }

  // The next plain bytes; empty: that was all, and nothing is missing.
  tl::expected<std::string, std::string> next();

 private:
  BoxReader() = default;

  std::ifstream file_;
  std::string header_;
  std::string key_id_;
  std::vector<std::uint8_t> wrapped_;
  ContentKey key_{};
  std::uint64_t pieces_ = 0;
  bool ended_ = false;
};

}  // namespace bedside::server
