#pragma once

// The classes of attacks on a sealed log that its specification names, each with what the log alone
// must show of it.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "attacked_log.h"

namespace bedside::store {

// At which record, which announces no epoch, and in which of the ways there are: each class takes
// of `form` what it needs.
struct Place {
  std::uint64_t seq = 0;
  std::uint64_t form = 0;
};

struct Attack {
  const char* name;
  void (*run)(AttackedLog&, Place);
  // 0: the log shows it by itself. Otherwise only a checkpoint that was kept elsewhere does, if it
  // covers this record: the first one that is not as it was sealed.
  std::uint64_t (*hidden_from)(const SealedFacts&, Place);
};

inline std::uint64_t shows_by_itself(const SealedFacts&, Place) { return 0; }

inline void edit_record(AttackedLog& log, Place place) {
  log.edit(place.seq);
  if (place.form % 3 == 1) log.fit_leaf(place.seq);
  if (place.form % 3 == 2) log.restore_roots();
}

inline void delete_record(AttackedLog& log, Place place) {
  log.run("DELETE FROM audit WHERE seq = " + number(place.seq));
  if (place.form % 3 == 0) return;
  log.run("UPDATE audit SET seq = -seq WHERE seq > " + number(place.seq));
  log.run("UPDATE audit SET seq = -seq - 1 WHERE seq < 0");
  if (place.form % 3 == 1) return;
  log.fit_numbers("seq >= " + number(place.seq), "seq + 1");
  log.restore_roots();
}

inline void insert_record(AttackedLog& log, Place place) {
  const std::string seq = number(place.seq);
  log.run("UPDATE audit SET seq = -seq WHERE seq >= " + seq);
  log.run("UPDATE audit SET seq = 1 - seq WHERE seq < 0");
  log.run("INSERT INTO audit SELECT " + seq +
          ", t_wall_us, type, outcome, reason, actor, room, body, leaf FROM audit WHERE seq = " +
          number(place.seq + 1));
  if (place.form % 2 == 0) return;
  log.fit_numbers("seq > " + seq, "seq - 1");
  log.restore_roots();
}

inline void reorder_records(AttackedLog& log, Place place) {
  const std::uint64_t other_place = 1 + place.form / 2 % SealedFacts::kRecords;
  const std::string seq = number(place.seq);
  const std::string other = number(other_place == place.seq ? place.seq - 1 : other_place);
  log.run("UPDATE audit SET seq = -1 WHERE seq = " + seq);
  log.run("UPDATE audit SET seq = " + seq + " WHERE seq = " + other);
  log.run("UPDATE audit SET seq = " + other + " WHERE seq = -1");
  if (place.form % 2 == 0) return;
  log.fit_numbers("seq = " + seq, other);
  log.fit_numbers("seq = " + other, seq);
  log.restore_roots();
}

inline void cut_off(AttackedLog& log, Place place) {
  if (place.form % 2 == 0) {
    log.run("DELETE FROM audit WHERE seq >= " + number(place.seq));
  } else {
    log.forget_after(place.seq - 1);
  }
}
// Every checkpoint was once the newest one of a whole log.
inline std::uint64_t hidden_truncation(const SealedFacts& facts, Place place) {
  return place.form % 2 != 0 && facts.has_checkpoint(place.seq - 1) ? place.seq : 0;
}

inline std::uint64_t rolled_back_to(const SealedFacts& facts, Place place) {
  return facts.sizes[place.form % (facts.sizes.size() - 1)];
}
inline void roll_back(AttackedLog& log, Place place) {
  log.forget_after(rolled_back_to(log.facts(), place));
}
inline std::uint64_t hidden_roll_back(const SealedFacts& facts, Place place) {
  return rolled_back_to(facts, place) + 1;
}

inline void rewrite_without_key(AttackedLog& log, Place place) {
  log.edit(place.seq);
  log.sign_again(SigningKey::generate().value(), 1 + place.form % SealedFacts::kEpochs);
}
inline void rewrite_with_key(AttackedLog& log, Place place) {
  log.edit(place.seq);
  log.sign_again(*log.facts().present);
}
// The erased keys of earlier epochs have vouched for what was before the present one.
inline std::uint64_t hidden_rewrite(const SealedFacts&, Place place) {
  return SealedFacts::in_present_epoch(place.seq) ? place.seq : 0;
}

inline void change_column(AttackedLog& log, Place place) {
  constexpr std::array kChanges = {
      "t_wall_us = t_wall_us - 1", "type = 'room.leave'", "outcome = 'denied'",
      "reason = 'other'",          "reason = NULL",       "actor = 'staff:ann'",
      "room = 'b-room'",           "room = NULL"};
  log.run(std::string("UPDATE audit SET ") + kChanges[place.form % kChanges.size()] +
          " WHERE seq = " + number(place.seq));
}

// The record stays, but one index does not have it: lists and filters leave it out.
inline void hide_in_index(AttackedLog& log, Place place) {
  constexpr std::array kIndexes = {"audit_by_time", "audit_by_type", "audit_by_room"};
  const std::string index = kIndexes[place.form % kIndexes.size()];
  const std::string made = log.value("SELECT sql FROM sqlite_schema WHERE name = '" + index + "'");
  const auto become = [&](const std::string& text) {
    log.run("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = '" + text +
            "' WHERE name = '" + index + "'; PRAGMA writable_schema=RESET");
  };
  const bool is_partial = made.find(" WHERE ") != std::string::npos;
  become(made + (is_partial ? " AND" : " WHERE") + " seq <> " + number(place.seq));
  log.run("REINDEX " + index);
  become(made);
}

// The key, the voucher of the epoch before, or both. The attacker's voucher is by the present key.
inline void swap_epoch(AttackedLog& log, Place place) {
  const SealedFacts& facts = log.facts();
  const std::uint64_t epoch = 1 + place.form % SealedFacts::kEpochs;
  const Epoch& old = facts.epochs[epoch - 1];
  const std::uint64_t kind = place.form / SealedFacts::kEpochs % 3;
  const bool other_voucher = kind != 0 && old.voucher.has_value();
  const bool other_key = kind != 1 || !other_voucher;
  const SigningKey made = SigningKey::generate().value();
  const PublicKey& key = other_key ? made.public_key() : old.key;
  const std::uint64_t seq = SealedFacts::announced(epoch);
  std::string body = log.body(seq);
  if (other_voucher) {
    const auto message = epoch_message(old.origin, epoch, key, log.tree(seq - 1));
    replace_first(body, to_hex(*old.voucher), to_hex(facts.present->sign(message).value()));
  }
  if (other_key) replace_first(body, to_hex(old.key), to_hex(key));
  log.set_body(seq, body);
  log.sign_again(other_key && epoch == SealedFacts::kEpochs ? made : *facts.present);
}

// Somebody is shown another end of the log, signed like the real one: it is shorter, or has another
// record, only others, one less or one more. It parts in the present epoch, before the last record.
inline std::uint64_t parts_at(Place place) {
  constexpr std::uint64_t kFirst = SealedFacts::announced(SealedFacts::kEpochs) + 1;
  return kFirst + place.seq % (SealedFacts::kRecords - kFirst);
}
inline void split_view(AttackedLog& log, Place place) {
  const std::uint64_t seq = parts_at(place);
  const std::string from = "seq >= " + number(seq);
  const std::uint64_t after = SealedFacts::kRecords - seq;
  switch (place.form % 5) {
    case 0:
      log.run("DELETE FROM audit WHERE " + from);
      break;
    case 1:
      log.edit(seq);
      log.run("DELETE FROM audit WHERE seq > " + number(seq + place.form / 5 % after));
      break;
    case 2:
      log.edit_all(from);
      break;
    case 3:
      delete_record(log, {seq, 2});
      break;
    default:
      insert_record(log, {seq, 1});
      log.edit(seq);  // which is its copy until then
  }
  log.sign_again(*log.facts().present);
}
inline std::uint64_t hidden_view(const SealedFacts&, Place place) { return parts_at(place); }

// One root, one checkpoint or the hash beside one record.
inline void blank_hash(AttackedLog& log, Place place) {
  const auto& sizes = log.facts().sizes;
  const std::uint64_t which = place.form / 4;
  const std::string blocks = number(SealedFacts::kRecords / kPurgeBlock);
  const std::array changes = {
      "audit_subtree SET root = zeroblob(32) WHERE idx = " + number(which) + " % " + blocks,
      "audit_checkpoint SET note = '' WHERE size = " + number(sizes[which % sizes.size()]),
      "audit SET leaf = zeroblob(32) WHERE seq = " + number(place.seq),
      "audit SET leaf = NULL WHERE seq = " + number(place.seq)};
  log.run("UPDATE " + changes[place.form % changes.size()]);
}

inline const std::vector<Attack>& attack_classes() {
  static const std::vector<Attack> classes = {
      {"edit", edit_record, shows_by_itself},
      {"delete", delete_record, shows_by_itself},
      {"insert", insert_record, shows_by_itself},
      {"reorder", reorder_records, shows_by_itself},
      {"truncate", cut_off, hidden_truncation},
      {"roll back", roll_back, hidden_roll_back},
      {"rewrite without the key", rewrite_without_key, shows_by_itself},
      {"rewrite with the present key", rewrite_with_key, hidden_rewrite},
      {"index columns", change_column, shows_by_itself},
      {"hide in an index", hide_in_index, shows_by_itself},
      {"swap an epoch's key", swap_epoch, shows_by_itself},
      {"split view", split_view, hidden_view},
      {"blank a hash", blank_hash, shows_by_itself}};
  return classes;
}

}  // namespace bedside::store
