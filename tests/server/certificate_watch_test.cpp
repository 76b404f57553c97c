// Renewed certificates are taken from their files; broken ones are not.
#include "server/certificate_watch.h"

#include <gtest/gtest.h>

#include "tests/net/test_certificate.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using Finding = CertificateWatch::Finding;
using std::chrono::seconds;

// live/ as certbot keeps it: links to files of which each renewal makes new ones.
class Live {
 public:
  void show(const tests::TestCertificate& shown) {
    link("chain.pem", shown.certificate());
    link("key.pem", shown.key());
  }
  void link(const std::string& name, const std::filesystem::path& to) {
    std::filesystem::remove(folder_.path() / name);
    std::filesystem::create_symlink(to, folder_.path() / name);
  }
  Finding look(seconds later = seconds(2)) { return watch_.look(now_ += later); }
  const tests::TestCertificate& first() const { return first_; }
  const CertificateWatch& watch() const { return watch_; }
  std::string digest() const { return tls_.certificate().digest; }

 private:
  CertificateFiles files() {
    show(first_);
    return {folder_.path() / "chain.pem", folder_.path() / "key.pem"};
  }

  ScratchFolder folder_;
  tests::TestCertificate first_;
  CertificateWatch::Time now_{std::chrono::hours(1)};
  CertificateFiles files_ = files();
  net::TlsContext tls_ =
      net::TlsContext::load(files_.certificate.string(), files_.private_key.string()).value();
  net::DtlsContext dtls_ =
      net::DtlsContext::load(files_.certificate.string(), files_.private_key.string()).value();
  CertificateWatch watch_{files_, tls_, &dtls_, now_};
};

TEST(CertificateWatch, ServesTheCertificateALinkLeadsToNow) {
  Live live;
  const std::string before = live.digest();
  EXPECT_EQ(live.look(), Finding::nothing);
  const tests::TestCertificate second;
  live.show(second);
  EXPECT_EQ(live.look(), Finding::renewed);
  EXPECT_NE(live.digest(), before);
  EXPECT_EQ(live.watch().state().serving.digest, live.digest());
  EXPECT_EQ(live.watch().metrics().renewals, 1U);
  EXPECT_EQ(live.look(), Finding::nothing);
}

TEST(CertificateWatch, KeepsTheOldOneWhileThePairDoesNotFitAndThenSaysSoOnce) {
  Live live;
  const std::string before = live.digest();
  const tests::TestCertificate second;
  live.link("chain.pem", second.certificate());  // its key is still the old one
  EXPECT_EQ(live.look(), Finding::nothing);
  EXPECT_EQ(live.look(CertificateWatch::kPatience), Finding::broken);
  EXPECT_EQ(live.look(), Finding::nothing);
  EXPECT_EQ(live.digest(), before);
  EXPECT_TRUE(live.watch().metrics().problem);
  EXPECT_NE(live.watch().figures().problem.find("key.pem"), std::string::npos);
  live.link("key.pem", second.key());
  EXPECT_EQ(live.look(), Finding::renewed);
  EXPECT_NE(live.digest(), before);
  EXPECT_FALSE(live.watch().metrics().problem);
}

TEST(CertificateWatch, EndsTheAlarmWhenTheOldFilesComeBack) {
  Live live;
  live.link("chain.pem", "/nonexistent");
  EXPECT_EQ(live.look(), Finding::nothing);
  EXPECT_EQ(live.look(CertificateWatch::kPatience), Finding::broken);
  live.show(live.first());
  EXPECT_EQ(live.look(), Finding::mended);
  EXPECT_TRUE(live.watch().state().problem.empty());
  EXPECT_EQ(live.watch().metrics().renewals, 0U);
}

}  // namespace
}  // namespace bedside::server
