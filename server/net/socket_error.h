// The error of everything here that opens a socket.
#pragma once

#include <string>

namespace bedside::net {

// Why a socket could not be opened. `code` is the errno; `message` is a sentence for an operator:
// it names the endpoint, says what is wrong and, where we know it, what to do.
struct SocketError {
  int code = 0;
  std::string message;
};

}  // namespace bedside::net
