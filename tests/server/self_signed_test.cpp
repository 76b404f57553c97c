#include "server/self_signed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <memory>

#include "server/net/tls.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using std::chrono::seconds;

constexpr seconds kIssuedAt{1'800'000'000};
constexpr seconds kDay{86'400};

std::unique_ptr<X509, decltype(&X509_free)> load(const std::filesystem::path& file) {
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new_file(file.c_str(), "r"),
                                                          BIO_free_all);
  return {PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free};
}

class SelfSigned : public testing::Test {
 protected:
  const ScratchFolder folder;
  const CertificateFiles files{folder.path() / "certificate.pem", folder.path() / "keys" / "c.key"};
};

TEST_F(SelfSigned, NamesThisMachineAndLoads) {
  const auto made = ensure_self_signed(files, kIssuedAt);
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(*made, CertificateMade::made);
  const auto certificate = load(files.certificate);
  ASSERT_TRUE(certificate);
  EXPECT_EQ(X509_check_host(certificate.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "::1", 0), 1);
  EXPECT_NE(X509_check_host(certificate.get(), "example.org", 0, 0, nullptr), 1);
  EXPECT_TRUE(net::TlsContext::load(files.certificate.string(), files.private_key.string()));
}

TEST_F(SelfSigned, TheKeyIsForThisUserOnly) {
  ASSERT_TRUE(ensure_self_signed(files, kIssuedAt));
  struct stat status {};
  ASSERT_EQ(::stat(files.private_key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
}

TEST_F(SelfSigned, IsKeptUntilItExpiresSoon) {
  ASSERT_TRUE(ensure_self_signed(files, kIssuedAt));
  const std::string first = folder.read("certificate.pem");
  EXPECT_EQ(*ensure_self_signed(files, kIssuedAt + 300 * kDay), CertificateMade::kept);
  EXPECT_EQ(folder.read("certificate.pem"), first);
  EXPECT_EQ(*ensure_self_signed(files, kIssuedAt + 340 * kDay), CertificateMade::made);
  EXPECT_NE(folder.read("certificate.pem"), first);
}

TEST_F(SelfSigned, APairThatDoesNotMatchOrIsDamagedIsMadeAgain) {
  ASSERT_TRUE(ensure_self_signed(files, kIssuedAt));
  folder.write("certificate.pem", "nonsense", 0644);
  EXPECT_EQ(*ensure_self_signed(files, kIssuedAt), CertificateMade::made);
  const std::string other_key = folder.read("keys/c.key");
  std::filesystem::remove(files.certificate);
  EXPECT_EQ(*ensure_self_signed(files, kIssuedAt), CertificateMade::made);
  folder.write("keys/c.key", other_key, 0600);
  EXPECT_EQ(*ensure_self_signed(files, kIssuedAt), CertificateMade::made);
}

}  // namespace
}  // namespace bedside::server
