// A certificate for TLS tests.
#pragma once

#include <string>

namespace bedside::tests {

// A fresh self-signed certificate and its key as PEM files in a directory of their own, which goes
// with this object.
class TestCertificate {
 public:
  TestCertificate();
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  const std::string& directory() const { return directory_; }
  const std::string& certificate() const { return certificate_; }
  const std::string& key() const { return key_; }

 private:
  std::string directory_;
  std::string certificate_;
  std::string key_;
};

}  // namespace bedside::tests
