#include "server/anchors.h"

#include <openssl/crypto.h>

#include <cstdio>
#include <utility>

#include "server/anchor_places.h"
#include "server/keys.h"
#include "server/log.h"

namespace bedside::server {
namespace {

constexpr std::chrono::milliseconds kFinishPatience{300};  // the stop promises two seconds
constexpr const char* kLogKey = "log.key";
constexpr const char* kWitnessKey = "witness.key";

tl::expected<store::SigningKey, std::string> lasting_key(const Config& config, const char* name) {
  auto seed = open_one_key(config.keys_dir(), name, MissingKeys::make);
  if (!seed) return tl::unexpected(seed.error().message);
  auto key = store::SigningKey::from_seed(*seed);
  OPENSSL_cleanse(seed->data(), seed->size());
  return key;
}

std::string witness_name(const Config& config) { return config.public_host + "/witness"; }

// Nothing to compare with is no contradiction, but somebody should know.
void tell_of_anchor_file(const std::filesystem::path& file) {
  if (file.empty()) return;
  const auto note = newest_in_anchor_file(file);
  if (!note) {
    log::warning("the audit log cannot be compared with its anchor file",
                 {{"why", log::Configured(note.error())}});
  } else if (!*note) {
    log::info("a new anchor file begins", {{"file", log::Configured(file.string())}});
  }
}

}  // namespace

tl::expected<void, std::string> check_anchor_file(const Config& config) {
  const std::filesystem::path& file = config.audit.anchor_file;
  if (file.empty()) return {};
  const auto note = newest_in_anchor_file(file);
  if (!note || !*note) return {};
  // One of another version, or none, is for the store to judge, or to bring up to date, first.
  const auto reader = store::Reader::open(config.database().string());
  if (!reader) return {};
  const auto wrong = contradiction(*reader, **note);
  if (!wrong) return {};
  return tl::unexpected(
      "the audit log contradicts its anchor file " + file.string() + ": " + *wrong +
      "\n    → keep copies of both as evidence and run `bedside audit verify`; to "
      "go on with this database, rename the anchor file");
}

Anchors::Anchors(store::SigningKey log_key, store::SigningKey witness_key)
    : log_key_(std::move(log_key)), witness_key_(std::move(witness_key)) {}

tl::expected<std::unique_ptr<Anchors>, std::string> Anchors::open(const Config& config,
                                                                  net::Loop& control_loop,
                                                                  AuditTrail& trail,
                                                                  store::Store& store,
                                                                  Happened& happened) {
  tell_of_anchor_file(config.audit.anchor_file);
  if (auto checked = check_anchor_file(config); !checked) return tl::unexpected(checked.error());
  auto log_key = lasting_key(config, kLogKey);
  if (!log_key) return tl::unexpected(log_key.error());
  auto witness_key = lasting_key(config, kWitnessKey);
  if (!witness_key) return tl::unexpected(witness_key.error());
  std::unique_ptr<Anchors> made(new Anchors(std::move(*log_key), std::move(*witness_key)));

  std::vector<std::unique_ptr<AnchorPlace>> places;
  const AuditConfig& audit = config.audit;
  if (!audit.anchor_file.empty()) places.push_back(make_anchor_file(audit.anchor_file));
  if (!audit.anchor_webhook.empty()) places.push_back(make_anchor_webhook(audit.anchor_webhook));
  for (const WitnessOfUs& witness : audit.witnesses) {
    const auto on_cosigned = [&happened](const WitnessCosigned& cosigned) {
      happened.record(AnchorCosigned{cosigned.witness, cosigned.head});
    };
    places.push_back(make_anchor_witness({witness.url, witness.key, on_cosigned}, made->log_key_));
  }
  made->keeper_ = std::make_unique<AnchorKeeper>(
      config.database().string(), std::move(places),
      [&happened](const AnchorState& state) { tell(state, happened); });
  if (!config.witness.logs.empty()) {
    made->witness_.emplace(control_loop,
                           WitnessOptions{config.witness.logs, witness_name(config), {}},
                           made->witness_key_, trail, store);
  }
  return made;
}

void Anchors::tell(const AnchorState& state, Happened& happened) {
  if (state.problem.empty()) {
    return log::info("the audit log is anchored",
                     {{"place", log::Configured(state.place)}, {"records", state.size}});
  }
  if (!state.contradiction) {
    return log::warning(
        "the audit log could not be anchored; this is tried again",
        {{"place", log::Configured(state.place)}, {"why", log::Configured(state.problem)}});
  }
  happened.record(AnchorRefused{state.place, state.problem});
  log::error("the audit log was changed or rolled back: it contradicts an anchor",
             {{"place", log::Configured(state.place)},
              {"why", log::Configured(state.problem)},
              {"remedy", log::Literal("keep a copy of the database, run bedside audit verify")}});
}

void Anchors::restore(const store::LoadedState& state) {
  if (witness_) witness_->restore(state.witnessed);
}

void Anchors::start() { keeper_->start(); }

bool Anchors::finish() { return keeper_->finish(kFinishPatience); }

std::vector<AnchorMetrics> Anchors::metrics() const {
  std::vector<AnchorMetrics> metrics;
  for (const AnchorState& state : keeper_->states()) {
    metrics.push_back({state.place, state.size, static_cast<double>(state.kept_at.count()),
                       !state.problem.empty()});
  }
  return metrics;
}

std::vector<AnchorFigures> Anchors::figures() const {
  std::vector<AnchorFigures> figures;
  for (const AnchorState& state : keeper_->states()) {
    figures.push_back({state.place, state.size, state.kept_at, state.problem, state.contradiction});
  }
  return figures;
}

tl::expected<WitnessKeys, std::string> witness_keys(const Config& config) {
  const auto reader = store::Reader::open(config.database().string());
  if (!reader) return tl::unexpected(reader.error());
  const auto note = reader->newest_checkpoint();
  const auto parsed = note && *note ? store::parse_note(**note) : std::nullopt;
  const auto head = parsed ? store::read_tree_head(parsed->text) : std::nullopt;
  if (!head) {
    return tl::unexpected(std::string("the audit log has not begun\n    → start the server once"));
  }
  const auto log_key = lasting_key(config, kLogKey);
  if (!log_key) return tl::unexpected(log_key.error());
  const auto witness_key = lasting_key(config, kWitnessKey);
  if (!witness_key) return tl::unexpected(witness_key.error());
  using store::KeyKind;
  using store::VerifierKey;
  return WitnessKeys{
      VerifierKey{head->origin, KeyKind::log, log_key->public_key()}.text(),
      VerifierKey{witness_name(config), KeyKind::witness, witness_key->public_key()}.text()};
}

int print_witness_keys(const Config& config) {
  const auto keys = witness_keys(config);
  if (!keys) {
    std::fprintf(stderr, "bedside: %s\n", keys.error().c_str());
    return 1;
  }
  std::printf(
      "This log, for the server that is to witness it ([witness] logs):\n  %s\n"
      "This server as a witness, for those it witnesses ([[audit.witness]] key, with\n"
      "url = \"https://%s\"):\n  %s\n",
      keys->log.c_str(), witness_name(config).c_str(), keys->witness.c_str());
  return 0;
}

int print_witnessed_logs(const Config& config, const std::string& origin) {
  const auto reader = store::Reader::open(config.database().string());
  const auto state = reader ? reader->state() : tl::unexpected(reader.error());
  if (!state) {
    std::fprintf(stderr, "bedside: %s\n", state.error().c_str());
    return 1;
  }
  bool found = false;
  for (const store::WitnessedLogRow& log : state->witnessed) {
    if (!origin.empty() && log.origin != origin) continue;
    std::printf("%s\n", log.note.c_str());
    found = true;
  }
  if (found) return 0;
  std::fprintf(stderr, origin.empty() ? "Nothing has been cosigned yet.\n"
                                      : "No log of this name has been cosigned yet.\n");
  return origin.empty() ? 0 : 1;
}

}  // namespace bedside::server
