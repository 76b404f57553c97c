// Cosignatures and the judgement of a witness: C2SP signed-note, tlog-cosignature, tlog-witness.
#include "store/witness.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "growing_log.h"

namespace bedside::store {
namespace {

WitnessVerdict ask(const std::string& body, const std::vector<VerifierKey>& logs,
                   const std::optional<TreeHead>& known) {
  const auto request = parse_add_checkpoint(body);
  EXPECT_TRUE(request) << body;
  return request ? judge(*request, logs, known) : WitnessVerdict::malformed;
}

// Two keys that are known to everybody: the specification's example and Go's checksum database.
TEST(VerifierKey, IsReadAndWrittenAsTheSpecificationSays) {
  for (const char* text :
       {"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"}) {
    const auto key = VerifierKey::parse(text);
    ASSERT_TRUE(key) << text;
    EXPECT_EQ(key->kind, KeyKind::log);
    EXPECT_EQ(key->text(), text);
  }
  for (const char* text :
       {"", "+", "++", "name+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        "PeterNeumann+c74f20a3+AhpcbQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"}) {
    EXPECT_FALSE(VerifierKey::parse(text)) << text;
  }
}

TEST(Cosignature, IsBelievedForItsWitnessItsTextAndItsTimeOnly) {
  const SigningKey witness = key_from(3);
  const VerifierKey known{"witness.example/w", KeyKind::witness, witness.public_key()};
  GrowingLog log("bedside/audit/a");
  log.grow(3);
  const std::string note = log.checkpoint();
  const std::string line =
      cosign(parse_note(note)->text, std::chrono::seconds(1'700'000'123), known.name, witness)
          .value();
  EXPECT_EQ(VerifierKey::parse(known.text()), known);
  const Note whole = parse_note(note + line).value();
  EXPECT_EQ(cosigned_at(whole, known), std::chrono::seconds(1'700'000'123));
  EXPECT_EQ(cosigned_at(parse_note(note).value(), known), std::nullopt);
  EXPECT_EQ(cosigned_at(whole, {"witness.example/v", KeyKind::witness, known.key}), std::nullopt);
  EXPECT_EQ(cosigned_at(whole, {known.name, KeyKind::witness, key_from(4).public_key()}),
            std::nullopt);
  EXPECT_EQ(cosigned_at(whole, {known.name, KeyKind::log, known.key}), std::nullopt);
  Note other_time = whole;
  other_time.signatures.back().signature[7] ^= 1;
  EXPECT_EQ(cosigned_at(other_time, known), std::nullopt);
  log.grow(1);
  EXPECT_EQ(cosigned_at(parse_note(log.checkpoint() + line).value(), known), std::nullopt);
}

TEST(Witness, CosignsAGrowingLogAndNoOtherPast) {
  GrowingLog log("bedside/audit/a");
  const std::vector<VerifierKey> logs{log.key()};
  std::optional<TreeHead> known;
  const std::uint32_t seed = 20261123;
  std::mt19937 random(seed);
  for (int step = 0; step < 40; ++step) {
    const std::uint64_t old_size = log.size();
    log.grow(random() % 30);
    const std::string body = log.request(old_size);
    ASSERT_EQ(ask(body, logs, known), WitnessVerdict::consistent) << "seed " << seed;
    if (known && log.size() != old_size) {
      GrowingLog liar("bedside/audit/a");
      liar.grow(old_size == 0 ? 1 : old_size, "other");
      liar.grow(log.size() - liar.size());
      EXPECT_NE(ask(liar.request(old_size), logs, known),
                old_size == 0 ? WitnessVerdict::unknown_log : WitnessVerdict::consistent);
    }
    known = parse_add_checkpoint(body)->head;
  }
}

TEST(Witness, SaysWhatIsWrong) {
  GrowingLog log("bedside/audit/a");
  log.grow(10);
  const TreeHead ten = parse_add_checkpoint(log.request(0))->head;
  log.grow(5);
  const std::vector<VerifierKey> logs{log.key()};
  EXPECT_EQ(ask(log.request(10), logs, ten), WitnessVerdict::consistent);
  EXPECT_EQ(ask(log.request(10), {}, ten), WitnessVerdict::unknown_log);
  const std::vector<VerifierKey> other_key{
      {"bedside/audit/a", KeyKind::log, key_from(9).public_key()}};
  EXPECT_EQ(ask(log.request(10), other_key, ten), WitnessVerdict::not_signed);
  EXPECT_EQ(ask(log.request(0), logs, ten), WitnessVerdict::other_size);
  EXPECT_EQ(ask(log.request(10), logs, std::nullopt), WitnessVerdict::other_size);
  EXPECT_EQ(
      ask(add_checkpoint_body(
              16, {}, add_log_signature(log.checkpoint(), "bedside/audit/a", key_from(2)).value()),
          logs, ten),
      WitnessVerdict::malformed);
  EXPECT_EQ(
      ask(add_checkpoint_body(
              10, {}, add_log_signature(log.checkpoint(), "bedside/audit/a", key_from(2)).value()),
          logs, ten),
      WitnessVerdict::inconsistent);
  // Rolled back, then grown again with other records up to the same size.
  GrowingLog back("bedside/audit/a");
  back.grow(9);
  back.grow(1, "instead");
  EXPECT_EQ(ask(back.request(10), logs, ten), WitnessVerdict::inconsistent);
}

TEST(AddCheckpoint, RefusesWhatIsNoRequest) {
  GrowingLog log("bedside/audit/a");
  log.grow(10);
  const std::string good = log.request(4);
  ASSERT_TRUE(parse_add_checkpoint(good));
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    const auto parsed = parse_add_checkpoint(good.substr(0, cut));
    EXPECT_FALSE(parsed && parsed->checkpoint.signatures.size() > 1) << cut;
  }
  for (const std::string& bad :
       {std::string("old\n\n"), std::string("old 04\n\n"), std::string("old -1\n\n"),
        std::string("old 4\nnot base64\n\n"), "new" + good.substr(3), "old 4\n" + good,
        "old 18446744073709551616\n" + good.substr(good.find('\n') + 1)}) {
    EXPECT_FALSE(parse_add_checkpoint(bad)) << bad;
  }
  const std::vector<Hash> many(kMaxConsistencyProof + 1);
  EXPECT_FALSE(parse_add_checkpoint(add_checkpoint_body(4, many, log.checkpoint())));
}

}  // namespace
}  // namespace bedside::store
