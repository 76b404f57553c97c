// Renewed certificates are taken from their files; broken ones are not.
#include "server/certificate_watch.h"

#include <gtest/gtest.h>

#include "tests/net/test_certificate.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using Finding = CertificateWatch::Finding;
using std::chrono::hours;
using std::chrono::seconds;

seconds system_time() {
  return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch());
}

// live/ as certbot keeps it: links to files of which each renewal makes new ones.
class Live {
 public:
  void show(const tests::TestCertificate& shown) {
    link("chain.pem", shown.certificate());
    link("key.pem", shown.key());
  }
  // A pair made out to localhost, good for a year from an hour before `issued` on.
  void show_named(const std::string& name, seconds issued) {
    const CertificateFiles files{folder_.path() / name / "chain.pem",
                                 folder_.path() / name / "key.pem"};
    ASSERT_TRUE(ensure_self_signed(files, issued));
    link("chain.pem", files.certificate);
    link("key.pem", files.private_key);
  }
  void link(const std::string& name, const std::filesystem::path& to) {
    std::filesystem::remove(folder_.path() / name);
    std::filesystem::create_symlink(to, folder_.path() / name);
  }
  Finding look(seconds later = seconds(2)) { return watch_.look(now_ += later, wall_ += later); }
  seconds wall() const { return wall_; }
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
  CertificateWatch::Time now_{hours(1)};
  seconds wall_ = system_time();
  CertificateFiles files_ = files();
  net::TlsContext tls_ =
      net::TlsContext::load(files_.certificate.string(), files_.private_key.string()).value();
  net::DtlsContext dtls_ =
      net::DtlsContext::load(files_.certificate.string(), files_.private_key.string()).value();
  CertificateWatch watch_{files_, "localhost", tls_, &dtls_, now_};
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

// Shows a pair that is worse than the one that is served, until the alarm.
void expect_refused(Live& live, const std::string& why) {
  const std::string before = live.digest();
  EXPECT_EQ(live.look(), Finding::nothing);
  EXPECT_EQ(live.look(CertificateWatch::kPatience), Finding::broken);
  EXPECT_EQ(live.digest(), before);
  EXPECT_NE(live.watch().state().problem.find(why), std::string::npos)
      << live.watch().state().problem;
}

TEST(CertificateWatch, KeepsTheOldOneWhileBrowsersWouldRefuseTheNewOne) {
  Live live;
  live.show_named("good", live.wall());
  EXPECT_EQ(live.look(), Finding::renewed) << "the first one names nobody";
  live.show_named("expired", live.wall() - hours(24 * 400));
  expect_refused(live, "chain.pem has expired");
  live.show_named("good", live.wall());
  EXPECT_EQ(live.look(), Finding::mended);
  live.show(live.first());
  expect_refused(live, "chain.pem is not made out to localhost");
  live.show_named("good", live.wall());
  EXPECT_EQ(live.look(), Finding::mended);
  const std::string before = live.digest();
  live.show_named("early", live.wall() + hours(3));
  expect_refused(live, "chain.pem is not valid yet");
  EXPECT_EQ(live.look(hours(2)), Finding::renewed) << "its time has come";
  EXPECT_NE(live.digest(), before);
}

TEST(CertificateWatch, TakesWhatThereIsWhenTheOldOneIsNoBetter) {
  Live live;
  live.show_named("good", live.wall());
  EXPECT_EQ(live.look(), Finding::renewed);
  EXPECT_EQ(live.look(hours(24 * 400)), Finding::nothing) << "new keys for tickets";
  live.show_named("expired", live.wall() - hours(24 * 800));
  EXPECT_EQ(live.look(), Finding::renewed);
}

}  // namespace
}  // namespace bedside::server
