#include "faulty_vfs.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>

namespace bedside::store {

// SQLite allocates szOsFile bytes for it; the real file's bytes follow.
struct FaultyVfs::File : sqlite3_file {
  FaultyVfs* vfs = nullptr;
  bool counted = false;  // a database or its WAL
  // SQLite needs a rollback journal for the one step from an empty file to WAL mode: a power cut
  // leaves it too, but no fault and no limit is about it.
  bool rollback_journal = false;
  std::uint64_t serial = 0;
  std::string path;
  bool tracked() const { return counted || rollback_journal; }
  sqlite3_file* real() {
    return static_cast<sqlite3_file*>(
        static_cast<void*>(static_cast<std::byte*>(static_cast<void*>(this)) + kSize));
  }
  static File& of(sqlite3_file* file) { return *static_cast<File*>(file); }
  static constexpr std::size_t kSize = 128;
};

void apply(std::vector<std::uint8_t>& content, const FaultyVfs::Write& write) {
  const auto offset = static_cast<std::size_t>(write.offset);
  if (write.data.empty()) {
    content.resize(offset);
    return;
  }
  content.resize(std::max(content.size(), offset + write.data.size()));
  std::copy(write.data.begin(), write.data.end(),
            content.begin() + static_cast<std::ptrdiff_t>(offset));
}

FaultyVfs::FaultyVfs() : real_(sqlite3_vfs_find(nullptr)), methods_(methods()) {
  static_assert(sizeof(File) <= File::kSize);
  static std::atomic<int> serial = 0;
  name_ = "faulty-" + std::to_string(++serial);
  vfs_ = *real_;  // what is not replaced below finds its data in the real one's
  vfs_.szOsFile = static_cast<int>(File::kSize) + real_->szOsFile;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = [](sqlite3_vfs* v, const char* path, int sync) {
    auto* self = static_cast<FaultyVfs*>(v->pAppData);
    {
      const std::lock_guard lock(self->mutex_);
      self->image_.erase(path);
    }
    return self->real_->xDelete(self->real_, path, sync);
  };
  vfs_.xAccess = [](sqlite3_vfs* v, const char* path, int flags, int* result) {
    auto* self = static_cast<FaultyVfs*>(v->pAppData);
    return self->real_->xAccess(self->real_, path, flags, result);
  };
  vfs_.xFullPathname = [](sqlite3_vfs* v, const char* path, int size, char* out) {
    auto* self = static_cast<FaultyVfs*>(v->pAppData);
    return self->real_->xFullPathname(self->real_, path, size, out);
  };
  sqlite3_vfs_register(&vfs_, 0);
}

FaultyVfs::~FaultyVfs() { sqlite3_vfs_unregister(&vfs_); }

int FaultyVfs::open(sqlite3_vfs* v, const char* path, sqlite3_file* raw, int flags, int* out) {
  auto* self = static_cast<FaultyVfs*>(v->pAppData);
  File* file = new (raw) File{};
  const int code = self->real_->xOpen(self->real_, path, file->real(), flags, out);
  if (file->real()->pMethods == nullptr) return code;  // then SQLite does not close it either
  file->pMethods = &self->methods_;
  file->vfs = self;
  file->counted = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0;
  file->rollback_journal = (flags & SQLITE_OPEN_MAIN_JOURNAL) != 0;
  file->path = path != nullptr ? path : "";
  if (file->counted) {
    const std::lock_guard lock(self->mutex_);
    std::error_code none;
    const auto size = std::filesystem::file_size(file->path, none);
    file->serial = ++self->opened_;
    self->sizes_[file->path] = none ? 0 : static_cast<std::int64_t>(size);
  }
  return code;
}

void FaultyVfs::fail(Fault fault, std::uint64_t nth, bool for_good) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  countdown_ = nth;
  for_good_ = for_good;
}

void FaultyVfs::set_capacity(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

std::uint64_t FaultyVfs::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

void FaultyVfs::cut_power_at(std::uint64_t nth, std::function<void(const Image&)> at_cut) {
  const std::lock_guard lock(mutex_);
  cut_at_ = nth;
  at_cut_ = std::move(at_cut);
}

std::size_t FaultyVfs::writers_of(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = writers_.find(path);
  return found == writers_.end() ? 0 : found->second.size();
}

bool FaultyVfs::armed() const {
  const std::lock_guard lock(mutex_);
  return fault_ != Fault::none && countdown_ > 0;
}

bool FaultyVfs::hit(Call call) {
  if (fault_ == Fault::none) return false;
  const Call meant = fault_ == Fault::sync_error   ? Call::sync
                     : fault_ == Fault::read_error ? Call::read
                                                   : Call::write;
  if (call != meant) return false;
  if (countdown_ > 0 && --countdown_ > 0) return false;
  if (!for_good_) fault_ = Fault::none;
  return true;
}

void FaultyVfs::change(const File& file) {
  ++changes_;
  writers_[file.path].insert(file.serial);
  if (changes_ == cut_at_ && at_cut_) at_cut_(image_);
}

bool FaultyVfs::over_capacity(const std::string& path, std::int64_t size) {
  if (capacity_ == 0 || size <= sizes_[path]) return false;
  std::int64_t total = size;
  for (const auto& [other, its_size] : sizes_) {
    if (other != path) total += its_size;
  }
  return total > static_cast<std::int64_t>(capacity_);
}

int FaultyVfs::read(File& file, void* out, int size, std::int64_t offset) {
  {
    const std::lock_guard lock(mutex_);
    if (hit(Call::read)) return SQLITE_IOERR_READ;
  }
  return file.real()->pMethods->xRead(file.real(), out, size, offset);
}

int FaultyVfs::write(File& file, const void* data, int size, std::int64_t offset) {
  const std::lock_guard lock(mutex_);
  const auto* first = static_cast<const std::uint8_t*>(data);
  if (file.rollback_journal) {
    image_[file.path].pending.push_back({offset, {first, first + size}});
    return file.real()->pMethods->xWrite(file.real(), data, size, offset);
  }
  change(file);
  const Fault planned = fault_;
  if (hit(Call::write)) {
    // The unix VFS, too, says FULL when the kernel took a part and then nothing more.
    if (planned == Fault::short_write) {
      file.real()->pMethods->xWrite(file.real(), data, size / 2, offset);
    }
    return planned == Fault::write_error ? SQLITE_IOERR_WRITE : SQLITE_FULL;
  }
  if (over_capacity(file.path, offset + size)) return SQLITE_FULL;
  sizes_[file.path] = std::max(sizes_[file.path], offset + size);
  image_[file.path].pending.push_back({offset, {first, first + size}});
  return file.real()->pMethods->xWrite(file.real(), data, size, offset);
}

int FaultyVfs::truncate(File& file, std::int64_t size) {
  const std::lock_guard lock(mutex_);
  if (!file.rollback_journal) {
    change(file);
    if (fault_ == Fault::write_error && hit(Call::write)) return SQLITE_IOERR_TRUNCATE;
    sizes_[file.path] = size;
  }
  image_[file.path].pending.push_back({size, {}});
  return file.real()->pMethods->xTruncate(file.real(), size);
}

int FaultyVfs::sync(File& file, int) {
  const std::lock_guard lock(mutex_);
  if (!file.rollback_journal) {
    change(file);
    if (hit(Call::sync)) return SQLITE_IOERR_FSYNC;
  }
  FileImage& image = image_[file.path];
  for (const Write& write : image.pending) apply(image.durable, write);
  image.pending.clear();
  return SQLITE_OK;  // the test's power cut is simulated, so the real disk need not work for it
}

sqlite3_io_methods FaultyVfs::methods() {
  sqlite3_io_methods m{};
  m.iVersion = 2;  // no xFetch: mmap is off anyway
  set_file_methods(m);
  set_lock_methods(m);
  set_memory_methods(m);
  return m;
}

void FaultyVfs::set_file_methods(sqlite3_io_methods& m) {
  m.xClose = [](sqlite3_file* f) {
    File& file = File::of(f);
    const int code = file.real()->pMethods->xClose(file.real());
    std::destroy_at(&file);
    return code;
  };
  m.xRead = [](sqlite3_file* f, void* out, int size, sqlite3_int64 at) {
    File& file = File::of(f);
    if (!file.counted) return file.real()->pMethods->xRead(file.real(), out, size, at);
    return file.vfs->read(file, out, size, at);
  };
  m.xWrite = [](sqlite3_file* f, const void* data, int size, sqlite3_int64 at) {
    File& file = File::of(f);
    if (!file.tracked()) return file.real()->pMethods->xWrite(file.real(), data, size, at);
    return file.vfs->write(file, data, size, at);
  };
  m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
    File& file = File::of(f);
    if (!file.tracked()) return file.real()->pMethods->xTruncate(file.real(), size);
    return file.vfs->truncate(file, size);
  };
  m.xSync = [](sqlite3_file* f, int flags) {
    File& file = File::of(f);
    if (!file.tracked()) return file.real()->pMethods->xSync(file.real(), flags);
    return file.vfs->sync(file, flags);
  };
  m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xFileSize(real, size);
  };
  m.xSectorSize = [](sqlite3_file*) { return 512; };
  // No promises: neither atomic sectors nor safety of neighbours in a power cut.
  m.xDeviceCharacteristics = [](sqlite3_file*) { return 0; };
}

void FaultyVfs::set_lock_methods(sqlite3_io_methods& m) {
  m.xLock = [](sqlite3_file* f, int level) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xLock(real, level);
  };
  m.xUnlock = [](sqlite3_file* f, int level) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xUnlock(real, level);
  };
  m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xCheckReservedLock(real, out);
  };
  m.xFileControl = [](sqlite3_file* f, int what, void* arg) {
    sqlite3_file* real = File::of(f).real();
    // Size hints would make the real one grow the file past our books.
    if (what == SQLITE_FCNTL_SIZE_HINT || what == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
    return real->pMethods->xFileControl(real, what, arg);
  };
}

void FaultyVfs::set_memory_methods(sqlite3_io_methods& m) {
  m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xShmMap(real, page, size, extend, out);
  };
  m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xShmLock(real, offset, n, flags);
  };
  m.xShmBarrier = [](sqlite3_file* f) {
    sqlite3_file* real = File::of(f).real();
    real->pMethods->xShmBarrier(real);
  };
  m.xShmUnmap = [](sqlite3_file* f, int remove) {
    sqlite3_file* real = File::of(f).real();
    return real->pMethods->xShmUnmap(real, remove);
  };
}

}  // namespace bedside::store
