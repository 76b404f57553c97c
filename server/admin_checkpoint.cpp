#include "server/admin_checkpoint.h"

#include <charconv>
#include <optional>
#include <utility>

#include "store/reader.h"

namespace bedside::server {
namespace {

// Nothing when the database cannot be read.
std::optional<SealView> read_seal(const std::string& database, std::uint64_t seen) {
  const auto reader = store::Reader::open(database);
  const auto note = reader ? reader->newest_checkpoint() : tl::unexpected(reader.error());
  if (!note) return std::nullopt;
  SealView view;
  const auto parsed = *note ? store::parse_note(**note) : std::nullopt;
  view.head = parsed ? store::read_tree_head(parsed->text) : std::nullopt;
  if (!view.head || seen > view.head->size) return view;
  const auto grown = reader->growth_since(seen);
  if (!grown) return std::nullopt;
  // Newer than the note above when records were written in between.
  const auto newest = store::parse_note(grown->checkpoint);
  view.head = newest ? store::read_tree_head(newest->text) : std::nullopt;
  view.old_root = grown->old_root;
  view.proof = grown->proof;
  return view;
}

}  // namespace

void AdminCheckpoint::show(const net::HttpRequest& request, const SessionView& session,
                           const Respond& respond) {
  std::uint64_t seen = 0;
  if (const auto text = request.query_value("size"); text && !text->empty()) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seen);
    if (error != std::errc() || end != text->data() + text->size()) {
      return respond(admin_refusal(400, "bad-request", "size must be a number."));
    }
  }
  const auto busy = [] {
    return admin_refusal(503, "busy", "The log cannot be read right now. Please try again.",
                         std::chrono::seconds(3));
  };
  const auto work = [database = database_, seen] { return read_seal(database, seen); };
  const auto done = [this, respond, session, busy](const std::optional<SealView>& view) {
    respond(view ? admin_seal(*view, backend_.relay().anchors, session) : busy());
  };
  if (!workers_.run(work, done)) respond(busy());
}

}  // namespace bedside::server
