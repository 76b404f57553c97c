#pragma once

// Why a database could not be opened, for the operator.

#include <cstdint>
#include <string>

namespace bedside::store {

struct OpenError {
  enum class Kind : std::uint8_t {
    folder,          // cannot make or use the folder
    unreadable,      // the file cannot be opened by this user
    in_use,          // another process has it
    not_a_database,  // no SQLite file, or one of another program
    newer_version,   // written by a newer bedside
    damaged,         // a check at start failed
    io,              // anything else the system or SQLite reports
  };
  Kind kind = Kind::io;
  std::string text;  // a sentence for the operator, with the remedy
};

}  // namespace bedside::store
