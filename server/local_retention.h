#pragma once

// `bedside audit hold`, `bedside audit purge status` and `bedside audit keys give-up`. A purge
// itself is proposed and approved on the admin page, where two persons prove who they are. Each
// call prints what it found on standard output, or why not on standard error, and returns the exit
// code.

#include <string>

#include "server/config.h"

namespace bedside::server {

struct HoldCommand {
  std::string room;    // a name or its pseudonym
  std::string person;  // the id of who acted or was acted on
  std::string from;    // as parse_instant() takes it
  std::string to;
  std::string reason;
  std::string reference;
  std::string id;  // of the one to clear
};

int hold_set(const Config& config, const HoldCommand& command);
int hold_clear(const Config& config, const HoldCommand& command);
int hold_list(const Config& config);
int purge_status(const Config& config);

struct GiveUpKeys {
  bool yes = false;          // do it, not only tell what it means
  bool key_is_lost = false;  // that no key of the operator's own is here is no oversight
};

// The keys of personal values that do not open with what is here. With the server stopped. Refused
// where no key of the operator's own is in reach, unless that is said to be lost.
int give_up_keys(const Config& config, const GiveUpKeys& command);

}  // namespace bedside::server
