// `bedside audit verify` as its operator calls it: what it compares by itself, and what it says of
// files that are not what they are given for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/server/bedside_process.h"
#include "tests/store/python_verifier.h"

namespace bedside::server {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AuditVerify : public ::testing::Test {
 protected:
  AuditVerify() { server_.configure("", "[audit]\nanchor_file = \"anchor\"\n"); }

  std::string database() const { return (server_.data_dir() / "bedside.db").string(); }
  std::string path(const std::string& name) const {
    return (server_.folder().path() / name).string();
  }
  void serve_once() {
    server_.start();
    EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  }
  Ended verify(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"audit", "verify", "--config", server_.config_file().string()});
    return run_bedside(more);
  }
  std::string python(const std::string& anchor) {
    return python_.judge(database() + " - " + anchor);
  }

  TestServer server_;
  store::PythonVerifier python_;
};

TEST_F(AuditVerify, ComparesWithTheAnchorFileOfTheConfiguration) {
  serve_once();
  const Ended whole = verify();
  EXPECT_EQ(whole.exit_code, 0) << whole.output;
  EXPECT_THAT(whole.output, AllOf(HasSubstr("kept elsewhere"), Not(HasSubstr("Not shown"))));

  const std::string older = path("older.db");
  fs::copy_file(database(), older);
  serve_once();
  fs::rename(older, database());
  const Ended rolled_back = verify();
  EXPECT_EQ(rolled_back.exit_code, 1);
  EXPECT_THAT(rolled_back.output, HasSubstr("were sealed and are missing"));
  EXPECT_EQ(python(path("anchor")).substr(0, 6), "1 FAIL");
}

TEST_F(AuditVerify, SaysWhatNobodyCanSeeWithoutACheckpointFromElsewhere) {
  serve_once();
  fs::remove(path("anchor"));
  const Ended alone = verify();
  EXPECT_EQ(alone.exit_code, 0) << alone.output;
  EXPECT_THAT(alone.errors, AllOf(HasSubstr("nothing is compared"), HasSubstr(path("anchor"))));
  EXPECT_THAT(alone.output, AllOf(HasSubstr("PASS"), HasSubstr("Not shown"), HasSubstr("--anchor"),
                                  HasSubstr("--genesis")));
  EXPECT_THAT(python(""), AllOf(HasSubstr("0 PASS"), HasSubstr("Not shown"), HasSubstr("--anchor"),
                                HasSubstr("--genesis")));
}

TEST_F(AuditVerify, TakesAWrongFileForNoBrokenLog) {
  serve_once();
  server_.folder().write("mail.txt", "Dear colleague,\n\nplease find the checkpoint below.\n",
                         0600);
  const Ended refused = verify({"--anchor", path("mail.txt")});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("no checkpoint"), HasSubstr("mail.txt"), HasSubstr("→")));
  EXPECT_THAT(refused.output, Not(HasSubstr("FAIL")));
  EXPECT_THAT(python(path("mail.txt")), AllOf(HasSubstr("2 "), HasSubstr("mail.txt")));
}

}  // namespace
}  // namespace bedside::server
