#pragma once

// A tar archive (POSIX ustar) of a few plain files: what everybody can open. One thread at a time.

#include <cstdint>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace bedside::store {

// Where an archive goes. Both are false when that is not possible (any more).
class ByteSink {
 public:
  ByteSink() = default;
  ByteSink(const ByteSink&) = delete;
  ByteSink& operator=(const ByteSink&) = delete;
  virtual ~ByteSink() = default;
  virtual bool append(std::string_view bytes) = 0;
  virtual bool replace(std::uint64_t offset, std::string_view bytes) = 0;
};

// File by file, without knowing their sizes: each header is written again at the end of its file.
class TarWriter {
 public:
  // `folder`/name is what files are called; `mtime` is theirs, in seconds of Unix time.
  TarWriter(ByteSink& sink, std::string folder, std::int64_t mtime)
      : sink_(sink), folder_(std::move(folder)), mtime_(mtime) {}

  // False: the sink takes no more, or a file has more than 8 GiB.
  bool begin(std::string_view name);
  bool add(std::string_view bytes);
  bool end();
  bool finish();  // after the last file

 private:
  std::string header(std::uint64_t size) const;
  bool append(std::string_view bytes);

  ByteSink& sink_;
  std::string folder_;
  std::int64_t mtime_;
  std::string name_;
  std::uint64_t header_at_ = 0;
  std::uint64_t at_ = 0;
  std::uint64_t size_ = 0;
};

struct TarEntry {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
inline constexpr std::size_t kMaxTarEntries = 64;

// The files of an archive by their names without folders. An error (a sentence): it is no such
// archive, or one byte outside of the files is not as TarWriter and tar write it. Extended headers
// may tell times and owners, and nothing that changes which bytes are which file.
tl::expected<std::map<std::string, TarEntry>, std::string> read_tar(const std::string& path);

// The lines of one file in an archive.
class TarLines {
 public:
  TarLines(const std::string& path, TarEntry entry);

  // Without its line break. Nothing at the end; then, whether that is the end of the file.
  std::optional<std::string> next();
  bool at_end() const { return left_ == 0; }

  static constexpr std::size_t kMaxLine = std::size_t{64} * 1024;

 private:
  std::ifstream file_;
  std::uint64_t left_;
};

}  // namespace bedside::store
