#include "server/certificate_watch.h"

#include <sys/stat.h>

#include <utility>

#include "server/log.h"

namespace bedside::server {

CertificateWatch::CertificateWatch(CertificateFiles files, net::TlsContext& tls,
                                   net::DtlsContext* dtls, Time now)
    : files_(std::move(files)), tls_(tls), dtls_(dtls), served_(stamp()), loaded_(now) {
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
  const Finding finding = compare(now);
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

CertificateWatch::Finding CertificateWatch::compare(Time now) {
  // Before reading: what changes from here on is seen at the next look.
  Stamp current = stamp();
  const bool changed = !(current == served_) || failing_since_;
  if (!changed && now - loaded_ < kTicketKeys) return Finding::nothing;
  const std::optional<std::string> why = load();
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
std::optional<std::string> CertificateWatch::load() {
  const std::string certificate = files_.certificate.string();
  const std::string key = files_.private_key.string();
  auto tls = net::TlsContext::load(certificate, key);
  if (!tls) return std::move(tls.error());
  if (dtls_ != nullptr) {
    auto dtls = net::DtlsContext::load(certificate, key);
    if (!dtls) return std::move(dtls.error());
    // The files may have changed between the two: then the next look loads them again.
    dtls_->replace(std::move(*dtls));
  }
  tls_.replace(std::move(*tls));
  return std::nullopt;
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
