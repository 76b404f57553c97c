// A database that fails for good under the real binary: nothing more is granted, the process says
// why and ends, and the next start goes on, or says what to do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/resource.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/server/bedside_process.h"
#include "tests/store/store_fixture.h"

namespace bedside::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FailedDatabase : public testing::Test {
 protected:
  std::string path() const { return (server_.data_dir() / "bedside.db").string(); }
  int make_room(int appointment) const {
    const auto answer =
        httplib::Client("127.0.0.1", server_.http())
            .Post("/api/webrtc-signaling",
                  R"({"action":"create-room","appointmentId":)" + std::to_string(appointment) + "}",
                  "application/json");
    return answer ? answer->status : 0;
  }
  Ended run(std::vector<std::string> words) const {
    words.insert(words.end(), {"--config", server_.config_file().string()});
    return run_bedside(words);
  }

  TestServer server_;
};

TEST_F(FailedDatabase, AForeignRecordEndsTheProcessAndStopsTheNextStart) {
  server_.start();
  EXPECT_EQ(make_room(1), 200);
  store::RawDatabase database(path());
  ASSERT_EQ(database.run("INSERT INTO audit SELECT max(seq) + 1, 0, 'foreign', 'ok', NULL, NULL, "
                         "NULL, x'00', NULL FROM audit"),
            "");
  const std::string foreign = database.value("SELECT max(seq) FROM audit");
  EXPECT_EQ(make_room(2), 503);
  const Ended ended = server_.process().wait();
  EXPECT_EQ(ended.exit_code, 1) << "by itself";
  EXPECT_THAT(ended.errors,
              AllOf(HasSubstr("the database failed; stopping"),
                    HasSubstr("the next audit record should be " + foreign),
                    HasSubstr("another program has written into it"), Not(HasSubstr("no space"))));
  EXPECT_EQ(database.value("SELECT max(seq) FROM audit"), foreign) << "nothing came after it";
  EXPECT_EQ(database.column("SELECT room_id FROM rooms").size(), 1U);

  const Ended again = run({"serve"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.errors, AllOf(HasSubstr("bedside.db is damaged"),
                                  HasSubstr("Run `bedside audit verify` to see which one"),
                                  HasSubstr("restore the last backup")));
  const Ended verified = run({"audit", "verify"});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_THAT(verified.output + verified.errors, HasSubstr("FAIL at record " + foreign + ":"));
}

// The kernel refuses each write with EFBIG, which is no full disk.
TEST_F(FailedDatabase, AFailedWriteEndsTheProcessAndTheNextStartHasWhatWasAcknowledged) {
  server_.start();
  EXPECT_EQ(make_room(1), 200);
  const rlimit none{0, RLIM_INFINITY};
  ASSERT_EQ(::prlimit(server_.process().pid(), RLIMIT_FSIZE, &none, nullptr), 0);
  EXPECT_EQ(make_room(2), 503);
  const Ended ended = server_.process().wait();
  EXPECT_EQ(ended.exit_code, 1) << "by itself";
  EXPECT_THAT(ended.errors, AllOf(HasSubstr("the database failed; stopping"),
                                  HasSubstr("disk I/O error"), Not(HasSubstr("no space"))));

  server_.start();
  EXPECT_EQ(store::RawDatabase(path()).column("SELECT room_id FROM rooms").size(), 1U);
  EXPECT_EQ(make_room(2), 200);
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(run({"audit", "verify"}).exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
