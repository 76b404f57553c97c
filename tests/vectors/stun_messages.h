// The sample messages of RFC 5769 and of RFC 8489 appendix B (as corrected by errata 6268), one
// attribute a line.
#pragma once

#include <string_view>

namespace bedside::vectors {

// RFC 5769 §2.1 to §2.3: short-term credentials, where the key is the password itself.
inline constexpr std::string_view kShortTermPassword = "VOkJxbRl1RmTxUk/WvJxBt";

inline constexpr std::string_view kSampleRequest =
    "0001 0058 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022 0010 5354554e 20746573 7420636c 69656e74"           // SOFTWARE "STUN test client"
    "0024 0004 6e0001ff"                                      // PRIORITY
    "8029 0008 932ff9b1 51263b36"                             // ICE-CONTROLLED
    "0006 0009 6576746a 3a683676 59 202020"                   // USERNAME "evtj:h6vY", blank padding
    "0008 0014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2"  // MESSAGE-INTEGRITY
    "8028 0004 e57a3bcf";                                     // FINGERPRINT

inline constexpr std::string_view kSampleIpv4Response =
    "0101 003c 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022 000b 74657374 20766563 746f72 20"  // SOFTWARE "test vector", blank padding
    "0020 0008 0001a147 e112a643"            // XOR-MAPPED-ADDRESS 192.0.2.1:32853
    "0008 0014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7"
    "8028 0004 c07d4c96";

inline constexpr std::string_view kSampleIpv6Response =
    "0101 0048 2112a442 b7e7a701 bc34d686 fa87dfae"
    "8022 000b 74657374 20766563 746f72 20"
    // XOR-MAPPED-ADDRESS [2001:db8:1234:5678:11:2233:4455:6677]:32853
    "0020 0014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
    "0008 0014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41"
    "8028 0004 c8fb0b4c";

// RFC 5769 §2.4 and RFC 8489 appendix B.1: long-term credentials. The name is U+30DE U+30C8 U+30EA
// U+30C3 U+30AF U+30B9; the password is given after its preparation.
inline constexpr std::string_view kMatrixName = "\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9";
inline constexpr std::string_view kMatrixRealm = "example.org";
inline constexpr std::string_view kMatrixPassword = "TheMatrIX";

inline constexpr std::string_view kSampleLongTermRequest =
    "0001 0060 2112a442 78ad3433 c6ad72c0 29da412e"
    "0006 0012 e3839ee3 8388e383 aae38383 e382afe3 82b9 0000"
    "0015 001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341"  // NONCE
    "0014 000b 6578616d 706c652e 6f7267 00"                                     // REALM
    "0008 0014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

inline constexpr std::string_view kSampleSha256Request =
    "0001 0090 2112a442 78ad3433 c6ad72c0 29da412e"
    "001e 0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704"
    "0015 0029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476"
    "79363473 41 000000"
    "0014 000b 6578616d 706c652e 6f7267 00"
    "001d 0004 00020000"  // PASSWORD-ALGORITHM SHA-256
    "001c 0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65";

}  // namespace bedside::vectors
