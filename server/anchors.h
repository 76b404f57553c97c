#pragma once

// Anchors as the service sees them: the places of the configuration, this server as a witness, and
// the two lasting keys (data_dir/keys/log.key and witness.key) by which others know it.
//
// Main thread; figures() and metrics() on any.

#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/admin_backend.h"
#include "server/anchor_keeper.h"
#include "server/audit_trail.h"
#include "server/config.h"
#include "server/happened.h"
#include "server/metrics.h"
#include "server/witness_api.h"
#include "store/store.h"

namespace bedside::server {

// An error when the anchor file contradicts the database: somebody has changed or rolled it back,
// and a log that went on would bury that. So it is asked before anything opens the database to
// write. Nothing to compare, yet, is no error.
tl::expected<void, std::string> check_anchor_file(const Config& config);

class Anchors {
 public:
  // Makes missing keys. Asks check_anchor_file() once more, for a database that had to be brought
  // up to date first. The others outlive this.
  static tl::expected<std::unique_ptr<Anchors>, std::string> open(const Config& config,
                                                                  net::Loop& control_loop,
                                                                  AuditTrail& trail,
                                                                  store::Store& store,
                                                                  Happened& happened);

  // Null when no log is configured to be witnessed. Control thread.
  WitnessApi* witness() { return witness_ ? &*witness_ : nullptr; }
  void restore(const store::LoadedState& state);

  void start();
  // The last checkpoint goes to the anchor file. After the store is closed. False: a request to
  // another machine is under way, and the destructor would wait for it.
  [[nodiscard]] bool finish();

  std::vector<AnchorMetrics> metrics() const;
  std::vector<AnchorFigures> figures() const;

 private:
  Anchors(store::SigningKey log_key, store::SigningKey witness_key);
  static void tell(const AnchorState& state, Happened& happened);

  store::SigningKey log_key_;
  store::SigningKey witness_key_;
  std::optional<WitnessApi> witness_;
  std::unique_ptr<AnchorKeeper> keeper_;
};

// What `bedside witness key` prints: the key of this log for its witnesses, and the key of this
// server as a witness. An error when the log has not begun yet.
struct WitnessKeys {
  std::string log;
  std::string witness;
};
tl::expected<WitnessKeys, std::string> witness_keys(const Config& config);

// `bedside witness key|list`. Exit codes. `origin`: of this log alone; empty: of all.
int print_witness_keys(const Config& config);
int print_witnessed_logs(const Config& config, const std::string& origin);

}  // namespace bedside::server
