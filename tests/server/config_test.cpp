#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "server/backup_key.h"
#include "server/config_text.h"
#include "server/demo.h"
#include "tests/server/scratch_folder.h"
#include "tests/server/small_disk.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSmallest = R"(
[https]
listen = []
[http]
listen = "127.0.0.1:8080"
[turn]
listen = "127.0.0.1:3478"
[signaling]
access = "open"
)";

CheckedConfig parse(const std::string& text) { return parse_config(text, "/etc/bedside.toml"); }

std::string all(const CheckedConfig& checked) {
  std::string text;
  for (const Problem& problem : checked.problems) text += describe(problem, "f.toml") + "\n";
  return text;
}

// The smallest good configuration with `extra` before it must have exactly one problem.
std::string only_problem(const std::string& extra) {
  const CheckedConfig checked = parse(extra + kSmallest);
  EXPECT_EQ(checked.problems.size(), 1U) << all(checked);
  return checked.problems.empty() ? "" : describe(checked.problems[0], "f.toml");
}

TEST(Config, TheSmallestOneHasNoProblem) {
  const CheckedConfig checked = parse(kSmallest);
  EXPECT_TRUE(checked.problems.empty()) << all(checked);
  EXPECT_TRUE(checked.ok());
}

TEST(Config, UnwrittenKeysHaveTheDocumentedDefaults) {
  const Config config = parse(kSmallest).config;
  EXPECT_EQ(config.data_dir, "/var/lib/bedside");
  EXPECT_EQ(config.database(), "/var/lib/bedside/bedside.db");
  EXPECT_EQ(config.public_host, "localhost");
  EXPECT_EQ(config.turn.realm, "localhost");
  EXPECT_EQ(config.turn.relay_ports.first, 49152);
  EXPECT_EQ(config.turn.relay_ports.last, 65535);
  EXPECT_EQ(config.signaling.max_participants, 8U);
  ASSERT_TRUE(config.operator_listener.listen);
  EXPECT_EQ(config.operator_listener.listen->to_string(), "127.0.0.1:9641");
  EXPECT_FALSE(config.turn.allow_loopback_peers);
  EXPECT_FALSE(config.demo);
}

TEST(Config, MobilityAndTcpRelayNeedOneRelayThread) {
  const auto with = [](const std::string& lines) {
    std::string text = kSmallest;
    return all(parse(text.replace(text.find("[turn]\n"), 7, "[turn]\n" + lines)));
  };
  EXPECT_THAT(with("mobility = true\n"), HasSubstr("threads = 1"));
  EXPECT_EQ(with("mobility = true\nthreads = 1\n"), "");
  EXPECT_EQ(with("tcp_relay = true\n"), "");
  EXPECT_EQ(with("dtls = false\n"), "");
}

TEST(Config, BehaviorDiscoveryNeedsTwoAddressesWithTheSameTwoPorts) {
  const auto with = [](const std::string& listen, const std::string& more = "") {
    std::string text = kSmallest;
    const std::string written = "listen = \"127.0.0.1:3478\"\n";
    text.replace(text.find(written), written.size(),
                 "behavior_discovery = true\nlisten = [" + listen + "]\n" + more);
    return all(parse(text));
  };
  constexpr const char* kFour =
      R"("127.0.0.1:3478", "127.0.0.1:3479", "127.0.0.2:3478", "127.0.0.2:3479")";
  EXPECT_EQ(with(kFour), "");
  EXPECT_THAT(
      with(std::string(kFour) + R"(, "[::1]:3478", "[::1]:3479", "[::2]:3478", "[::2]:3479")"),
      ::testing::Not(HasSubstr("behavior_discovery")));
  for (const char* listen :
       {R"("127.0.0.1:3478")", R"("127.0.0.1:3478", "127.0.0.1:3479", "127.0.0.2:3478")",
        R"("127.0.0.1:3478", "127.0.0.1:3479", "127.0.0.2:3478", "127.0.0.2:3480")",
        R"("0.0.0.0:3478", "0.0.0.0:3479", "127.0.0.2:3488", "127.0.0.2:3489")"}) {
    EXPECT_THAT(with(listen), HasSubstr("exactly two IPv4 addresses in turn.listen")) << listen;
    EXPECT_THAT(with(listen), HasSubstr("192.0.2.2:3479")) << "what to write instead";
  }
  EXPECT_THAT(with(std::string(kFour) + R"(, "[::1]:3478")"), HasSubstr("exactly two IPv6"));
  EXPECT_THAT(with(kFour, "external_ip = [\"203.0.113.5\"]\n"), HasSubstr("turn.external_ip"));
}

TEST(Config, WarnsOfAPrivateAddressThatExternalIpDoesNotLeadTo) {
  const auto with = [](const std::string& listen) {
    std::string text = "public_host = \"visit.example.org\"\n" + std::string(kSmallest);
    const std::string written = "listen = \"127.0.0.1:3478\"\n";
    text.replace(text.find(written), written.size(),
                 "external_ip = [\"203.0.113.5\"]\nlisten = [" + listen + "]\n");
    return all(parse(text));
  };
  EXPECT_EQ(with(R"("10.0.0.5:3478", "10.0.0.5:443", "127.0.0.1:3478", "198.51.100.7:3478")"), "");
  const std::string warned = with(R"("10.0.0.5:3478", "10.0.0.6:443")");
  EXPECT_THAT(warned, HasSubstr("warning: clients are not told of 10.0.0.6:443"));
  EXPECT_THAT(warned, HasSubstr("write 10.0.0.5:443 instead"));
}

constexpr std::string_view kEveryKey = R"(
data_dir = "data"
public_host = "visit.example.org"
[practice]
name = "Dr. Müller"
phone = "+1 555 0100"
[https]
listen = []
[http]
listen = ["127.0.0.1:8080", "[::1]:8080"]
acme_webroot = "acme"
[turn]
listen = ["[::]:3478"]
relay_ports = "50000-50999"
external_ip = ["203.0.113.5", "2001:db8::5"]
alternate_server = ["203.0.113.9:3478", "[2001:db8::9]:3479"]
realm = "practice"
shared_secret_file = "secret"
allowed_peers = ["10.1.0.0/16"]
denied_peers = ["8.8.8.8"]
threads = 2
[[turn.user]]
name = "phone"
password_file = "phone.password"
[[turn.user]]
name = "other"
password = "inline"
[signaling]
access = "open"
max_participants = 4
allowed_origins = ["https://portal.example.org", "http://localhost:3000"]
[admin]
allow_from = ["192.168.1.0/24", "::1"]
[audit]
key_file = "audit.key"
keep_years = 7
ballast_mb = 16
anchor_file = "anchor"
emergency_journal = "journal"
anchor_webhook = "https://records.example.org/anchor"
[[audit.witness]]
url = "https://visit.example.net/witness"
key = "localhost/witness+ea0160d3+BA2awDPSZu2kryyi/YB29BcoY+LjFnhzmxNJalAETMSm"
[backup]
folder = "backups"
public_key = "backup.pem"
scratch_folder = "scratch"
keep = 7
[witness]
logs = ["sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"]
[operator]
listen = "[::1]:9000"
)";

class EveryKey : public ::testing::Test {
 protected:
  void SetUp() override {
    folder.write("secret", "a secret of good length\n", 0600);
    folder.write("phone.password", "pass word\n", 0600);
    std::filesystem::create_directory(folder.path() / "acme");
    std::filesystem::create_directory(folder.path() / "backups");
    std::filesystem::create_directory(folder.path() / "scratch");
    ASSERT_TRUE(BackupKey::generate()->save(folder.path() / "private.pem",
                                            folder.path() / "backup.pem", false));
    checked = parse_config(kEveryKey, folder.path() / "bedside.toml");
    ASSERT_TRUE(checked.ok()) << all(checked);
  }
  const ScratchFolder folder;
  CheckedConfig checked;
  const Config& config = checked.config;
};

TEST_F(EveryKey, OfTurnIsRead) {
  EXPECT_EQ(config.turn.relay_ports.last, 50999);
  EXPECT_EQ(config.turn.external_ip.size(), 2U);
  ASSERT_EQ(config.turn.alternate_server.size(), 2U);
  EXPECT_EQ(config.turn.alternate_server[1].port, 3479);
  EXPECT_EQ(config.turn.realm, "practice");
  EXPECT_EQ(config.turn.shared_secret, "a secret of good length");
  ASSERT_EQ(config.turn.users.size(), 2U);
  EXPECT_EQ(config.turn.users[0].password, "pass word");
  EXPECT_EQ(config.turn.users[1].password, "inline");
  EXPECT_EQ(config.turn.threads, 2U);
}

TEST_F(EveryKey, OfTheOtherSectionsIsRead) {
  EXPECT_EQ(config.data_dir, folder.path() / "data");
  EXPECT_EQ(config.practice.phone, "+1 555 0100");
  EXPECT_EQ(config.http.listen.size(), 2U);
  EXPECT_EQ(config.http.acme_webroot, folder.path() / "acme");
  EXPECT_EQ(config.signaling.max_participants, 4U);
  EXPECT_EQ(config.signaling.allowed_origins.size(), 2U);
  ASSERT_EQ(config.admin.allow_from.size(), 2U);
  EXPECT_TRUE(config.admin.allow_from[0].contains(stun::IpAddress::v4(192, 168, 1, 77)));
  EXPECT_FALSE(config.admin.allow_from[0].contains(stun::IpAddress::v4(192, 168, 2, 77)));
  EXPECT_EQ(config.operator_listener.listen->to_string(), "[::1]:9000");
  EXPECT_EQ(config.audit.key_file, folder.path() / "audit.key");
  EXPECT_EQ(config.audit.anchor_file, folder.path() / "anchor");
  EXPECT_EQ(config.audit.emergency_journal, folder.path() / "journal");
  EXPECT_EQ(config.audit.anchor_webhook, "https://records.example.org/anchor");
  ASSERT_EQ(config.audit.witnesses.size(), 1U);
  EXPECT_EQ(config.audit.witnesses[0].url, "https://visit.example.net/witness");
  EXPECT_EQ(config.audit.witnesses[0].key.name, "localhost/witness");
  EXPECT_EQ(config.audit.keep_years, 7U);
  EXPECT_EQ(config.audit.ballast_mb, 16U);
  EXPECT_EQ(config.backup.folder, folder.path() / "backups");
  EXPECT_EQ(config.backup.public_key, folder.path() / "backup.pem");
  EXPECT_EQ(config.backup.keep, 7U);
  EXPECT_EQ(config.scratch(), folder.path() / "scratch");
  ASSERT_EQ(config.witness.logs.size(), 1U);
  EXPECT_EQ(config.witness.logs[0].name, "sum.golang.org");
}

// As a path looks to the service that is not in ReadWritePaths of its unit.
TEST(Config, PlacesThatCannotBeWrittenAreToldAndKeepNobodyFromVisits) {
  const ScratchFolder folder;
  const SmallDisk disk(folder.path() / "other");
  if (!disk.mounted()) GTEST_SKIP() << "NOT TESTED: read-only places; mounting a tmpfs needs root";
  ASSERT_TRUE(disk.make_read_only());
  const std::string other = (folder.path() / "other").string();
  const CheckedConfig checked = parse(std::string(kSmallest) + "[audit]\nanchor_file = \"" + other +
                                      "/anchor\"\nemergency_journal = \"" + other + "/journal\"\n");
  EXPECT_TRUE(checked.ok()) << all(checked);
  EXPECT_THAT(all(checked), HasSubstr("audit.anchor_file cannot be written: " + other));
  EXPECT_THAT(all(checked), HasSubstr("audit.emergency_journal cannot be written: " + other));
  EXPECT_THAT(all(checked), HasSubstr("ReadWritePaths="));
}

TEST(Config, AKeyOfTheWrongKindIsNoWitness) {
  const CheckedConfig checked = parse(
      "[witness]\nlogs = [\"localhost/witness+ea0160d3+BA2awDPSZu2kryyi/"
      "YB29BcoY+LjFnhzmxNJalAETMSm\"]\n");
  EXPECT_FALSE(checked.ok());
  EXPECT_THAT(all(checked), HasSubstr("witness key"));
}

TEST(Config, KeepsRecordsForSixYearsAtLeast) {
  const CheckedConfig checked = parse("[audit]\nkeep_years = 5\n");
  EXPECT_FALSE(checked.ok());
  EXPECT_THAT(all(checked), HasSubstr("HIPAA asks for six years"));
  EXPECT_THAT(all(checked), HasSubstr("write 6 or more"));
  EXPECT_EQ(parse("").config.audit.keep_years, 10U);
  EXPECT_THAT(all(parse("[audit]\nkeep_years = 6\n")), ::testing::Not(HasSubstr("keep_years")));
}

TEST(Config, AllProblemsAreToldAtOnceInFileOrderWithPlaceAndRemedy) {
  const CheckedConfig checked = parse(R"(data_dir = 7
[turn]
relay_prots = "1-2"
relay_ports = "70000"
[signaling]
access = "open"
max_participants = 99
[https]
listen = []
[http]
listen = ["127.0.0.1:8080", "localhost:80"]
)");
  const std::string text = all(checked);
  EXPECT_FALSE(checked.ok());
  EXPECT_THAT(text, HasSubstr("f.toml:1:12: error: data_dir must be text"));
  EXPECT_THAT(text, HasSubstr("f.toml:3:1: error: unknown key turn.relay_prots"));
  EXPECT_THAT(text, HasSubstr("did you mean relay_ports?"));
  EXPECT_THAT(text, HasSubstr("f.toml:4:15: error: turn.relay_ports must be a range"));
  EXPECT_THAT(text, HasSubstr("f.toml:7:20: error: signaling.max_participants must be a number "
                              "from 2 to 8"));
  EXPECT_THAT(text, HasSubstr("f.toml:11:29: error: http.listen must be an address with a port, "
                              "not \"localhost:80\""));
  // The default of turn.listen is public, so links need a name.
  EXPECT_THAT(text, HasSubstr("public_host is missing"));
  for (const Problem& problem : checked.problems) EXPECT_FALSE(problem.remedy.empty()) << text;
  std::uint32_t line = 0;
  for (const Problem& problem : checked.problems) {
    EXPECT_GE(problem.line, line);
    line = problem.line;
  }
}

TEST(Config, TextThatIsNotTomlIsToldWithItsPlace) {
  const CheckedConfig checked = parse("data_dir = \"x\"\n[turn\n");
  ASSERT_EQ(checked.problems.size(), 1U);
  EXPECT_EQ(checked.problems[0].line, 2U);
  EXPECT_FALSE(checked.ok());
}

TEST(Config, AKeyWrittenTwiceIsAnError) {
  EXPECT_FALSE(parse("data_dir = \"a\"\ndata_dir = \"b\"\n").ok());
}

TEST(Config, AMissingFileIsAnErrorThatNamesIt) {
  const CheckedConfig checked = load_config("/nonexistent/bedside.toml");
  EXPECT_FALSE(checked.ok());
  EXPECT_THAT(checked.problems.at(0).what, HasSubstr("/nonexistent/bedside.toml"));
}

TEST(Config, InviteIsTheDefaultAndRoomsOpenToAllAreWarnedAbout) {
  const std::string local =
      "[https]\nlisten=[]\n[http]\nlisten=\"127.0.0.1:80\"\n[turn]\nlisten=[]\n";
  const CheckedConfig by_default = parse(local);
  EXPECT_TRUE(by_default.ok()) << all(by_default);
  EXPECT_EQ(by_default.config.signaling.access, Access::invite);
  EXPECT_TRUE(by_default.config.signaling.waiting_room);
  EXPECT_FALSE(open_to_all(by_default.config));
  const std::string open = "[signaling]\naccess=\"open\"\n";
  EXPECT_FALSE(open_to_all(parse(local + open).config)) << "only this machine can come";
  const CheckedConfig everybody = parse(
      "public_host=\"a.example\"\n[https]\nlisten=[]\n[http]\nlisten=\"0.0.0.0:80\"\n[turn]"
      "\nlisten=[]\n" +
      open);
  ASSERT_TRUE(open_to_all(everybody.config));
  bool told = false;
  for (const Problem& problem : loud_warnings(everybody.config)) {
    told = told || problem.what.find("rooms are open") != std::string::npos;
  }
  EXPECT_TRUE(told);
}

TEST(Config, HttpsWithoutACertificateIsAnErrorWithItsRemedy) {
  const CheckedConfig checked =
      parse("public_host = \"a.example\"\n[signaling]\naccess=\"open\"\n");
  EXPECT_FALSE(checked.ok());
  EXPECT_THAT(all(checked), HasSubstr("/etc/letsencrypt/live/a.example/fullchain.pem"));
}

TEST(Config, AnUnreadableCertificateIsToldByName) {
  const CheckedConfig checked = parse(
      "public_host = \"a.example\"\n[signaling]\naccess=\"open\"\n[https]\n"
      "certificate = \"/nonexistent/c.pem\"\nprivate_key = \"/nonexistent/k.pem\"\n");
  EXPECT_THAT(all(checked), HasSubstr("f.toml:5:15: error: "));
  EXPECT_THAT(all(checked), HasSubstr("/nonexistent/c.pem"));
}

TEST(Config, TwoPartsOnOnePortAreAnError) {
  const CheckedConfig checked = parse(
      "public_host=\"a.example\"\n[https]\nlisten=[]\n[http]\nlisten=\"127.0.0.1:3478\"\n"
      "[signaling]\naccess=\"open\"\n");
  EXPECT_THAT(all(checked), HasSubstr("http.listen both want port 3478"));
}

TEST(Config, TurnOnThePortOfHttpsIsForUdpAndKeepsItsOtherTcpPorts) {
  Config config;
  config.https.listen = {stun::Endpoint::parse("[::]:443").value()};
  config.turn.listen = {stun::Endpoint::parse("[::]:3478").value(),
                        stun::Endpoint::parse("[::]:443").value(),
                        stun::Endpoint::parse("192.0.2.1:443").value()};
  EXPECT_THAT(turn_tcp_endpoints(config),
              ::testing::ElementsAre(stun::Endpoint::parse("[::]:3478").value(),
                                     stun::Endpoint::parse("0.0.0.0:3478").value()));
  config.https.listen = {stun::Endpoint::parse("192.0.2.9:443").value()};
  EXPECT_EQ(turn_tcp_endpoints(config).size(), 5U);  // another address: nobody's port but ours
}

TEST(Config, AcmeNeedsAFolderAndAPlainPort) {
  EXPECT_THAT(all(parse("[http]\nlisten = \"127.0.0.1:80\"\nacme_webroot = \"/nonexistent\"\n")),
              HasSubstr("http.acme_webroot is no folder: /nonexistent"));
  EXPECT_THAT(all(parse("[http]\nlisten = []\nacme_webroot = \"/tmp\"\n")),
              HasSubstr("http is not served"));
}

TEST(Config, OriginsHaveNoPathAndNoStar) {
  for (const char* origin : {"https://a.example", "http://localhost:3000", "https://[::1]:8443"}) {
    EXPECT_TRUE(is_origin(origin)) << origin;
  }
  for (const char* origin : {"*", "https://*", "https://a.example/", "a.example", "ftp://a.example",
                             "https://a.example:0", "https://", "https://a b"}) {
    EXPECT_FALSE(is_origin(origin)) << origin;
  }
}

TEST(Config, AnOperatorListenerForOthersIsRefused) {
  const CheckedConfig checked =
      parse(std::string(kSmallest) + "[operator]\nlisten = \"0.0.0.0:9641\"\n");
  EXPECT_THAT(all(checked), HasSubstr("can be reached from outside"));
  EXPECT_THAT(all(checked), HasSubstr("127.0.0.1:9641"));
}

TEST(Config, SecretsMustBeReadableAndLong) {
  const ScratchFolder folder;
  folder.write("short", "abc\n", 0600);
  folder.write("empty", "\n", 0600);
  const auto with = [&](const std::string& secret) {
    return all(parse_config(std::string("[https]\nlisten=[]\n[http]\nlisten=\"127.0.0.1:80\"\n"
                                        "[signaling]\naccess=\"open\"\n[turn]\nlisten=[]\n"
                                        "shared_secret_file=\"") +
                                secret + "\"\n",
                            folder.path() / "f.toml"));
  };
  EXPECT_THAT(with("short"), HasSubstr("shorter than 16 characters"));
  EXPECT_THAT(with("empty"), HasSubstr("its first line is empty"));
  EXPECT_THAT(with("absent"), HasSubstr("No such file"));
  EXPECT_THAT(with("absent"), HasSubstr("user id"));
}

TEST(Config, ASecretOthersCanReadIsAWarning) {
  const ScratchFolder folder;
  folder.write("f.toml",
               std::string(kSmallest) + "[[turn.user]]\nname=\"u\"\npassword=\"inline\"\n", 0644);
  const CheckedConfig open = load_config(folder.path() / "f.toml");
  EXPECT_TRUE(open.ok()) << all(open);
  ASSERT_EQ(open.problems.size(), 1U);
  EXPECT_EQ(open.problems[0].severity, Severity::warning);
  EXPECT_THAT(all(open), HasSubstr("chmod 600"));
  folder.write("f.toml",
               std::string(kSmallest) + "[[turn.user]]\nname=\"u\"\npassword=\"inline\"\n", 0600);
  EXPECT_TRUE(load_config(folder.path() / "f.toml").problems.empty());
}

TEST(Config, TurnUsersNeedNameAndPasswordAndNoColon) {
  const auto with = [](const std::string& user) {
    return all(parse(std::string(kSmallest) + "[[turn.user]]\n" + user));
  };
  EXPECT_THAT(with("name = \"u\"\n"), HasSubstr("needs a name and a password"));
  EXPECT_THAT(with("name = \"1:u\"\npassword = \"p\"\n"), HasSubstr("must not contain a colon"));
  EXPECT_THAT(with("name=\"u\"\npassword=\"p\"\n[[turn.user]]\nname=\"u\"\npassword=\"q\"\n"),
              HasSubstr("earlier [[turn.user]]"));
  EXPECT_THAT(with("name=\"u\"\npasword=\"p\"\n"), HasSubstr("did you mean password?"));
}

TEST(Config, PeersThatMustNeverBeAllowedAreRefused) {
  const CheckedConfig checked = parse(
      "[https]\nlisten=[]\n[http]\nlisten=\"127.0.0.1:80\"\n[signaling]\naccess=\"open\"\n"
      "[turn]\nlisten=\"127.0.0.1:3478\"\nallowed_peers=[\"127.0.0.0/8\"]\n");
  EXPECT_THAT(all(checked), HasSubstr("f.toml:9:15: error: "));
}

TEST(Config, OpenRoomsOnAPublicAddressAreALoudWarning) {
  Config config = parse(kSmallest).config;
  EXPECT_TRUE(loud_warnings(config).empty());
  config.http.listen = {*stun::Endpoint::parse("192.0.2.1:80")};
  EXPECT_EQ(loud_warnings(config).size(), 2U);  // and plain http
  config.turn.allow_loopback_peers = true;
  config.turn.accept_rfc5766_channels = true;
  config.turn.tcp_relay = true;
  EXPECT_EQ(loud_warnings(config).size(), 5U);
}

TEST(Config, AnIpv6WildcardIsBoundForBothFamilies) {
  const auto bound = endpoints_to_bind({*stun::Endpoint::parse("[::]:443")});
  ASSERT_EQ(bound.size(), 2U);
  EXPECT_EQ(bound[0].to_string(), "[::]:443");
  EXPECT_EQ(bound[1].to_string(), "0.0.0.0:443");
  EXPECT_EQ(endpoints_to_bind({*stun::Endpoint::parse("0.0.0.0:443")}).size(), 1U);
}

TEST(Config, ListeningOnPortZeroIsRefused) {
  EXPECT_FALSE(parse("[http]\nlisten = \"127.0.0.1:0\"\n").ok());
}

TEST(Config, TheDemoListensOnLoopbackOnlyAndNeedsNoWarning) {
  const Config demo = demo_config("/somewhere");
  for (const auto* listen : {&demo.http.listen, &demo.https.listen, &demo.turn.listen}) {
    ASSERT_EQ(listen->size(), 2U);
    for (const stun::Endpoint& endpoint : *listen) EXPECT_TRUE(is_loopback(endpoint.address));
  }
  EXPECT_EQ(demo.data_dir, "/somewhere/bedside-demo");
  EXPECT_TRUE(loud_warnings(demo).empty());
}

TEST(Config, ASecondProblemDoesNotHideTheFirst) {
  EXPECT_THAT(only_problem("data_dri = \"/x\"\n"), HasSubstr("did you mean data_dir?"));
  EXPECT_THAT(only_problem("public_host = \"https://a.example\"\n"),
              HasSubstr("public_host must be a host name"));
  EXPECT_THAT(only_problem("zebra = 1\n"), HasSubstr("remove it; known here: data_dir"));
}

}  // namespace
}  // namespace bedside::server
