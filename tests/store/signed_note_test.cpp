// Keys, signed notes (C2SP) and checkpoints.
#include "store/signed_note.h"

#include <gtest/gtest.h>

#include "store/checkpoint.h"

namespace bedside::store {
namespace {

SigningKey key_of(std::uint8_t seed) {
  return SigningKey::from_seed(std::vector<std::uint8_t>(32, seed)).value();
}

// RFC 8032 §7.1, test 1.
TEST(SigningKey, AgreesWithRfc8032) {
  std::array<std::uint8_t, 32> seed{};
  ASSERT_TRUE(from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed));
  const auto key = SigningKey::from_seed(seed).value();
  EXPECT_EQ(to_hex(key.public_key()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(
      to_hex(key.sign("").value()),
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
      "f9b46bd25bf5f0595bbe24655141438e7a100b");
  EXPECT_EQ(key.seed(), seed);
  EXPECT_TRUE(verify(key.public_key(), "", key.sign("").value()));
  EXPECT_FALSE(verify(key.public_key(), "x", key.sign("").value()));
}

TEST(SigningKey, IsNewEachTime) {
  EXPECT_NE(SigningKey::generate()->public_key(), SigningKey::generate()->public_key());
  EXPECT_FALSE(SigningKey::from_seed(std::vector<std::uint8_t>(31)));
}

// The example of the specification: the key id of a name and a key.
TEST(SignedNote, KeyIdsAreThoseOfTheSpecification) {
  // "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW": type byte 1, 32 bytes.
  const auto bytes = from_base64("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").value();
  PublicKey key{};
  std::copy(bytes.begin() + 1, bytes.end(), key.begin());
  EXPECT_EQ(to_hex(note_key_id("PeterNeumann", key)), "c74f20a3");
}

TEST(SignedNote, IsReadBackAndBelievedForItsKeyAndNameOnly) {
  const SigningKey key = key_of(1);
  const std::string text = "one\ntwo\n";
  const std::string note = sign_note(text, "log/1", key).value();
  const auto read = parse_note(note);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, text);
  EXPECT_TRUE(is_signed_by(*read, "log/1", key.public_key()));
  EXPECT_FALSE(is_signed_by(*read, "log/2", key.public_key()));
  EXPECT_FALSE(is_signed_by(*read, "log/1", key_of(2).public_key()));
}

TEST(SignedNote, EveryChangedByteIsNoticed) {
  const SigningKey key = key_of(1);
  const std::string note = sign_note("origin\n12\n", "log/1", key).value();
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto read = parse_note(changed);
    EXPECT_FALSE(read && read->text == "origin\n12\n" &&
                 is_signed_by(*read, "log/1", key.public_key()))
        << i;
  }
}

TEST(SignedNote, WhatIsNoneIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("text\n"), std::string("text\n\n"),
        std::string("text\n\nline\n"), std::string("text\n\n\xE2\x80\x94 name\n"),
        std::string("text\n\n\xE2\x80\x94 name AAAA\n"),
        std::string("te\x01xt\n\n\xE2\x80\x94 name AAAAAAAA\n"),
        std::string("text\n\n\xE2\x80\x94 name AAAAAAAA"), std::string(kMaxNote + 1, 'x')}) {
    EXPECT_FALSE(parse_note(text)) << text.substr(0, 60);
  }
  EXPECT_TRUE(parse_note("text\n\n\xE2\x80\x94 name AAAAAAAA\n")) << "an unknown kind of signature";
}

TEST(Base64, HasOneSpelling) {
  EXPECT_EQ(base64(std::vector<std::uint8_t>{'a'}), "YQ==");
  EXPECT_TRUE(from_base64("YQ=="));
  EXPECT_FALSE(from_base64("YR==")) << "bits that mean nothing";
  EXPECT_FALSE(from_base64("YQ"));
  EXPECT_FALSE(from_base64("Y*=="));
  EXPECT_FALSE(from_base64("YQ==\n==="));
}

TEST(Checkpoint, IsReadBackInItsOneSpelling) {
  const Checkpoint checkpoint{"bedside/audit/1", 42, leaf_hash("x"), 3, 1'700'000'000'000'000};
  EXPECT_EQ(Checkpoint::parse(checkpoint.text()), checkpoint);
  std::string text = checkpoint.text();
  EXPECT_FALSE(Checkpoint::parse(text + "more\n"));
  EXPECT_FALSE(Checkpoint::parse(text.substr(0, text.size() - 1)));
  text.replace(text.find("\n42\n"), 4, "\n042\n");
  EXPECT_FALSE(Checkpoint::parse(text));
}

}  // namespace
}  // namespace bedside::store
