// Checkpoints in a file on another disk.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "server/anchor_places.h"
#include "store/checkpoint.h"

namespace bedside::server {
namespace {

constexpr std::string_view kSignatureMark = "\xE2\x80\x94 ";
constexpr std::size_t kCheckpointLines = 5;  // Checkpoint::text()
constexpr std::streamoff kTail = 64 * 1024;  // holds several notes
constexpr mode_t kAnchorMode = 0640;         // it holds no secret

class OpenFile {
 public:
  OpenFile(const std::filesystem::path& file, int flags)
      : fd_(::open(file.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kAnchorMode)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string system_error(const std::filesystem::path& file) {
  return file.string() + ": " + std::strerror(errno);
}

// A note that a crash cut off must not run into the next one.
bool ends_whole(int fd, off_t size) {
  if (size == 0) return true;
  std::array<char, 2> end{};
  return size >= 2 && ::pread(fd, end.data(), end.size(), size - 2) == 2 && end[0] == '\n' &&
         end[1] == '\n';
}

class AnchorFile final : public AnchorPlace {
 public:
  explicit AnchorFile(std::filesystem::path file)
      : file_(std::move(file)), name_("file " + file_.string()) {}

  const std::string& name() const override { return name_; }
  bool local() const override { return true; }

  tl::expected<std::uint64_t, AnchorProblem> keep(const store::Reader& log) override {
    const auto newest = log.newest_checkpoint();
    if (!newest) return tl::unexpected(AnchorProblem{newest.error()});
    const auto head = *newest ? store::read_tree_head(**newest) : std::nullopt;
    if (!head) return tl::unexpected(AnchorProblem{"the audit log has no checkpoint"});
    if (head->size == kept_) return kept_;
    const OpenFile file(file_, O_RDWR | O_APPEND | O_CREAT);
    struct stat facts {};
    if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) {
      return tl::unexpected(AnchorProblem{system_error(file_)});
    }
    const std::string text =
        (ends_whole(file.get(), facts.st_size) ? "" : "\n\n") + **newest + "\n";
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written != static_cast<ssize_t>(text.size()) || ::fsync(file.get()) != 0) {
      return tl::unexpected(AnchorProblem{system_error(file_)});
    }
    kept_ = head->size;
    return kept_;
  }

 private:
  std::filesystem::path file_;
  std::string name_;
  std::uint64_t kept_ = 0;
};

}  // namespace

std::unique_ptr<AnchorPlace> make_anchor_file(std::filesystem::path file) {
  return std::make_unique<AnchorFile>(std::move(file));
}

std::vector<std::string> notes_in(std::string_view text) {
  std::vector<std::string> notes;
  std::vector<std::string_view> lines;  // since the last empty line
  std::string note;                     // text and its signatures so far
  bool signatures = false;
  const auto finish = [&] {
    if (signatures && store::parse_note(note)) notes.push_back(note);
    note.clear();
    signatures = false;
  };
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // not a whole line
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with(kSignatureMark)) {
      if (!signatures) {
        // What a crash left may stand before the checkpoint's own lines.
        const std::size_t first =
            lines.size() > kCheckpointLines ? lines.size() - kCheckpointLines : 0;
        note.clear();
        for (std::size_t i = first; i < lines.size(); ++i) note.append(lines[i]).append("\n");
        note += '\n';
        signatures = true;
      }
      note.append(line).append("\n");
    } else if (signatures) {
      finish();
      lines.clear();
      if (!line.empty()) lines.push_back(line);
    } else if (line.empty()) {
      if (text.empty() || !text.starts_with(kSignatureMark)) lines.clear();
    } else {
      lines.push_back(line);
    }
  }
  finish();
  return notes;
}

tl::expected<std::optional<std::string>, std::string> newest_in_anchor_file(
    const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::exists(file, failed)) {
    if (failed) return tl::unexpected(file.string() + ": " + failed.message());
    return std::optional<std::string>();
  }
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const std::streamoff size = in ? std::streamoff(in.tellg()) : -1;
  if (size < 0) return tl::unexpected(system_error(file));
  in.seekg(size > kTail ? size - kTail : 0);
  std::string text(static_cast<std::size_t>(std::min(size, kTail)), '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return tl::unexpected(system_error(file));
  }
  std::vector<std::string> notes = notes_in(text);
  if (notes.empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(notes.back()));
}

std::optional<std::string> contradiction(const store::Reader& log, const std::string& note) {
  const auto parsed = store::parse_note(note);
  const auto head = parsed ? store::read_tree_head(parsed->text) : std::nullopt;
  if (!head) return "this is no checkpoint";
  const auto newest = log.newest_checkpoint();
  if (!newest) return newest.error();
  const auto now = *newest ? store::read_tree_head(**newest) : std::nullopt;
  if (!now) return "the database has no sealed audit log, but one was sealed before";
  if (now->origin != head->origin) return "the checkpoint is that of another audit log";
  if (now->size < head->size) {
    return "the audit log has " + std::to_string(now->size) + " records, and had " +
           std::to_string(head->size) + " before: it was rolled back";
  }
  const auto grown = log.growth_since(head->size);
  if (!grown) return grown.error();
  if (grown->old_root != head->root) {
    return "the first " + std::to_string(head->size) + " records are not those sealed before";
  }
  return std::nullopt;
}

}  // namespace bedside::server
