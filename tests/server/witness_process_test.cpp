// Two practices witness each other: two real servers, and what an auditor does with the result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "store/cosignature.h"
#include "store/reader.h"
#include "tests/server/bedside_process.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;

// The keys as `bedside witness key` prints them: the log's and the witness's.
std::pair<std::string, std::string> keys_of(const TestServer& server) {
  const std::string text =
      run_bedside({"witness", "key", "--config", server.config_file().string()}).output;
  const std::size_t log = text.find("\n  ") + 3;
  const std::size_t witness = text.find("\n  ", log) + 3;
  return {text.substr(log, text.find('\n', log) - log),
          text.substr(witness, text.find('\n', witness) - witness)};
}

void start_once(TestServer& server) {
  server.start();
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
}

std::size_t records(const TestServer& server, const char* type, const char* outcome) {
  const auto reader = store::Reader::open((server.data_dir() / "bedside.db").string());
  store::AuditQuery query;
  query.type_prefix = type;
  std::size_t count = 0;
  const auto rows = reader->audit(query);
  for (const auto& row : *rows) count += row.outcome == outcome ? 1U : 0U;
  return count;
}

std::string held_by(const TestServer& witness) {
  const Ended list = run_bedside({"witness", "list", "--config", witness.config_file().string()});
  const std::string& held = list.output;
  const auto note = store::parse_note(std::string_view(held).substr(0, held.size() - 1));
  const auto key = store::VerifierKey::parse(keys_of(witness).second);
  EXPECT_TRUE(note && key && store::cosigned_at(*note, *key)) << list.output;
  return held;
}

Ended verify(const TestServer& log) {
  return run_bedside({"audit", "verify", "--config", log.config_file().string(), "--anchor",
                      (log.folder().path() / "held.note").string()});
}

TEST(Witness, OfAnotherServerCosignsItAndFindsARollBack) {
  TestServer log;
  TestServer witness;
  witness.configure("public_host = \"witness.example\"\n", "");
  start_once(log);
  start_once(witness);
  witness.configure("public_host = \"witness.example\"\n",
                    "[witness]\nlogs = [\"" + keys_of(log).first + "\"]\n");
  const std::string anchored =
      "[[audit.witness]]\nurl = \"http://127.0.0.1:" + std::to_string(witness.http()) +
      "/witness/\"\nkey = \"" + keys_of(witness).second + "\"\n";
  log.configure("", anchored);
  witness.start();
  log.start();
  ASSERT_TRUE(log.process().wait_for_errors("the audit log is anchored"));
  EXPECT_EQ(log.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(records(log, "witness.cosigned", "ok"), 1U);
  EXPECT_EQ(records(witness, "witness.cosigned", "ok"), 1U);

  // What the witness holds is an anchor for whoever checks the log.
  log.folder().write("held.note", held_by(witness), 0600);
  EXPECT_EQ(verify(log).exit_code, 0) << verify(log).output;

  const std::string name = held_by(witness).substr(0, held_by(witness).find('\n'));
  const auto list = [&](const std::string& log_name) {
    return run_bedside(
        {"witness", "list", "--log", log_name, "--config", witness.config_file().string()});
  };
  EXPECT_EQ(list(name).output, held_by(witness));
  EXPECT_EQ(list("bedside/audit/other").output, "");
  EXPECT_EQ(list("bedside/audit/other").exit_code, 1);

  // Another practice's checkpoint is no sign of a change.
  const Ended other = run_bedside({"audit", "verify", "--config", witness.config_file().string(),
                                   "--anchor", (log.folder().path() / "held.note").string()});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.output, HasSubstr("is not of this log, but of " + name));

  // A copy of today is put back tomorrow: consistent in itself, and the witness knows better.
  const auto copy = log.folder().path() / "copy";
  std::filesystem::copy(log.data_dir(), copy, std::filesystem::copy_options::recursive);
  log.start();
  ASSERT_TRUE(log.process().wait_for_errors("the audit log is anchored"));
  EXPECT_EQ(log.stop(SIGTERM).exit_code, 0);
  log.folder().write("held.note", held_by(witness), 0600);
  EXPECT_EQ(verify(log).exit_code, 0) << verify(log).output;
  std::filesystem::remove_all(log.data_dir());
  std::filesystem::rename(copy, log.data_dir());
  EXPECT_EQ(verify(log).exit_code, 1);
  log.start();
  EXPECT_TRUE(log.process().wait_for_errors("the audit log was changed or rolled back"));
  EXPECT_EQ(log.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(records(log, "witness.refused", "failed"), 1U);
}

TEST(AnchorFile, KeepsTheServerFromStartingOnADatabaseThatWasRolledBack) {
  TestServer server;
  const auto anchor = server.folder().path() / "anchor";
  server.configure("", "[audit]\nanchor_file = \"" + anchor.string() + "\"\n");
  start_once(server);
  const auto copy = server.folder().path() / "copy";
  std::filesystem::copy(server.data_dir(), copy, std::filesystem::copy_options::recursive);
  start_once(server);
  std::filesystem::remove_all(server.data_dir());
  std::filesystem::rename(copy, server.data_dir());
  const std::string evidence = server.folder().read("data/bedside.db");
  const std::string config = server.config_file().string();
  const Ended refused = run_bedside({"serve", "--config", config});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("contradicts its anchor file"));
  EXPECT_THAT(refused.errors, HasSubstr("rename the anchor file"));
  // Nor does a command, while no server runs, write on.
  const Ended token = run_bedside(
      {"token", "create", "--name", "EHR", "--scope", "rooms.create", "--config", config});
  EXPECT_EQ(token.exit_code, 1);
  EXPECT_THAT(token.errors, HasSubstr("contradicts its anchor file"));
  EXPECT_TRUE(server.folder().read("data/bedside.db") == evidence);
  std::filesystem::rename(anchor, server.folder().path() / "evidence");
  start_once(server);
}

}  // namespace
}  // namespace bedside::server
