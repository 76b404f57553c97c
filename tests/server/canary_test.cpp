// A thousand personal values through every input of a real server, and then everything it writes,
// shows or sends: none may be there. `./run canaries` plants more.
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "server/self_signed.h"
#include "store/database.h"
#include "tests/server/canary_inputs.h"

namespace bedside::server {
namespace {

using ::testing::IsEmpty;

// State of a visit, which its server has to know while the visit lasts: who is in it (erased with
// it), what it is called, which appointment it is (erased when the room is forgotten). A room
// without a name of its own is named after its appointment. What a token is called is known as long
// as the token is there ("program"), and erased with it ("label").
const std::set<std::string> kState{"name",    "staff",  "room",  "appointment", "named-after",
                                   "program", "number", "label", "unknown"};
// What is there may have left a piece of itself elsewhere in a page ("unknown": too short to say
// of what).
const std::set<std::string> kStateAtTheEnd{"room",    "appointment", "named-after",
                                           "program", "number",      "unknown"};
const std::set<std::string> kShownOfVisits{"room", "appointment", "named-after", "number"};
const std::set<std::string> kInLinks{"room", "named-after"};  // a link names its room
// The four personal fields.
const std::set<std::string> kOpened{"name",        "staff",   "appointment", "number",
                                    "named-after", "address", "reference"};

// How many visits: each plants about 37 values.
std::size_t visits() {
  const char* more = std::getenv("BEDSIDE_CANARY_VISITS");
  return more == nullptr ? 27 : std::strtoul(more, nullptr, 10);
}

class CanaryTest : public CanaryInputs {
 protected:
  // The first column of each row.
  std::string rows(const char* sql) const;
  void expect_nothing_in(const std::string& place, const std::string& content,
                         const std::set<std::string>& allowed = {});
  std::string export_as(const std::string& format, std::vector<std::string> more = {});

  int places_ = 0;
};

std::string CanaryTest::rows(const char* sql) const {
  const auto database = store::Database::open(server_.data_dir() / "bedside.db",
                                              store::Database::Mode::read_only, {});
  auto query = database->prepare(sql);
  std::string text;
  while (*query->step()) {
    const std::vector<std::uint8_t> blob = query->blob(0);
    text.append(blob.begin(), blob.end()).append("\n");
  }
  return text;
}

void CanaryTest::expect_nothing_in(const std::string& place, const std::string& content,
                                   const std::set<std::string>& allowed) {
  EXPECT_FALSE(content.empty()) << place << " was not read";
  EXPECT_THAT(planted_.found_in(content, allowed), IsEmpty()) << place;
  ++places_;
}

std::string CanaryTest::export_as(const std::string& format, std::vector<std::string> more) {
  const std::string name = "export-" + format + std::to_string(more.size()) + ".tar";
  more.insert(more.begin(), {"audit", "export", "--format", format, "--out", path(name)});
  const Ended made = command(more);
  EXPECT_EQ(made.exit_code, 0) << made.errors;
  return server_.folder().read(name);
}

TEST_F(CanaryTest, NoneOfAThousandPersonalValuesTurnsUpAgain) {
  const std::size_t all = visits();
  for (std::size_t i = 0; i < all; ++i) {
    visit(i, i + 3 < all);  // the last ones go on
    ASSERT_FALSE(HasFatalFailure());
  }
  strangers();
  staff();
  command_line();
  other_practices();
  read_pages();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_GE(planted_.count(), 37 * all);
  httplib::Client operators("127.0.0.1", server_.operator_port());
  expect_nothing_in("metrics", operators.Get("/metrics")->body);
  expect_nothing_in("health", operators.Get("/healthz")->body);
  expect_nothing_in("write-ahead log", server_.folder().read("data/bedside.db-wal"), kState);
  expect_nothing_in("audit list, people and holds of the admin page", shown_);
  expect_nothing_in("rooms of the admin page", pages_, kShownOfVisits);
  expect_nothing_in("what commands say", said_);
  expect_nothing_in("what commands list", listed_, {"room", "named-after", "program", "label"});
  expect_nothing_in("what is refused", refusals_);
  expect_nothing_in("headers of answers", headers_);
  expect_nothing_in("URLs", urls_, kInLinks);
  for (const char* format : {"ndjson", "csv", "fhir"}) expect_nothing_in(format, export_as(format));
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  for (const auto& file : std::filesystem::directory_iterator(path("backups"))) {
    expect_nothing_in("backup",
                      server_.folder().read("backups/" + file.path().filename().string()));
  }
  // The search finds what is there: this export opens what people are called.
  const std::string opened = export_as("ndjson", {"--disclose"});
  std::set<std::string> found;
  for (const std::string& each : planted_.found_in(opened)) {
    found.insert(each.substr(0, each.find(':')));
  }
  EXPECT_EQ(found, kOpened);

  end_open_rooms();
  const Ended ended = server_.stop(SIGTERM);
  expect_nothing_in("log", ended.errors);
  expect_nothing_in("standard output", ended.output);
  expect_nothing_in("anchor file", server_.folder().read("anchor"));
  expect_nothing_in("emergency journal", server_.folder().read("journal"));
  expect_nothing_in("webhook", to_webhook());
  expect_nothing_in("audit bodies", rows("SELECT body FROM audit"));
  expect_nothing_in("audit columns", rows("SELECT type || coalesce(reason, '') || ' ' ||"
                                          " coalesce(actor, '') || ' ' || coalesce(room, '')"
                                          " FROM audit"));
  expect_nothing_in("audit values", rows("SELECT field || ciphertext FROM audit_private"));
  expect_nothing_in("holds", rows("SELECT coalesce(room, '') || ' ' || coalesce(person, '')"
                                  " FROM audit_holds"));
  expect_nothing_in("accounts", rows("SELECT name FROM accounts UNION ALL"
                                     " SELECT name || invited_by FROM account_invitations"));
  expect_nothing_in("other logs' checkpoints", rows("SELECT note FROM witnessed_logs"));
  expect_nothing_in("checkpoints", rows("SELECT note FROM audit_checkpoint"));
  expect_nothing_in("database", server_.folder().read("data/bedside.db"), kStateAtTheEnd);
  EXPECT_GE(places_, 27);
  std::printf("%zu values of %zu kinds, %d places, none found\n", planted_.count(),
              planted_.kinds(), places_);
}

// The plain port of a server that has https sends people to where they wanted to go: that is the
// only thing of theirs in its answer, and nothing of it stays.
TEST(CanaryRedirectTest, NothingButTheDestinationComesBackFromThePlainPort) {
  TestServer server;
  Canaries planted;
  const std::filesystem::path folder = server.folder().path();
  const CertificateFiles made{folder / "chain.pem", folder / "key.pem"};
  ASSERT_TRUE(ensure_self_signed(made, std::chrono::duration_cast<std::chrono::seconds>(
                                           std::chrono::system_clock::now().time_since_epoch())));
  std::filesystem::create_directory(folder / "acme");
  server.configure("public_host = \"localhost\"\nlog_level = \"debug\"\n", "");
  std::string text = server.folder().read("bedside.toml");
  const auto put = [&](const std::string& before, const std::string& after) {
    text.replace(text.find(before), before.size(), after);
  };
  put("listen = []", "listen = \"127.0.0.1:" + std::to_string(free_port()) +
                         "\"\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"");
  put("[http]\n", "[http]\nacme_webroot = \"acme\"\n");
  server.folder().write("bedside.toml", text, 0600);
  server.start();
  httplib::Client web("127.0.0.1", server.http());
  const httplib::Headers headers{{"User-Agent", planted.text("agent")},
                                 {"Referer", "https://ehr.example.org/" + planted.text("referer")},
                                 {"Cookie", "session=" + planted.text("cookie")},
                                 {"Authorization", "Bearer " + planted.text("bearer")}};
  const auto expect_nothing_back = [&](const httplib::Result& answer, int status) {
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, status);
    EXPECT_THAT(planted.found_in(answer->body), IsEmpty());
    for (const auto& [name, value] : answer->headers) {
      if (name == "Location") continue;
      EXPECT_THAT(planted.found_in(value), IsEmpty()) << name;
    }
  };
  const std::string page = "/telehealth-webrtc.html?room=" + planted.text("room");
  const auto sent_on = web.Get(page, headers);
  expect_nothing_back(sent_on, 308);
  EXPECT_THAT(sent_on->get_header_value("Location"), ::testing::EndsWith(page));
  expect_nothing_back(web.Get("/.well-known/acme-challenge/" + planted.text("challenge"), headers),
                      308);
  const std::string body =
      R"({"action":"create-room","appointmentId":")" + planted.text("appointment") + "\"}";
  expect_nothing_back(web.Post("/api/webrtc-signaling", headers, body, "application/json"), 403);
  const Ended ended = server.stop(SIGTERM);
  EXPECT_THAT(planted.found_in(ended.errors + ended.output), IsEmpty());
  EXPECT_THAT(planted.found_in(server.folder().read("data/bedside.db")), IsEmpty());
}

}  // namespace
}  // namespace bedside::server
