// Renewed certificates are taken from their files while the server runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "server/admin_backend.h"
#include "server/metrics.h"
#include "server/net/certificate.h"
#include "server/net/dtls.h"
#include "server/net/tls.h"
#include "server/self_signed.h"

namespace bedside::server {

// What the operator and the staff are told. `problem` is a sentence for the log, empty when the
// files are what is served.
struct CertificateState {
  net::CertificateFacts serving;
  std::uint64_t renewals = 0;
  std::string problem;
};

// Compares what stat() says of the two files, through symbolic links: certbot's live/ has links
// that are replaced. A pair that is not usable is tried again at each look and becomes an alarm
// when it stays so: its two files cannot change in the same moment. Meanwhile the old pair is
// served. Not usable is also a certificate that browsers would refuse, as long as they take the old
// one: it is out of date, or not made out to our name.
//
// The keys of TLS session tickets are made anew once a day as well, because whoever had one could
// read the sessions it was used for.
//
// look() on the main thread; the others on any.
class CertificateWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kInterval{2};  // of looks
  static constexpr std::chrono::seconds kPatience{5};  // with a pair that is not usable
  static constexpr std::chrono::hours kTicketKeys{24};

  enum class Finding : std::uint8_t {
    nothing,  // no change, or one that is not decided yet
    renewed,  // another certificate is served from now on
    broken,   // the alarm: said once for each reason
    mended,   // after an alarm: the files are usable again, and what is served
  };

  // `tls` and `dtls` (null without DTLS) were loaded from these files and outlive the watch.
  // `host`: our name.
  CertificateWatch(CertificateFiles files, std::string host, net::TlsContext& tls,
                   net::DtlsContext* dtls, Time now);

  // Also writes what it found into the log. `wall`: Unix time.
  Finding look(Time now, std::chrono::seconds wall);
  Finding look(Time now);  // by the system's clock
  CertificateState state() const;
  CertificateFigures figures() const;
  CertificateMetrics metrics() const;

 private:
  struct Stamp {  // of both files
    std::string text;
    bool operator==(const Stamp& other) const { return text == other.text; }
  };
  Stamp stamp() const;
  std::optional<std::string> load(std::chrono::seconds wall);
  std::string drawback_of(const net::TlsContext& fresh, std::chrono::seconds wall) const;
  Finding compare(Time now, std::chrono::seconds wall);
  Finding failed(const std::string& why, Time now);

  const CertificateFiles files_;
  const std::string host_;
  net::TlsContext& tls_;
  net::DtlsContext* const dtls_;
  Stamp served_;
  Time loaded_;
  std::optional<Time> failing_since_;
  mutable std::mutex mutex_;
  CertificateState state_;
};

}  // namespace bedside::server
