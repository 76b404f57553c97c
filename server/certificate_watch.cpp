#include "server/certificate_watch.h"

#include <sys/stat.h>

#include <utility>

#include "server/log.h"

namespace bedside::server {

CertificateWatch::CertificateWatch(CertificateFiles files, std::string host, net::TlsContext& tls,
                                   net::DtlsContext* dtls, Time now)
    : files_(std::move(files)),
      host_(std::move(host)),
      tls_(tls),
      dtls_(dtls),
      served_(stamp()),
      loaded_(now) {
  state_.serving = tls.certificate();
}

CertificateState CertificateWatch::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

CertificateWatch::Stamp CertificateWatch::stamp() const {
  Stamp result;
  for (const auto* file : {&files_.certificate, &files_.private_key}) {
    struct stat found {};
    if (::stat(file->c_str(), &found) != 0) {
      result.text += "absent;";
      continue;
    }
    for (const auto part :
         {static_cast<std::int64_t>(found.st_dev), static_cast<std::int64_t>(found.st_ino),
          static_cast<std::int64_t>(found.st_size), static_cast<std::int64_t>(found.st_mtim.tv_sec),
          static_cast<std::int64_t>(found.st_mtim.tv_nsec),
          static_cast<std::int64_t>(found.st_ctim.tv_sec),
          static_cast<std::int64_t>(found.st_ctim.tv_nsec)}) {
      result.text += std::to_string(part) + ",";
    }
    result.text += ";";
  }
  return result;
}

CertificateFigures CertificateWatch::figures() const {
  const std::lock_guard lock(mutex_);
  return {state_.serving.expires, state_.problem};
}

CertificateMetrics CertificateWatch::metrics() const {
  const std::lock_guard lock(mutex_);
  return {static_cast<double>(state_.serving.expires.count()), state_.renewals,
          !state_.problem.empty()};
}

CertificateWatch::Finding CertificateWatch::look(Time now) {
  return look(now, std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch()));
}

CertificateWatch::Finding CertificateWatch::look(Time now, std::chrono::seconds wall) {
  const Finding finding = compare(now, wall);
  const CertificateState state = this->state();
  switch (finding) {
    case Finding::nothing:
      break;
    case Finding::broken:
      log::error("the new certificate is not usable: the old one is still served",
                 {{"why", log::Configured(state.problem)}});
      break;
    case Finding::mended:
      log::info("the certificate's files are usable again");
      break;
    case Finding::renewed:
      log::info("the certificate was renewed", {{"expires", state.serving.expires.count()}});
      break;
  }
  return finding;
}

CertificateWatch::Finding CertificateWatch::compare(Time now, std::chrono::seconds wall) {
  // Before reading: what changes from here on is seen at the next look.
  Stamp current = stamp();
  const bool changed = !(current == served_) || failing_since_;
  if (!changed && now - loaded_ < kTicketKeys) return Finding::nothing;
  const std::optional<std::string> why = load(wall);
  if (why) return failed(*why, now);
  served_ = std::move(current);
  loaded_ = now;
  failing_since_.reset();
  const std::lock_guard lock(mutex_);
  net::CertificateFacts facts = tls_.certificate();
  const bool another = facts.digest != state_.serving.digest;
  const bool mended = !state_.problem.empty();
  state_.serving = std::move(facts);
  state_.problem.clear();
  if (another) ++state_.renewals;
  if (another) return Finding::renewed;
  return mended ? Finding::mended : Finding::nothing;
}

// Both or none: TLS and DTLS show the same certificate.
std::optional<std::string> CertificateWatch::load(std::chrono::seconds wall) {
  const std::string certificate = files_.certificate.string();
  const std::string key = files_.private_key.string();
  auto tls = net::TlsContext::load(certificate, key);
  if (!tls) return std::move(tls.error());
  if (std::string why = drawback_of(*tls, wall); !why.empty()) return why;
  if (dtls_ != nullptr) {
    auto dtls = net::DtlsContext::load(certificate, key);
    if (!dtls) return std::move(dtls.error());
    // The files may have changed between the two: then the next look loads them again.
    dtls_->replace(std::move(*dtls));
  }
  tls_.replace(std::move(*tls));
  return std::nullopt;
}

// Why visitors are better off with what is served; empty: they are not.
std::string CertificateWatch::drawback_of(const net::TlsContext& fresh,
                                          std::chrono::seconds wall) const {
  const net::CertificateFacts served = tls_.certificate();
  const net::CertificateFacts next = fresh.certificate();
  if (wall < served.begins || wall >= served.expires) return {};
  const std::string which = "the certificate " + files_.certificate.string();
  if (wall < next.begins) return which + " is not valid yet";
  if (wall >= next.expires) return which + " has expired";
  if (tls_.names(host_) && !fresh.names(host_)) return which + " is not made out to " + host_;
  return {};
}

CertificateWatch::Finding CertificateWatch::failed(const std::string& why, Time now) {
  if (!failing_since_) failing_since_ = now;
  if (now - *failing_since_ < kPatience) return Finding::nothing;
  const std::lock_guard lock(mutex_);
  if (state_.problem == why) return Finding::nothing;
  state_.problem = why;
  return Finding::broken;
}

}  // namespace bedside::server
