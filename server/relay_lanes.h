#pragma once

// All relay threads as one: whatever concerns every shard and its front door is said once here.
//
// Opened, started and stopped by the main thread; each of the others may be called from any thread
// where nothing else is said.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/config.h"
#include "server/front_door.h"
#include "server/net/loop.h"
#include "server/net/tls.h"
#include "server/relay_setup.h"
#include "server/relay_shard.h"

namespace bedside::server {

class RelayLanes {
 public:
  // Binds everything; nothing is accepted before start(). What is shared, and `tls` (null: none is
  // spoken), outlive the lanes. Errors name the address.
  static tl::expected<std::unique_ptr<RelayLanes>, std::string> open(const Config& config,
                                                                     const RelaySetup& setup,
                                                                     const RelayShardShared& shared,
                                                                     const net::TlsContext* tls);

  // What turns out to be HTTP is given to `on_http`, on the thread that accepted it.
  void start(const FrontDoor::OnConnection& on_http);
  void close_doors();
  // Ends every allocation and the threads; blocks. After close_doors().
  void stop();

  std::size_t size() const { return lanes_.size(); }
  std::vector<const RelayStats*> stats() const;

  // New allocations are refused while the audit log cannot take more (told by the control thread),
  // and while the operator drains. False: a thread was too busy to be told.
  bool set_accepting(bool accepting);
  bool set_draining(bool draining);

  // Ends what a participant has. False: a thread was too busy; telling all of them again does no
  // harm.
  bool revoke_participant(const std::string& participant);

  // Main thread; these wait for a thread that is busy: its queue is deep and has room a moment
  // later.
  void use(const RelaySetup& setup);
  void revoke_user(const std::string& name);

 private:
  // One relay thread: its shard, the front door on the same loop, and the bell that closes the
  // door.
  struct Lane {
    std::unique_ptr<RelayShard> shard;
    std::unique_ptr<FrontDoor> door;
    std::unique_ptr<net::Wakeup> close_door;
  };

  bool tell_all();

  std::vector<Lane> lanes_;
  std::mutex accepting_mutex_;
  bool accepting_ = true;
  bool draining_ = false;
};

}  // namespace bedside::server
