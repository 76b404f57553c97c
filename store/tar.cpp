#include "store/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace bedside::store {
namespace {

constexpr std::size_t kTarBlock = 512;
constexpr std::uint64_t kMaxTarFile = (std::uint64_t{1} << 33) - 1;  // eleven octal digits
constexpr std::uint64_t kMaxPaxHeader = std::uint64_t{16} * 1024;

// Places in a header (POSIX.1-2017, pax, "ustar Interchange Format").
constexpr std::size_t kNameSize = 100;
constexpr std::size_t kSizeAt = 124;
constexpr std::size_t kChecksumAt = 148;
constexpr std::size_t kTypeAt = 156;

void put(std::string& header, std::size_t at, std::string_view text) {
  header.replace(at, text.size(), text);
}

std::string octal(std::uint64_t value, int digits) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  return text;
}

// The sum of all bytes, its own field taken as blanks.
std::uint64_t checksum(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool own = i >= kChecksumAt && i < kChecksumAt + 8;
    sum += own ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

std::optional<std::uint64_t> read_octal(std::string_view field) {
  const std::size_t end = std::min(field.find_first_of(std::string_view("\0 ", 2)), field.size());
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(field.data(), field.data() + end, value, 8);
  if (error != std::errc() || stop != field.data() + end) return std::nullopt;
  return value;
}

std::uint64_t padding(std::uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

bool read_exactly(std::ifstream& file, std::string& out) {
  return static_cast<bool>(file.read(out.data(), static_cast<std::streamsize>(out.size())));
}

struct Header {
  char type = 0;
  std::uint64_t size = 0;
  std::string name;  // without folders

  bool is_folder() const { return type == '5'; }
  bool is_pax() const { return type == 'x' || type == 'g'; }
};

// Nothing when the block is no header. A folder has no content.
std::optional<Header> read_header(std::string_view block) {
  const auto sum = read_octal(block.substr(kChecksumAt, 8));
  const auto size = read_octal(block.substr(kSizeAt, 12));
  if (!sum || *sum != checksum(block) || !size) return std::nullopt;
  Header made{block[kTypeAt], *size, std::string(block.substr(0, kNameSize))};
  made.name.erase(std::min(made.name.find('\0'), kNameSize));
  made.name.erase(0, made.name.rfind('/') + 1);
  if (made.is_folder() && made.size != 0) return std::nullopt;
  return made;
}

// Whether the records of an extended header (POSIX.1-2017, pax, "pax Extended Header") say nothing
// but when and whose a file is, as the tools write that repack an export. One that renames or
// resizes files would show other files to each reader.
bool is_incidental(std::string_view records) {
  constexpr std::array<std::string_view, 8> kIncidental = {"mtime", "atime", "ctime", "uid",
                                                           "gid",   "uname", "gname", "comment"};
  while (!records.empty()) {
    const std::size_t gap = std::min(records.find(' '), records.size());
    std::size_t length = 0;
    const auto [stop, error] = std::from_chars(records.data(), records.data() + gap, length);
    if (error != std::errc() || stop != records.data() + gap) return false;
    if (length < gap + 2 || length > records.size() || records[length - 1] != '\n') return false;
    const std::string_view record = records.substr(gap + 1, length - gap - 2);
    const std::size_t end = record.find('=');
    if (end == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, end);
    if (std::find(kIncidental.begin(), kIncidental.end(), key) == kIncidental.end()) return false;
    records.remove_prefix(length);
  }
  return true;
}

}  // namespace

std::string TarWriter::header(std::uint64_t size) const {
  std::string made(kTarBlock, '\0');
  put(made, 0, folder_ + "/" + name_);
  put(made, kNameSize, "0000600");
  put(made, 108, "0000000");
  put(made, 116, "0000000");
  put(made, kSizeAt, octal(size, 11));
  put(made, 136, octal(static_cast<std::uint64_t>(std::max<std::int64_t>(mtime_, 0)), 11));
  made[kTypeAt] = '0';
  put(made, 257, std::string_view("ustar\00000", 8));
  put(made, kChecksumAt, octal(checksum(made), 6) + '\0' + ' ');
  return made;
}

bool TarWriter::append(std::string_view bytes) {
  at_ += bytes.size();
  return sink_.append(bytes);
}

bool TarWriter::begin(std::string_view name) {
  name_ = name;
  header_at_ = at_;
  size_ = 0;
  return folder_.size() + 1 + name_.size() < kNameSize && append(header(0));
}

bool TarWriter::add(std::string_view bytes) {
  size_ += bytes.size();
  return append(bytes);
}

bool TarWriter::end() {
  return size_ <= kMaxTarFile && append(std::string(padding(size_), '\0')) &&
         sink_.replace(header_at_, header(size_));
}

bool TarWriter::finish() { return append(std::string(2 * kTarBlock, '\0')); }

tl::expected<std::map<std::string, TarEntry>, std::string> read_tar(const std::string& path) {
  const auto bad = [](const char* what) { return tl::unexpected(std::string(what)); };
  std::ifstream file(path, std::ios::binary);
  if (!file) return bad("it cannot be opened");
  file.seekg(0, std::ios::end);
  const auto all = static_cast<std::uint64_t>(file.tellg());
  file.seekg(0);
  std::map<std::string, TarEntry> entries;
  std::string block(kTarBlock, '\0');
  std::uint64_t at = 0;
  while (read_exactly(file, block) && !all_zero(block)) {
    const auto header = read_header(block);
    if (!header) return bad("it is damaged: a header does not fit");
    at += kTarBlock;
    const std::uint64_t size = header->size;
    if (size + padding(size) > all - at) return bad("it is cut off");
    if (header->is_pax()) {
      std::string records(std::min(size, kMaxPaxHeader + 1), '\0');
      if (!read_exactly(file, records) || size > kMaxPaxHeader || !is_incidental(records))
        return bad("it has names or sizes of files in an extended header");
    } else if (header->type == '0') {
      const bool known = !entries.emplace(header->name, TarEntry{at, size}).second;
      if (known || entries.size() > kMaxTarEntries) return bad("a file is in it twice");
    } else if (!header->is_folder()) {
      return bad("it has something else than plain files in it");
    }
    std::string rest(padding(size), '\0');
    file.seekg(static_cast<std::streamoff>(at + size));
    if (!read_exactly(file, rest) || !all_zero(rest))
      return bad("there is something between files");
    at += size + rest.size();
  }
  if (!file) return bad("it is cut off");
  while (read_exactly(file, block)) {
    if (!all_zero(block)) return bad("there is something behind its end");
  }
  if (file.gcount() != 0) return bad("there is something behind its end");
  return entries;
}

TarLines::TarLines(const std::string& path, TarEntry entry)
    : file_(path, std::ios::binary), left_(entry.size) {
  file_.seekg(static_cast<std::streamoff>(entry.offset));
}

std::optional<std::string> TarLines::next() {
  if (left_ == 0) return std::nullopt;
  std::string line;
  char c = 0;
  while (left_ > 0 && line.size() <= kMaxLine && file_.get(c)) {
    --left_;
    if (c == '\n') return line;
    line += c;
  }
  left_ = std::max<std::uint64_t>(left_, 1);  // no line break: the end is not an end
  return std::nullopt;
}

}  // namespace bedside::store
