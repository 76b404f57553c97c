#pragma once

// The demo's own certificate: EC P-256, self-signed, for localhost, 127.0.0.1 and ::1.
// Called at start, before any thread exists.

#include <chrono>
#include <filesystem>
#include <tl/expected.hpp>

#include "server/private_file.h"

namespace bedside::server {

struct CertificateFiles {
  std::filesystem::path certificate;
  std::filesystem::path private_key;  // 0600
};

enum class CertificateMade : std::uint8_t { kept, made };

// Makes the pair when it is absent, unreadable as a certificate, or expires within 30 days of
// `now` (Unix seconds).
tl::expected<CertificateMade, FileError> ensure_self_signed(const CertificateFiles& files,
                                                            std::chrono::seconds now);

}  // namespace bedside::server
