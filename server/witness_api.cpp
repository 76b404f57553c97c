#include "server/witness_api.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "server/admin_accounts.h"
#include "server/audit_trail.h"
#include "store/signed_note.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxWitnessCommits = 64;
constexpr std::chrono::minutes kRefusalRecorded{10};  // once in that time for each log

net::HttpResponse in_words(int status, std::string text) {
  return net::HttpResponse::text(status, std::move(text));
}

// The checkpoint with the signatures in its log's own name. Anybody may send it, with lines of
// their own below it, and whatever such a line says would be kept and listed here.
std::string in_own_name(const store::AddCheckpoint& asked) {
  std::string note = asked.checkpoint.text + "\n";
  for (const store::NoteSignature& line : asked.checkpoint.signatures) {
    if (line.name != asked.head.origin || line.signature.size() != store::Signature().size()) {
      continue;
    }
    std::vector<std::uint8_t> blob(line.key_id.begin(), line.key_id.end());
    blob.insert(blob.end(), line.signature.begin(), line.signature.end());
    note.append("— ").append(line.name).append(" ").append(store::base64(blob)).append("\n");
  }
  return note;
}

}  // namespace

WitnessApi::WitnessApi(net::Loop& loop, WitnessOptions options, const store::SigningKey& key,
                       AuditTrail& trail, store::Store& store)
    : options_(std::move(options)),
      key_(key),
      trail_(trail),
      recorder_(loop, store, kMaxWitnessCommits) {}

void WitnessApi::restore(const std::vector<store::WitnessedLogRow>& logs) {
  for (const store::WitnessedLogRow& row : logs) {
    store::TreeHead head;
    head.origin = row.origin;
    head.size = row.size;
    if (row.root.size() != head.root.size()) continue;
    std::copy(row.root.begin(), row.root.end(), head.root.begin());
    known_[row.origin] = Known{std::move(head), false, {}};
  }
}

std::chrono::seconds WitnessApi::now() const {
  if (options_.clock) return options_.clock();
  return std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

void WitnessApi::handle(const net::HttpRequest& request, const RequestContext& context,
                        Respond respond) {
  if (options_.logs.empty()) return respond(in_words(404, "Not found\n"));
  auto asked = store::parse_add_checkpoint(request.body);
  if (!asked) {
    trail_.count(Abuse::malformed_checkpoint, context.client.address,
                 std::chrono::duration_cast<AuditTrail::Time>(
                     std::chrono::steady_clock::now().time_since_epoch()));
    return respond(in_words(400, "This is no add-checkpoint request\n"));
  }
  const auto it = known_.find(asked->head.origin);
  const bool is_known = it != known_.end() && it->second.head.size > 0;
  const auto last = is_known ? std::optional(it->second.head) : std::nullopt;
  const store::WitnessVerdict verdict = store::judge(*asked, options_.logs, last);
  if (verdict != store::WitnessVerdict::consistent) {
    return refuse(verdict, *asked, context, respond);
  }
  if (it != known_.end() && it->second.busy) {
    net::HttpResponse busy = in_words(503, "Another checkpoint of this log is being written\n");
    busy.set("Retry-After", "1");
    return respond(std::move(busy));
  }
  cosign(*asked, context, std::move(respond));
}

void WitnessApi::cosign(const store::AddCheckpoint& asked, const RequestContext& context,
                        Respond respond) {
  const std::chrono::seconds time = now();
  net::HttpResponse answer = cosigned(asked, time);
  // The same checkpoint again: nothing changes, nothing needs a record.
  Known& known = known_[asked.head.origin];
  if (known.head == asked.head || answer.status != 200) return respond(std::move(answer));
  known.busy = true;
  const CheckpointCosigned made{{{asked.head.origin,
                                  asked.head.size,
                                  {asked.head.root.begin(), asked.head.root.end()},
                                  in_own_name(asked) + answer.body},
                                 asked.old_size}};
  recorder_.record(trail_.commit(AdminAction{made}, audit_source(context)),
                   [this, head = asked.head, answer = std::move(answer),
                    respond = std::move(respond)](store::CommitStatus status) mutable {
                     Known& written = known_[head.origin];
                     written.busy = false;
                     if (status != store::CommitStatus::committed) {
                       net::HttpResponse full = in_words(503, "This cannot be written now\n");
                       full.set("Retry-After", "60");
                       return respond(std::move(full));
                     }
                     written.head = head;
                     respond(std::move(answer));
                   });
}

net::HttpResponse WitnessApi::cosigned(const store::AddCheckpoint& asked,
                                       std::chrono::seconds time) const {
  const auto line = store::cosign(asked.checkpoint.text, time, options_.name, key_);
  return line ? in_words(200, *line) : in_words(500, "This could not be signed\n");
}

void WitnessApi::refuse(store::WitnessVerdict verdict, const store::AddCheckpoint& asked,
                        const RequestContext& context, const Respond& respond) {
  using store::WitnessVerdict;
  const auto it = known_.find(asked.head.origin);
  const std::uint64_t last = it == known_.end() ? 0 : it->second.head.size;
  switch (verdict) {
    case WitnessVerdict::unknown_log:
      return respond(in_words(404, "This log is not witnessed here\n"));
    case WitnessVerdict::not_signed:
      return respond(in_words(403, "No key of this log has signed the checkpoint\n"));
    case WitnessVerdict::malformed:
      return respond(in_words(400, "The old size is above the new one\n"));
    case WitnessVerdict::other_size: {
      net::HttpResponse size = in_words(409, std::to_string(last) + "\n");
      size.set("Content-Type", "text/x.tlog.size");
      return respond(std::move(size));
    }
    case WitnessVerdict::inconsistent:
    case WitnessVerdict::consistent:
      break;
  }
  // Signed by the log itself: this is proof against it, and worth a record, but not one for each
  // time it is sent.
  Known& known = known_[asked.head.origin];
  if (!known.refused || *known.refused + kRefusalRecorded <= now()) {
    known.refused = now();
    const CheckpointRefused refused{asked.head, last};
    recorder_.record(trail_.commit(AdminAction{refused}, audit_source(context)),
                     [](store::CommitStatus) {});
  }
  const bool same_size = asked.old_size == asked.head.size;
  net::HttpResponse answer = same_size
                                 ? in_words(409, std::to_string(last) + "\n")
                                 : in_words(422, "The old log is not the beginning of this one\n");
  if (same_size) answer.set("Content-Type", "text/x.tlog.size");
  respond(std::move(answer));
}

}  // namespace bedside::server
