#pragma once

// Holds and purges of the audit log as the admin page does them. A purge takes two persons: one
// proposes, another one approves within a week (store::kProposalLasts). Approving archives what is
// to go, as an encrypted export that was checked (purge_archive.h), and only then purges, in one
// transaction with the record of it.
//
// Control thread only, except the work on workers. One archive at a time.

#include <filesystem>
#include <functional>
#include <string>

#include "server/admin_retention_json.h"
#include "server/config.h"
#include "server/recorder.h"
#include "server/request_context.h"
#include "server/worker_pool.h"
#include "store/audit_bundle.h"

namespace bedside::server {

struct RetentionOptions {
  std::string database;
  int keep_years = 10;
  BackupConfig backup;            // where archives go, and to whose key
  std::filesystem::path scratch;  // for a plain copy of an archive, while it is made
};

class AdminRetention {
 public:
  AdminRetention(RetentionOptions options, AuditTrail& trail, Recorder& recorder,
                 WorkerPool& workers);

  // For archives from now on.
  void use_backup(BackupConfig backup) { options_.backup = std::move(backup); }

  struct Asked {
    AuditStaff staff;
    AuditSource source;
    SessionView view;
    Respond respond;
  };

  void show(const Asked& asked);
  void set_hold(std::string_view body, const Asked& asked);
  void clear_hold(std::string_view body, const Asked& asked);
  void propose(const Asked& asked);
  void withdraw(const Asked& asked);
  // {through}: as show() told it.
  void approve(std::string_view body, const Asked& asked);

 private:
  struct Approval;
  using Done = std::function<net::HttpResponse(const std::string& receipt)>;
  void record_archive(Approval approval);
  void make_archive(Approval approval, std::uint64_t seq);
  void purge(const Approval& approval);
  void answer_purged(const Approval& approval, const std::string& receipt);
  static Done with_receipt(const Asked& asked);
  void change(RetentionAction action, const Asked& asked, Done done, net::HttpResponse conflict);
  void refuse(const Asked& asked, int status, std::string_view code, std::string_view why);

  RetentionOptions options_;
  AuditTrail& trail_;
  Recorder& recorder_;
  WorkerPool& workers_;
  bool busy_ = false;
};

}  // namespace bedside::server
