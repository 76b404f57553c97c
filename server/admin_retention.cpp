#include "server/admin_retention.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/purge_archive.h"
#include "store/verify.h"

namespace bedside::server {
namespace {

constexpr std::uint64_t kAllRecords = std::numeric_limits<std::int64_t>::max();

std::chrono::microseconds retention_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

net::HttpResponse busy_now() {
  return admin_refusal(503, "busy", "The server is busy. Please try again.");
}

bool is_too_old(const store::PurgeProposalRow& proposal) {
  return retention_now() - proposal.proposed_at > store::kProposalLasts;
}

// What is not as it was sealed must be found out before anything goes. Blocks.
std::optional<std::string> not_whole(const std::string& database, const WorkerPool& workers) {
  store::VerifyOptions wish;
  wish.path = database;
  wish.stop = [&workers] { return workers.stopping(); };
  const auto report = store::verify_log(wish);
  if (report && report->ok()) return std::nullopt;
  return "The log is not as it was sealed, so nothing of it is purged: " +
         (report ? report->problem : report.error()) +
         ". Run `bedside audit verify` on the server.";
}

// Blocks. An error is a sentence.
tl::expected<RetentionView, std::string> read_retention(const RetentionOptions& options) {
  const auto reader = store::Reader::open(options.database);
  if (!reader) return tl::unexpected(reader.error());
  RetentionView view;
  view.keep_years = options.keep_years;
  view.no_archive = no_archive(options.backup).value_or("");
  auto retention = reader->retention();
  if (!retention) return tl::unexpected(retention.error());
  view.retention = std::move(*retention);
  const auto accounts = reader->accounts();
  if (!accounts) return tl::unexpected(accounts.error());
  view.accounts = static_cast<std::size_t>(
      std::count_if(accounts->begin(), accounts->end(),
                    [](const store::AccountRow& row) { return !row.disabled_at; }));
  auto plan = reader->plan_purge(kAllRecords, options.keep_years, retention_now(), kAllRecords);
  if (!plan) return tl::unexpected(plan.error());
  view.plan = *plan;
  if (const auto& proposal = view.retention.proposal) {
    view.expired = is_too_old(*proposal);
    for (const store::AccountRow& row : *accounts) {
      if (row.created_at > proposal->proposed_at) view.young_accounts.push_back(row.name);
    }
    plan = reader->plan_purge(proposal->through, proposal->keep_years, retention_now(),
                              store::kMaxPurgedAtOnce);
    if (!plan) return tl::unexpected(plan.error());
    view.proposed = *plan;
  }
  return view;
}

using Read = tl::expected<RetentionView, std::string>;

}  // namespace

struct AdminRetention::Approval {
  Asked asked;
  std::uint64_t wanted = 0;
  store::PurgePlan plan;
  std::string proposed_by;
  std::chrono::microseconds proposed_at{};
  store::ExportOptions options;
  store::ExportSurvey survey;
  ArchiveMade archive;
  std::string code;  // of what is wrong; empty: nothing is
  std::string problem;

  void fail(std::string what, std::string why) {
    code = std::move(what);
    problem = std::move(why);
  }
};

AdminRetention::AdminRetention(RetentionOptions options, AuditTrail& trail, Recorder& recorder,
                               WorkerPool& workers)
    : options_(std::move(options)), trail_(trail), recorder_(recorder), workers_(workers) {}

void AdminRetention::refuse(const Asked& asked, int status, std::string_view code,
                            std::string_view why) {
  busy_ = false;
  asked.respond(admin_refusal(status, code, why));
}

void AdminRetention::change(RetentionAction action, const Asked& asked, Done done,
                            net::HttpResponse conflict) {
  const RetentionChange made{asked.staff, std::move(action)};
  store::Commit commit = trail_.commit(AdminAction{made}, asked.source);
  commit.receipt = true;
  recorder_.record_at(std::move(commit),
                      [respond = asked.respond, done = std::move(done),
                       conflict = std::move(conflict)](const store::CommitResult& result) {
                        if (result.status == store::CommitStatus::committed)
                          return respond(done(result.receipt));
                        const bool contradicts = result.status == store::CommitStatus::conflict;
                        respond(contradicts ? conflict : admin_not_recorded());
                      });
}

void AdminRetention::show(const Asked& asked) {
  const auto read = [options = options_] { return read_retention(options); };
  const auto answer = [asked](const Read& view) {
    if (view) return asked.respond(admin_retention(*view, asked.view));
    asked.respond(admin_refusal(503, "unavailable", "The log cannot be read right now."));
  };
  if (!workers_.run(read, answer)) asked.respond(busy_now());
}

AdminRetention::Done AdminRetention::with_receipt(const Asked& asked) {
  return [view = asked.view](const std::string& receipt) { return admin_done(view, receipt); };
}

void AdminRetention::set_hold(std::string_view body, const Asked& asked) {
  const auto wish = hold_from_json(body);
  if (!wish) return asked.respond(admin_refusal(400, "bad-hold", wish.error()));
  const std::string id = wish->hold.change.hold.hold_id;
  const Done done = [id, view = asked.view](const std::string& receipt) {
    return admin_hold_set(id, view, receipt);
  };
  const auto look = [this, wish = *wish] { return checked_hold(wish, trail_, options_.database); };
  const auto decide = [this, asked, done](const tl::expected<HoldSet, std::string>& hold) {
    if (!hold) return asked.respond(admin_refusal(400, "bad-hold", hold.error()));
    change(*hold, asked, done,
           admin_refusal(409, "too-many", "There are too many holds; clear some first."));
  };
  if (!workers_.run(look, decide)) asked.respond(busy_now());
}

void AdminRetention::clear_hold(std::string_view body, const Asked& asked) {
  auto cleared = clearing_from_json(body);
  if (!cleared) return asked.respond(admin_refusal(400, "bad-hold", cleared.error()));
  change(std::move(*cleared), asked, with_receipt(asked),
         admin_refusal(409, "no-hold", "There is no such hold any more."));
}

void AdminRetention::propose(const Asked& asked) {
  const auto read = [options = options_] { return read_retention(options); };
  const auto decide = [this, asked](const Read& view) {
    if (!view) {
      return asked.respond(admin_refusal(503, "unavailable", "The log cannot be read right now."));
    }
    if (!view->no_archive.empty()) {
      return asked.respond(admin_refusal(409, "no-archive", view->no_archive));
    }
    if (view->retention.proposal && !view->expired) {
      return asked.respond(admin_refusal(
          409, "proposed", "A purge is proposed already. Withdraw it to propose another one."));
    }
    if (view->plan.through < view->plan.from) {
      return asked.respond(admin_refusal(
          409, "nothing", "Nothing is old enough: records go by whole blocks of 256."));
    }
    const PurgeProposed proposed{
        {{view->plan.through, options_.keep_years, asked.staff.account, retention_now()}},
        view->plan.records,
        view->plan.held};
    change(proposed, asked, with_receipt(asked), admin_not_recorded());
  };
  if (!workers_.run(read, decide)) asked.respond(busy_now());
}

void AdminRetention::withdraw(const Asked& asked) {
  change(PurgeWithdrawn{}, asked, with_receipt(asked), admin_not_recorded());
}

// First what can be refused without anything being written.
void AdminRetention::approve(std::string_view body, const Asked& asked) {
  const auto through = parse_through(body);
  if (!through) {
    return asked.respond(admin_refusal(400, "bad-request", "The request is not understood."));
  }
  if (busy_) return asked.respond(busy_now());
  Approval approval;
  approval.asked = asked;
  approval.wanted = *through;
  const auto survey = [approval, options = options_, workers = &workers_]() mutable {
    const Read view = read_retention(options);
    const auto proposal = view ? view->retention.proposal : std::nullopt;
    if (!view) {
      approval.fail("unavailable", view.error());
    } else if (!view->no_archive.empty()) {
      approval.fail("no-archive", view->no_archive);
    } else if (!proposal || view->expired || proposal->through != approval.wanted) {
      approval.fail("no-proposal", "This purge is not proposed any more.");
    } else if (proposal->proposed_by == approval.asked.staff.account) {
      approval.fail("same-person",
                    "You proposed this purge. Another administrator has to approve it.");
    } else if (std::count(view->young_accounts.begin(), view->young_accounts.end(),
                          approval.asked.staff.account) > 0) {
      approval.fail("young-account",
                    "Your account is younger than this proposal. Somebody else has to approve it, "
                    "or it is withdrawn and proposed again.");
    } else if (proposal->keep_years < options.keep_years) {
      approval.fail("no-proposal", "Since this was proposed, records are to be kept for longer.");
    } else if (view->proposed->through < view->proposed->from) {
      approval.fail("nothing", "Nothing of it is old enough.");
    }
    if (!approval.code.empty()) return approval;
    approval.plan = *view->proposed;
    approval.proposed_by = proposal->proposed_by;
    approval.proposed_at = proposal->proposed_at;
    if (const auto why = not_whole(options.database, *workers)) {
      approval.fail("not-whole", *why);
      return approval;
    }
    auto wish = archive_options(options.database, approval.plan.through);
    auto surveyed = wish ? store::survey_export(*wish) : tl::unexpected(wish.error());
    if (!surveyed) {
      approval.fail("unavailable", surveyed.error());
      return approval;
    }
    approval.options = std::move(*wish);
    approval.survey = std::move(*surveyed);
    return approval;
  };
  busy_ = workers_.run(survey, [this](Approval done) { record_archive(std::move(done)); });
  if (!busy_) asked.respond(busy_now());
}

void AdminRetention::record_archive(Approval approval) {
  if (!approval.code.empty()) return refuse(approval.asked, 409, approval.code, approval.problem);
  store::JsonObject detail = approval.survey.detail;
  detail.set("format", "archive");
  const AuditExported exported{approval.asked.staff, std::move(detail)};
  recorder_.record_at(trail_.commit(AdminAction{exported}, approval.asked.source),
                      [this, approval](const store::CommitResult& result) {
                        if (result.ok()) return make_archive(approval, result.first_seq);
                        busy_ = false;
                        approval.asked.respond(admin_not_recorded());
                      });
}

void AdminRetention::make_archive(Approval approval, std::uint64_t seq) {
  const Asked asked = approval.asked;
  const auto make = [approval = std::move(approval), options = options_, seq]() mutable {
    auto made = server::make_archive(
        options.backup, options.scratch, approval.options, approval.survey, seq,
        std::chrono::duration_cast<std::chrono::seconds>(retention_now()));
    if (made) {
      approval.archive = std::move(*made);
    } else {
      approval.fail("no-archive", "The archive could not be written: " + made.error());
    }
    return approval;
  };
  if (!workers_.run(make, [this](const Approval& done) { purge(done); })) {
    busy_ = false;
    asked.respond(busy_now());
  }
}

void AdminRetention::purge(const Approval& approval) {
  if (!approval.code.empty()) return refuse(approval.asked, 409, approval.code, approval.problem);
  const ArchiveMade& archive = approval.archive;
  const LogPurged purged{{approval.asked.staff.account, approval.plan.through, archive.digest,
                          archive.records, archive.root, approval.proposed_at},
                         archive.name};
  const RetentionChange change{approval.asked.staff, purged};
  store::Commit commit = trail_.commit(AdminAction{change}, approval.asked.source);
  commit.receipt = true;
  // The archive took its time: neither of the two persons was disabled meanwhile.
  commit.changes.emplace_back(store::AccountEntered{approval.asked.staff.account});
  commit.changes.emplace_back(store::AccountEntered{approval.proposed_by});
  recorder_.record_at(std::move(commit), [this, approval](const store::CommitResult& result) {
    const store::CommitStatus status = result.status;
    if (status == store::CommitStatus::committed) {
      return answer_purged(approval, result.receipt);
    }
    busy_ = false;
    if (status != store::CommitStatus::conflict) {
      return approval.asked.respond(admin_not_recorded());
    }
    refuse(approval.asked, 409, "no-proposal",
           "Meanwhile the proposal was withdrawn or changed, or one of the two accounts was "
           "disabled; nothing was purged.");
  });
}

// What was purged as its record has it: a hold may have come in between.
void AdminRetention::answer_purged(const Approval& approval, const std::string& receipt) {
  busy_ = false;
  const auto read = [options = options_] { return read_retention(options); };
  const auto answer = [approval, receipt](const Read& view) {
    const bool known = view && !view->retention.purges.empty();
    const store::DeclaredPurge purge =
        known ? view->retention.purges.back() : store::DeclaredPurge{};
    approval.asked.respond(admin_purged(purge.removed, approval.plan.through, approval.archive.name,
                                        view && view->retention.proposal.has_value(),
                                        approval.asked.view, receipt));
  };
  if (!workers_.run(read, answer)) {
    approval.asked.respond(admin_done(approval.asked.view, receipt));
  }
}

}  // namespace bedside::server
