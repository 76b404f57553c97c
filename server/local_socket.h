#pragma once

// The way in for `bedside token`, `room`, `admin`, `audit export`, `audit hold` and `backup`: HTTP
// on a Unix socket in data_dir (0600, in a folder of 0700). Whoever may open it could as well read
// the database; so it asks for no password. SQLite has one writer, the running server: that is why
// the commands come here.
//
//   POST /tokens {name, scopes:[…], days}   → {token, id}      the only time the token is shown
//   GET  /tokens                            → {tokens:[{id, name, scopes, createdAt, expiresAt}]}
//   DELETE /tokens?id=
//   POST /rooms {appointmentId, roomName?}  → {roomId, link, hostLink?, expiresAt?}
//   GET  /rooms                             → {rooms:[{roomId, createdAt, people}]}
//   DELETE /rooms?roomId=
//   POST /audit/exported {detail of the record}   → {seq}       once it is durable
//   POST /audit/verified {ok, records, root, firstBad}           → {seq}
//   POST /audit/holds {room?, person?, from?, to?, reason, reference?}  → {seq, id}
//   POST /audit/holds/cleared {id, reason, reference?}           → {seq}
//   POST /accounts/invited {name, codeHash, expiresAt}           → {seq}   the code stays outside
//   POST /accounts/disabled {name}                               → {seq}
//   POST /backups {ok, records, root, digest, bytes, restoreMs} → {seq}  likewise
//
// Every request says in Bedside-User (local_user.h) who runs the command; without it: 400.
// What changes something gives a "receipt", too (store/receipt.h). Errors are {"error": sentence}.
// Two threads of cpp-httplib's stock server, which never meets the network; each request waits for
// the control thread.

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/config.h"

namespace bedside::server {

class Control;

std::filesystem::path local_socket_path(const Config& config);

// One of the endpoints above. There are no others: one that is not in the table is not served.
struct LocalRoute {
  std::string_view method;
  std::string_view path;
  // The types of the records of a success, with a space between; empty: it changes nothing.
  std::string_view record;
};
std::span<const LocalRoute> local_routes();

class LocalSocket {
 public:
  // Runs a task on the control thread; false when that thread is too busy.
  using OnControl = std::function<bool(const std::function<void()>&)>;

  // Bound, not serving. A socket file that a killed server left behind is replaced: the database's
  // lock, which the caller holds, says that nobody uses it. The error is a sentence with its
  // remedy.
  // `database`: where requests are checked that need a look at the log, on a thread of their own.
  static tl::expected<std::unique_ptr<LocalSocket>, std::string> open(
      const std::filesystem::path& path, const std::filesystem::path& database, Control& control,
      OnControl on_control);
  // The control thread runs: answers are waited for.
  void start();
  // Answers what is under way; the control thread still runs.
  ~LocalSocket();

  LocalSocket(const LocalSocket&) = delete;
  LocalSocket& operator=(const LocalSocket&) = delete;

 private:
  struct Running;
  explicit LocalSocket(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace bedside::server
