#pragma once

// A new file as a sink: written beside its name and given it when it is whole. One thread.

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "store/tar.h"

namespace bedside::store {

class FileSink final : public ByteSink {
 public:
  // 0600. Errors are sentences; a file that is there already is one.
  static tl::expected<std::unique_ptr<FileSink>, std::string> create(const std::string& path);
  FileSink(std::string path, int fd);
  ~FileSink() override;  // unfinished: nothing remains

  bool append(std::string_view bytes) override;
  bool replace(std::uint64_t offset, std::string_view bytes) override;
  // On stable storage, under its name.
  tl::expected<void, std::string> finish();

 private:
  bool flush();
  std::string partial() const { return path_ + ".part"; }

  std::string path_;
  int fd_;
  std::string waiting_;
  std::uint64_t written_ = 0;
};

}  // namespace bedside::store
