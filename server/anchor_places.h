#pragma once

// Where checkpoints of the audit log are kept besides the log itself, so that whoever takes over
// this machine cannot take records back unnoticed. Only numbers and hashes leave, no record.
//
// Used by one thread at a time (the anchor keeper's); keep() blocks for the disk or the network.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "store/cosignature.h"
#include "store/reader.h"
#include "store/signed_note.h"

namespace bedside::server {

struct AnchorProblem {
  std::string what;  // a sentence for the log
  // The place has seen another past of this log: somebody changed or rolled back the database.
  bool contradiction = false;
};

class AnchorPlace {
 public:
  AnchorPlace() = default;
  AnchorPlace(const AnchorPlace&) = delete;
  AnchorPlace& operator=(const AnchorPlace&) = delete;
  virtual ~AnchorPlace() = default;

  // For the log, the metrics and the admin page; without secrets.
  virtual const std::string& name() const = 0;
  // Keeps the newest checkpoint there and returns its size.
  virtual tl::expected<std::uint64_t, AnchorProblem> keep(const store::Reader& log) = 0;
  // Fast enough for the last moments of a stop.
  virtual bool local() const { return false; }
};

// Appends to a file, synced: meant for another disk. Notes are separated by empty lines.
std::unique_ptr<AnchorPlace> make_anchor_file(std::filesystem::path file);

// POSTs the note as text/plain to an https URL (http on this machine only); any 2xx is a yes.
std::unique_ptr<AnchorPlace> make_anchor_webhook(const std::string& url);

struct WitnessCosigned {
  std::string witness;
  store::TreeHead head;
  std::chrono::seconds time{};  // as the witness says, Unix
};
struct WitnessSettings {
  std::string url;         // "/add-checkpoint" is added
  store::VerifierKey key;  // the witness's
  std::function<void(const WitnessCosigned&)> on_cosigned;
};
// Asks a witness (C2SP tlog-witness) to cosign. `log_key` is the log's lasting key and outlives it.
std::unique_ptr<AnchorPlace> make_anchor_witness(WitnessSettings settings,
                                                 const store::SigningKey& log_key);

// What an anchor file says at its end; nothing when it has no note that is whole. An error when the
// file is there and cannot be read.
tl::expected<std::optional<std::string>, std::string> newest_in_anchor_file(
    const std::filesystem::path& file);

// Bytes of an anchor file that is read as a whole: some 200,000 checkpoints.
inline constexpr std::size_t kMaxAnchorFile = std::size_t{64} * 1024 * 1024;

// The whole notes of an anchor file's text, oldest first. What a crash left half written is left
// out.
std::vector<std::string> notes_in(std::string_view text);

// Whether the log still contains what the note promised; a sentence when not.
std::optional<std::string> contradiction(const store::Reader& log, const std::string& note);

// "https://host:port/path" as what connects and what is asked for. Nothing when it is no such URL,
// has a user in it, or is plain http to another machine.
struct AnchorUrl {
  std::string origin;
  std::string path;
  std::string host;
};
std::optional<AnchorUrl> read_anchor_url(const std::string& url);

}  // namespace bedside::server
