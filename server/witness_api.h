#pragma once

// POST /witness/add-checkpoint (C2SP tlog-witness): this server as the witness of other practices'
// audit logs. What it has cosigned is in the database, and recorded, before the cosignature leaves.
// Without configured logs there is no such path.
//
// Control thread only.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/net/http_message.h"
#include "server/recorder.h"
#include "server/request_context.h"
#include "store/change.h"
#include "store/cosignature.h"
#include "store/witness.h"

namespace bedside::server {

class AuditTrail;

struct WitnessOptions {
  std::vector<store::VerifierKey> logs;         // whose checkpoints are cosigned
  std::string name;                             // of this witness
  std::function<std::chrono::seconds()> clock;  // Unix; empty: the system's
};

class WitnessApi {
 public:
  // `key` is this witness's lasting key; it and the others outlive this.
  WitnessApi(net::Loop& loop, WitnessOptions options, const store::SigningKey& key,
             AuditTrail& trail, store::Store& store);

  void restore(const std::vector<store::WitnessedLogRow>& logs);
  void handle(const net::HttpRequest& request, const RequestContext& context, Respond respond);

 private:
  struct Known {
    store::TreeHead head;
    bool busy = false;                            // a newer checkpoint is being written
    std::optional<std::chrono::seconds> refused;  // when a refusal was recorded last
  };
  void cosign(const store::AddCheckpoint& asked, const RequestContext& context, Respond respond);
  net::HttpResponse cosigned(const store::AddCheckpoint& asked, std::chrono::seconds time) const;
  void refuse(store::WitnessVerdict verdict, const store::AddCheckpoint& asked,
              const RequestContext& context, const Respond& respond);
  std::chrono::seconds now() const;

  const WitnessOptions options_;
  const store::SigningKey& key_;
  AuditTrail& trail_;
  Recorder recorder_;
  std::map<std::string, Known> known_;  // by origin; at most one for each configured log
};

}  // namespace bedside::server
