#pragma once

// The part of a start that can fail for reasons outside of the program: folders, keys, certificate,
// ports. Everything that is wrong is found and told at once, and nothing is left half started.

#include <optional>
#include <string>
#include <vector>

#include "server/config.h"
#include "server/keys.h"
#include "server/net/dtls.h"
#include "server/net/tls.h"

namespace bedside::server {

struct Prepared {
  Keys keys;
  std::optional<net::TlsContext> tls;    // when there is a certificate
  std::optional<net::DtlsContext> dtls;  // the same, unless turn.dtls = false
  bool ipv6 = true;                      // false: this machine has none

  // Null without.
  net::TlsContext* served_tls() { return tls ? &*tls : nullptr; }
  const net::TlsContext* served_tls() const { return tls ? &*tls : nullptr; }
  net::DtlsContext* served_dtls() { return dtls ? &*dtls : nullptr; }
};

// Changes the configuration to what this machine has: wildcards are split by family, without IPv6
// its wildcard and the demo's IPv6 endpoints go, the demo's shared secret is filled in. `errors`
// receives sentences with remedies; the result is good only when none was added.
Prepared prepare(Config& config, std::vector<std::string>& errors);

// As many descriptors as the system allows: every relayed participant holds a socket or two.
void raise_file_limit();

// No core file, no core handler's copy, and no debugger of the same user gets at the keys in this
// process's memory (checklist B.67). Root still does.
void keep_memory_private();

}  // namespace bedside::server
