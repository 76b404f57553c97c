#pragma once

// A disk that fails on purpose, as a SQLite VFS.

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace bedside::store {

inline constexpr std::uint64_t kNoSpace = 1;  // byte of capacity: nothing can grow

// A disk for tests: passes everything to the real one, counts what changes a file, fails the calls
// it is told to fail, and remembers what a power cut would leave. Shared memory (-shm) is not
// counted: it does not survive a power cut and is rebuilt.
class FaultyVfs {
 public:
  // short_write: half of it is written, then there is no space.
  enum class Fault : std::uint8_t { none, full, short_write, write_error, sync_error, read_error };

  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  const std::string& name() const { return name_; }

  // From now on, the calls that this fault can hit (writes, with write_error truncations, or syncs,
  // or reads) are counted; the nth (from 1) fails, and with `for_good` every later one.
  void fail(Fault fault, std::uint64_t nth, bool for_good);
  bool armed() const;  // a fault is set and has not struck yet
  void heal() { fail(Fault::none, 0, false); }
  // Files may not grow beyond this many bytes together; 0: no limit.
  void set_capacity(std::uint64_t bytes);

  std::uint64_t changes() const;  // writes, truncations and syncs so far
  // How many connections changed this file (a database or its WAL) or synced it so far.
  std::size_t writers_of(const std::string& path) const;

  // What is on stable storage (`durable`), and what was written but not synced, in order.
  struct Write {
    std::int64_t offset = 0;  // with no data: truncation to this size
    std::vector<std::uint8_t> data;
  };
  struct FileImage {
    std::vector<std::uint8_t> durable;
    std::vector<Write> pending;
  };
  using Image = std::map<std::string, FileImage>;
  // Calls `at_cut` with the image as it is just before change number `nth`, on the thread of the
  // change.
  void cut_power_at(std::uint64_t nth, std::function<void(const Image&)> at_cut);

 private:
  struct File;
  static int open(sqlite3_vfs*, const char*, sqlite3_file*, int, int*);
  enum class Call : std::uint8_t { write, sync, read };
  bool hit(Call call);
  int read(File& file, void* out, int size, std::int64_t offset);
  int write(File& file, const void* data, int size, std::int64_t offset);
  int truncate(File& file, std::int64_t size);
  int sync(File& file, int flags);
  void change(const File& file);
  bool over_capacity(const std::string& path, std::int64_t size);

  static sqlite3_io_methods methods();
  static void set_file_methods(sqlite3_io_methods& m);
  static void set_lock_methods(sqlite3_io_methods& m);
  static void set_memory_methods(sqlite3_io_methods& m);

  std::string name_;
  sqlite3_vfs* real_ = nullptr;
  sqlite3_vfs vfs_{};
  sqlite3_io_methods methods_{};

  mutable std::mutex mutex_;
  Fault fault_ = Fault::none;
  std::uint64_t countdown_ = 0;
  bool for_good_ = false;
  std::uint64_t capacity_ = 0;
  std::map<std::string, std::int64_t> sizes_;
  std::uint64_t changes_ = 0;
  std::uint64_t cut_at_ = 0;
  std::function<void(const Image&)> at_cut_;
  Image image_;
  std::uint64_t opened_ = 0;
  std::map<std::string, std::set<std::uint64_t>> writers_;
};

void apply(std::vector<std::uint8_t>& content, const FaultyVfs::Write& write);

}  // namespace bedside::store
