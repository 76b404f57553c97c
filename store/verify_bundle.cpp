// The check of an export. What it trusts is the first key, if it was given, and nothing else.

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <utility>

#include "store/audit_bundle.h"
#include "store/canonical_reader.h"
#include "store/digest.h"
#include "store/epoch_chain.h"
#include "store/log_proofs.h"
#include "store/purge.h"
#include "store/receipt.h"
#include "store/seal.h"

namespace bedside::store {
namespace {

constexpr std::uint64_t kBundleVerifyProgressEvery = 20'000;
constexpr std::chrono::microseconds kDay = std::chrono::hours{24};  // what clocks may differ by

constexpr std::array kRequiredFiles = {bundle_file::kCheckpoint,  bundle_file::kEpochs,
                                       bundle_file::kCheckpoints, bundle_file::kExport,
                                       bundle_file::kRecords,     bundle_file::kProofs};

std::string sentence(std::string_view file, std::string_view what) {
  return std::string(file) + ": " + std::string(what);
}

class BundleCheck {
 public:
  BundleCheck(const VerifyOptions& options, VerifyReport& report)
      : options_(options), report_(report), epochs_(options.genesis, options.restored) {}

  bool run();

 private:
  bool wrong(std::uint64_t seq, std::string what) {
    report_.problem = std::move(what);
    report_.first_bad_seq = seq;
    return false;
  }
  TarLines lines(std::string_view file) { return {options_.path, files_.at(std::string(file))}; }
  bool is_there(std::string_view file) const { return files_.count(std::string(file)) != 0; }
  // Every line of a file, as a canonical object; `each` returns false when the report has why.
  template <typename Each>
  bool every_line(std::string_view file, Each each);
  bool open_files();
  bool newest_checkpoint();
  bool epochs();
  bool epoch(const CanonicalObject& line);
  bool checkpoints();
  bool anchors();
  bool receipts();
  bool keeps_promises(std::uint64_t seq, std::string_view body);
  const Checkpoint* known(std::uint64_t size) const;  // null: none of that size
  bool included(const CanonicalObject& line, std::string_view body, std::uint64_t seq) const;
  bool exported();
  bool purges();
  bool digests();
  bool records();
  bool matches(const CanonicalObject& body) const;
  bool next_disclosed();
  bool opens(std::uint64_t seq, const CanonicalObject& body);

  const VerifyOptions& options_;
  VerifyReport& report_;
  std::map<std::string, TarEntry> files_;
  Note note_;
  Checkpoint checkpoint_;
  EpochChain epochs_;
  std::vector<Checkpoint> known_;                           // proven to be of this log
  std::multimap<std::uint64_t, Hash> promised_;             // by receipts: seq → leaf
  std::vector<std::pair<std::uint64_t, std::int64_t>> at_;  // of epochs: seq and wall clock
  std::string export_body_;
  std::optional<CanonicalObject> detail_;
  std::optional<CanonicalObject> filter_;
  std::optional<TarLines> disclosed_;
  std::optional<std::string> disclosed_line_;  // in canonical form
};

template <typename Each>
bool BundleCheck::every_line(std::string_view file, Each each) {
  TarLines rest = lines(file);
  while (const auto text = rest.next()) {
    const auto object = CanonicalObject::parse(*text);
    if (!object) return wrong(0, sentence(file, "a line is not in canonical form"));
    if (!each(*object)) return false;
  }
  return rest.at_end() || wrong(0, sentence(file, "its last line is cut off"));
}

bool BundleCheck::open_files() {
  auto files = read_tar(options_.path);
  if (!files) return wrong(0, "this is no export, or a damaged one: " + files.error());
  files_ = std::move(*files);
  for (const std::string_view name : kRequiredFiles) {
    if (!is_there(name)) return wrong(0, sentence(name, "this file is missing"));
  }
  return true;
}

bool BundleCheck::newest_checkpoint() {
  std::string text;
  TarLines file = lines(bundle_file::kCheckpoint);
  while (auto line = file.next()) text += *line + "\n";
  auto note = parse_note(text);
  const auto read = note ? Checkpoint::parse(note->text) : std::nullopt;
  if (!file.at_end() || !read) return wrong(0, "the checkpoint is not readable");
  note_ = std::move(*note);
  checkpoint_ = *read;
  report_.origin = read->origin;
  report_.root = read->root;
  return true;
}

bool BundleCheck::included(const CanonicalObject& line, std::string_view body,
                           std::uint64_t seq) const {
  const auto index = line.integer("index");
  const auto proof = read_proof(line.text("proof").value_or("?"));
  return seq > 0 && index && proof && static_cast<std::uint64_t>(*index) == seq - 1 &&
         verify_inclusion(leaf_hash(body), seq - 1, checkpoint_.size, *proof, checkpoint_.root);
}

bool BundleCheck::epochs() {
  return every_line(bundle_file::kEpochs, [this](const auto& line) { return epoch(line); }) &&
         (!epochs_.empty() || wrong(0, "no epoch was announced"));
}

bool BundleCheck::epoch(const CanonicalObject& line) {
  const std::string body = line.text("body").value_or("");
  const auto object = CanonicalObject::parse(body);
  const auto announced = read_epoch(body);
  if (!object || !announced || announced->number != epochs_.size() + 1) {
    return wrong(0, "epoch " + std::to_string(epochs_.size() + 1) + " is not announced");
  }
  const auto seq =
      static_cast<std::uint64_t>(std::max<std::int64_t>(object->integer("seq").value_or(0), 0));
  if (!included(line, body, seq)) return wrong(seq, "it is not in the log as it was sealed");
  const auto before = read_proof(line.text("before").value_or(""));
  const auto consistency = read_proof(line.text("consistency").value_or("?"));
  if (!before || before->size() != 1 || !consistency ||
      !verify_consistency(seq - 1, before->front(), checkpoint_.size, checkpoint_.root,
                          *consistency)) {
    return wrong(seq, "the records before it are not the beginning of this log");
  }
  if (const auto problem = epochs_.announce(*announced, seq, before->front())) {
    return wrong(seq, *problem);
  }
  at_.emplace_back(seq, object->integer("t_wall_us").value_or(INT64_MAX));
  report_.genesis = epochs_.first().key;
  report_.epochs = epochs_.size();
  report_.gaps = epochs_.gaps();
  return true;
}

bool BundleCheck::checkpoints() {
  if (const auto why = epochs_.objection(note_, checkpoint_)) {
    return wrong(checkpoint_.size, "the checkpoint " + *why);
  }
  known_ = {checkpoint_};
  const bool all = every_line(bundle_file::kCheckpoints, [this](const auto& line) {
    const auto note = parse_note(line.text("note").value_or(""));
    const auto read = note ? Checkpoint::parse(note->text) : std::nullopt;
    if (!read) return wrong(0, "a checkpoint is not readable");
    const auto proof = read_proof(line.text("proof").value_or("?"));
    if (!proof ||
        !verify_consistency(read->size, read->root, checkpoint_.size, checkpoint_.root, *proof)) {
      return wrong(read->size, "a checkpoint is of other records: one of them was changed");
    }
    if (const auto why = epochs_.objection(*note, *read)) {
      return wrong(read->size, "a checkpoint " + *why);
    }
    known_.push_back(*read);
    return true;
  });
  report_.checkpoints = known_.size();
  return all;
}

bool BundleCheck::anchors() {
  for (const std::string& text : options_.anchors) {
    const auto note = parse_note(text);
    const auto anchor = note ? Checkpoint::parse(note->text) : std::nullopt;
    if (!anchor) return wrong(0, "what was kept elsewhere is no checkpoint");
    const EpochChain::Lost lost = epochs_.lost(*anchor);
    if (lost == EpochChain::Lost::undeclared) {
      return wrong(0, "a restore declares a smaller loss than that of the " +
                          std::to_string(anchor->size) +
                          " records of a checkpoint that was kept elsewhere");
    }
    if (lost == EpochChain::Lost::declared) {
      ++report_.lost_anchors;
      continue;
    }
    if (const auto why = epochs_.objection(*note, *anchor)) {
      return wrong(anchor->size, "the checkpoint that was kept elsewhere " + *why);
    }
    if (anchor->size > checkpoint_.size && anchor->time_us < checkpoint_.time_us - kDay.count()) {
      return wrong(anchor->size, "the log had these records before this export was made, and has " +
                                     std::to_string(checkpoint_.size) + " in it");
    }
    const Checkpoint* same = known(anchor->size);
    if (same != nullptr && same->root != anchor->root) {
      return wrong(anchor->size, "the checkpoint that was kept elsewhere is of other records");
    }
    ++(same != nullptr ? report_.anchors : report_.unproven_anchors);
  }
  return true;
}

// An export has the keys of the whole log, and so what it takes to judge the signature of a receipt
// of any record. Whether the log still has the record shows where the record is part of the export,
// or a checkpoint of the receipt's size.
bool BundleCheck::receipts() {
  for (const std::string& text : options_.receipts) {
    const auto promise = check_receipt(text);
    if (!promise) return wrong(0, "a receipt has no value: " + promise.error());
    const Checkpoint& given = promise->checkpoint;
    if (epochs_.lost(given) == EpochChain::Lost::declared) {
      ++report_.lost_anchors;
      continue;
    }
    const auto why = epochs_.objection(promise->note, given);
    if (why) return wrong(0, "the checkpoint of a receipt " + *why);
    const Checkpoint* same = known(given.size);
    if (same != nullptr && same->root != given.root) {
      return wrong(0, "the checkpoint of a receipt is of other records");
    }
    if (same != nullptr) {
      ++report_.receipts;
    } else {
      promised_.emplace(promise->seq, promise->leaf);
    }
  }
  return true;
}

// A record that is here is the one a receipt promises, or the receipt shows that it was changed.
bool BundleCheck::keeps_promises(std::uint64_t seq, std::string_view body) {
  const auto [first, last] = promised_.equal_range(seq);
  if (first == last) return true;
  const Hash leaf = leaf_hash(body);
  for (auto each = first; each != last; ++each) {
    if (each->second != leaf) return wrong(seq, "a receipt promises another record of this number");
    ++report_.receipts;
  }
  promised_.erase(first, last);
  return true;
}

const Checkpoint* BundleCheck::known(std::uint64_t size) const {
  const auto same = std::find_if(known_.begin(), known_.end(),
                                 [size](const Checkpoint& each) { return each.size == size; });
  return same == known_.end() ? nullptr : &*same;
}

bool BundleCheck::exported() {
  std::uint64_t lines = 0;
  const bool read = every_line(bundle_file::kExport, [&](const auto& line) {
    if (++lines > 1) return wrong(0, "there are two records of this export");
    export_body_ = line.text("body").value_or("");
    const auto body = CanonicalObject::parse(export_body_);
    const auto seq = body ? body->integer("seq").value_or(0) : 0;
    if (!body || seq <= 0 || !included(line, export_body_, static_cast<std::uint64_t>(seq))) {
      return wrong(0, "the record of this export is not in the log");
    }
    if (body->text("type") != kExportRecord || body->text("outcome") != "ok") {
      return wrong(static_cast<std::uint64_t>(seq), "it is not the record of an export");
    }
    detail_ = body->object("detail");
    if (detail_) filter_ = detail_->object("filter");
    return true;
  });
  if (!read) return false;
  if (!filter_ || !detail_->object("files")) return wrong(0, "the export was not recorded");
  return true;
}

// Each proven to be in the log; the record of the export says how far they go, so none can be left
// out at the end, and each goes on where the one before it ended.
bool BundleCheck::purges() {
  const auto told = detail_->integer("purged_through");
  if (told.has_value() != is_there(bundle_file::kPurges)) {
    return wrong(0, sentence(bundle_file::kPurges, "it is there or not, unlike when exported"));
  }
  if (!told) return true;
  std::uint64_t through = 0;
  const bool all = every_line(bundle_file::kPurges, [&](const auto& line) {
    const std::string body = line.text("body").value_or("");
    const auto purge = read_purge(body);
    if (!purge || purge->from != through + 1) return wrong(0, "a purge is not readable");
    if (!included(line, body, purge->seq)) {
      return wrong(purge->seq, "it is not in the log as it was sealed");
    }
    if (dated_in_future(*purge, std::chrono::system_clock::now())) {
      return wrong(purge->seq, "it declares a purge, and its time is in the future");
    }
    const bool young = std::any_of(at_.begin(), at_.end(), [&](const auto& epoch) {
      return epoch.first >= purge->from && epoch.first <= purge->through &&
             epoch.second > purge->newest_us;
    });
    if (young) return wrong(purge->seq, "it declares that what it purged is older than it was");
    through = purge->through;
    report_.purges.push_back(*purge);
    return true;
  });
  return all && (through == static_cast<std::uint64_t>(*told) ||
                 wrong(0, "a purge is missing that the export tells of"));
}

// The record of the export has the digest of every file that could be changed without a proof.
bool BundleCheck::digests() {
  const auto recorded = detail_->object("files");
  for (const auto& [name, entry] : files_) {
    const bool proven =
        name != bundle_file::kRecords &&
        (std::find(kRequiredFiles.begin(), kRequiredFiles.end(), name) != kRequiredFiles.end() ||
         name == bundle_file::kDisclosed || name == bundle_file::kPurges);
    if (proven) continue;
    const auto digest = recorded->text(name);
    if (!digest) return wrong(0, sentence(name, "this file is not of the export"));
    std::ifstream file(options_.path, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(entry.offset));
    Sha256 hash;
    std::string piece;
    for (std::uint64_t left = entry.size; left > 0; left -= piece.size()) {
      piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, 65'536)));
      if (!file.read(piece.data(), static_cast<std::streamsize>(piece.size()))) break;
      hash.add(piece);
    }
    if (to_hex(hash.finish()) != *digest) {
      return wrong(0, sentence(name, "this file is not as it was exported"));
    }
  }
  return true;
}

bool BundleCheck::matches(const CanonicalObject& body) const {
  const std::int64_t time = body.integer("t_wall_us").value_or(-1);
  const auto person = filter_->text("person");
  const auto actor = body.object("actor");
  const auto through = filter_->integer("through");
  return (!through || body.integer("seq").value_or(0) <= *through) &&
         time >= filter_->integer("from_us").value_or(INT64_MIN) &&
         (!filter_->integer("to_us") || time < *filter_->integer("to_us")) &&
         (!filter_->text("room") || body.text("room") == filter_->text("room")) &&
         (!person || (actor && actor->text("id") == person) || body.text("object") == person);
}

bool BundleCheck::next_disclosed() {
  disclosed_line_.reset();
  const auto text = disclosed_->next();
  if (!text) {
    return disclosed_->at_end() ||
           wrong(0, sentence(bundle_file::kDisclosed, "its last line is cut off"));
  }
  disclosed_line_.emplace(*text);
  return CanonicalObject::parse(*disclosed_line_).has_value() ||
         wrong(0, sentence(bundle_file::kDisclosed, "a line is not in canonical form"));
}

// The values that were opened for this record; any of them may have been taken out again. A line of
// another one waits: until the end, if it is out of order.
bool BundleCheck::opens(std::uint64_t seq, const CanonicalObject& body) {
  while (disclosed_line_) {
    const auto parsed = CanonicalObject::parse(*disclosed_line_);
    if (!parsed || parsed->integer("seq") != static_cast<std::int64_t>(seq)) return true;
    const CanonicalObject& line = *parsed;
    const std::string field = line.text("field").value_or("");
    const std::string salt_text = line.text("salt").value_or("");
    std::vector<std::uint8_t> salt(salt_text.size() / 2);
    const auto where = body.object("where");
    const auto detail = body.object("detail");
    std::optional<std::string> commitment = body.text(field);
    if (where && !commitment) commitment = where->text(field);
    if (detail && !commitment) commitment = detail->text(field);
    if (!line.text("value") || !from_hex(salt_text, salt) ||
        to_hex(
            Sha256().add(std::span<const std::uint8_t>(salt)).add(*line.text("value")).finish()) !=
            commitment) {
      return wrong(seq, "a value that was opened is not the one that was sealed");
    }
    if (!next_disclosed()) return false;
  }
  return true;
}

bool BundleCheck::records() {
  const std::uint64_t all = static_cast<std::uint64_t>(detail_->integer("records").value_or(0));
  if (is_there(bundle_file::kDisclosed)) {
    disclosed_.emplace(lines(bundle_file::kDisclosed));
    if (!next_disclosed()) return false;
  }
  TarLines bodies = lines(bundle_file::kRecords);
  std::uint64_t last = 0;
  const bool proven = every_line(bundle_file::kProofs, [&](const CanonicalObject& proof) {
    const auto text = bodies.next();
    const std::uint64_t index =
        static_cast<std::uint64_t>(std::max<std::int64_t>(proof.integer("index").value_or(0), 0));
    if (!text && bodies.at_end()) return wrong(index + 1, "it is missing");
    if (!text) return wrong(0, sentence(bundle_file::kRecords, "its last line is cut off"));
    const auto body = CanonicalObject::parse(*text);
    if (!body) return wrong(index + 1, "its body is not in canonical form");
    const auto seq =
        static_cast<std::uint64_t>(std::max<std::int64_t>(body->integer("seq").value_or(0), 0));
    if (!included(proof, *text, seq)) return wrong(seq, "it is not in the log as it was sealed");
    if (seq <= last || !matches(*body)) return wrong(seq, "it does not belong into this export");
    last = seq;
    ++report_.records;
    if (options_.progress && report_.records % kBundleVerifyProgressEvery == 0) {
      options_.progress(report_.records, all);
    }
    return keeps_promises(seq, *text) && opens(seq, *body);
  });
  if (!proven) return false;
  report_.unproven_receipts = promised_.size();
  if (bodies.next() || !bodies.at_end()) return wrong(last + 1, "it has no proof");
  if (report_.records != all) {
    return wrong(0, std::to_string(all) + " records were exported, " +
                        std::to_string(report_.records) + " are here");
  }
  if (disclosed_line_) {
    return wrong(0, "values were opened of records that are not here");
  }
  return true;
}

bool BundleCheck::run() {
  return open_files() && newest_checkpoint() && epochs() && checkpoints() && anchors() &&
         receipts() && exported() && purges() && records() && digests();
}

}  // namespace

tl::expected<VerifyReport, std::string> verify_bundle(const VerifyOptions& options) {
  if (!std::ifstream(options.path)) return tl::unexpected(std::string("no such file"));
  VerifyReport report;
  BundleCheck(options, report).run();
  return report;
}

}  // namespace bedside::store
