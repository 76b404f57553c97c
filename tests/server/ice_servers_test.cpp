// Browsers are told of what is served, at the addresses where it can be reached, and of nothing
// else.
#include "server/ice_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "server/keys.h"
#include "server/net/host_addresses.h"
#include "server/relay_setup.h"
#include "server/self_signed.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using ::testing::ElementsAreArray;
using Urls = std::vector<std::string>;

struct Serving {
  const char* name;
  Urls turn;                // turn.listen
  Urls https;               // https.listen
  Urls external;            // turn.external_ip
  const char* public_host;  // the certificate is made out to "localhost"; null: there is none
  Urls advertised;
  bool discovery = false;
};

void PrintTo(const Serving& serving, std::ostream* out) { *out << serving.name; }

class IceServersOf : public testing::TestWithParam<Serving> {
 protected:
  static Urls urls_of(const Serving& serving) {
    static const ScratchFolder kFolder;
    static const CertificateFiles kFiles{kFolder.path() / "chain.pem", kFolder.path() / "key.pem"};
    static const bool kMade =
        ensure_self_signed(kFiles, std::chrono::seconds(1'700'000'000)).has_value();
    EXPECT_TRUE(kMade);
    Config config;
    config.turn.realm = "test";
    config.turn.behavior_discovery = serving.discovery;
    for (const auto& text : serving.turn)
      config.turn.listen.push_back(*stun::Endpoint::parse(text));
    for (const auto& text : serving.https)
      config.https.listen.push_back(*stun::Endpoint::parse(text));
    for (const auto& text : serving.external) {
      config.turn.external_ip.push_back(*stun::IpAddress::parse(text));
    }
    if (serving.public_host != nullptr) {
      config.public_host = serving.public_host;
      config.https.certificate = kFiles.certificate;
      config.https.private_key = kFiles.private_key;
    }
    const auto setup = make_relay_setup(config, Keys{}, nullptr);
    EXPECT_TRUE(setup) << setup.error();
    return setup ? IceServers(setup->credentials, setup->advertised, nullptr).urls() : Urls{};
  }
};

TEST_P(IceServersOf, AreWhatIsServed) {
  EXPECT_THAT(urls_of(GetParam()), ElementsAreArray(GetParam().advertised));
}

INSTANTIATE_TEST_SUITE_P(
    Listeners, IceServersOf,
    testing::Values(
        Serving{"Ipv4",
                {"192.0.2.1:3478"},
                {},
                {},
                nullptr,
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp"}},
        Serving{"Ipv6",
                {"[2001:db8::1]:3478"},
                {},
                {},
                nullptr,
                {"stun:[2001:db8::1]:3478", "turn:[2001:db8::1]:3478?transport=udp",
                 "turn:[2001:db8::1]:3478?transport=tcp"}},
        Serving{"BothFamilies",
                {"192.0.2.1:3478", "[2001:db8::1]:3478"},
                {},
                {},
                nullptr,
                {"stun:192.0.2.1:3478", "stun:[2001:db8::1]:3478",
                 "turn:192.0.2.1:3478?transport=udp", "turn:[2001:db8::1]:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp", "turn:[2001:db8::1]:3478?transport=tcp"}},
        Serving{"TheSamePortTwice",
                {"192.0.2.1:3478", "192.0.2.1:3478"},
                {},
                {},
                nullptr,
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp"}},
        // 443/tcp is [https]'s: TURN is there over TLS only, and the number again over UDP.
        Serving{"UdpAndTlsOn443",
                {"192.0.2.1:443"},
                {"192.0.2.1:443"},
                {},
                "localhost",
                {"stun:192.0.2.1:443", "turn:192.0.2.1:443?transport=udp",
                 "turns:localhost:443?transport=tcp"}},
        Serving{"UdpOn443AndACertificateOfAnotherName",
                {"192.0.2.1:443"},
                {"192.0.2.1:443"},
                {},
                "visit.example.org",
                {"stun:192.0.2.1:443", "turn:192.0.2.1:443?transport=udp"}},
        Serving{"EverythingOnTwoPorts",
                {"192.0.2.1:3478", "192.0.2.1:443"},
                {"192.0.2.1:443"},
                {},
                "localhost",
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:443?transport=udp", "turn:192.0.2.1:3478?transport=tcp",
                 "turns:localhost:443?transport=tcp"}},
        Serving{"TlsOnThePortOfTurn",
                {"192.0.2.1:3478"},
                {},
                {},
                "localhost",
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp", "turns:localhost:3478?transport=tcp"}},
        Serving{"443IsPreferredForTls",
                {"192.0.2.1:3478"},
                {"192.0.2.1:8443", "192.0.2.1:443"},
                {},
                "localhost",
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp", "turns:localhost:443?transport=tcp"}},
        Serving{"HttpsOnlyForThisMachineIsNoTurns",
                {"192.0.2.1:3478"},
                {"127.0.0.1:443"},
                {},
                "localhost",
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp", "turns:localhost:3478?transport=tcp"}},
        Serving{"NoTurn", {}, {"192.0.2.1:443"}, {}, "localhost", {}},
        Serving{"ExternalIpv4",
                {"10.0.0.5:3478"},
                {},
                {"203.0.113.5"},
                nullptr,
                {"stun:203.0.113.5:3478", "turn:203.0.113.5:3478?transport=udp",
                 "turn:203.0.113.5:3478?transport=tcp"}},
        Serving{"ExternalIpv4BesideOwnIpv6",
                {"10.0.0.5:3478", "[2001:db8::1]:3478"},
                {},
                {"203.0.113.5"},
                nullptr,
                {"stun:203.0.113.5:3478", "stun:[2001:db8::1]:3478",
                 "turn:203.0.113.5:3478?transport=udp", "turn:[2001:db8::1]:3478?transport=udp",
                 "turn:203.0.113.5:3478?transport=tcp", "turn:[2001:db8::1]:3478?transport=tcp"}},
        Serving{
            "ExternalOfBothFamilies",
            {"10.0.0.5:443", "[fd00::5]:443"},
            {"10.0.0.5:443", "[fd00::5]:443"},
            {"203.0.113.5", "2001:db8::5"},
            "localhost",
            {"stun:203.0.113.5:443", "stun:[2001:db8::5]:443", "turn:203.0.113.5:443?transport=udp",
             "turn:[2001:db8::5]:443?transport=udp", "turns:localhost:443?transport=tcp"}},
        Serving{"ExternalIpv6IsNotForIpv4",
                {"192.0.2.1:3478"},
                {},
                {"2001:db8::5"},
                nullptr,
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp"}},
        Serving{"LoopbackBesideAnotherAddressIsForNobodyElse",
                {"127.0.0.1:3478", "192.0.2.1:3478", "[::1]:3478"},
                {},
                {},
                nullptr,
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp"}},
        Serving{"LoopbackOverTcpBesideAnotherAddress",
                {"192.0.2.1:443", "127.0.0.1:3478"},
                {"192.0.2.1:443"},
                {},
                "localhost",
                {"stun:192.0.2.1:443", "turn:192.0.2.1:443?transport=udp",
                 "turns:localhost:443?transport=tcp"}},
        Serving{"ExternalIpv4IsNotLoopbacks",
                {"127.0.0.1:3478", "10.0.0.5:3478"},
                {},
                {"203.0.113.5"},
                nullptr,
                {"stun:203.0.113.5:3478", "turn:203.0.113.5:3478?transport=udp",
                 "turn:203.0.113.5:3478?transport=tcp"}},
        Serving{"LoopbackAlone",
                {"127.0.0.1:3478"},
                {},
                {},
                nullptr,
                {"stun:127.0.0.1:3478", "turn:127.0.0.1:3478?transport=udp",
                 "turn:127.0.0.1:3478?transport=tcp"}},
        Serving{"ExternalIpv4LeadsToOneAddress",
                {"10.0.0.5:3478", "10.0.0.5:3479", "10.0.0.6:443"},
                {},
                {"203.0.113.5"},
                nullptr,
                {"stun:203.0.113.5:3478", "turn:203.0.113.5:3478?transport=udp",
                 "turn:203.0.113.5:3479?transport=udp", "turn:203.0.113.5:3478?transport=tcp",
                 "turn:203.0.113.5:3479?transport=tcp"}},
        Serving{"ExternalIpv4BesideAnAddressThatNeedsNone",
                {"10.0.0.5:3478", "198.51.100.7:3478"},
                {},
                {"203.0.113.5"},
                nullptr,
                {"stun:203.0.113.5:3478", "stun:198.51.100.7:3478",
                 "turn:203.0.113.5:3478?transport=udp", "turn:198.51.100.7:3478?transport=udp",
                 "turn:203.0.113.5:3478?transport=tcp", "turn:198.51.100.7:3478?transport=tcp"}},
        Serving{"TwoPrivateAddressesInAPrivateNetwork",
                {"10.0.0.5:3478", "10.0.0.6:3478"},
                {},
                {"2001:db8::5"},
                nullptr,
                {"stun:10.0.0.5:3478", "stun:10.0.0.6:3478", "turn:10.0.0.5:3478?transport=udp",
                 "turn:10.0.0.6:3478?transport=udp", "turn:10.0.0.5:3478?transport=tcp",
                 "turn:10.0.0.6:3478?transport=tcp"}},
        Serving{"OneAddressOfFour",
                {"192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"},
                {},
                {},
                nullptr,
                {"stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp",
                 "turn:192.0.2.1:3478?transport=tcp"},
                true}),
    [](const auto& tested) { return std::string(tested.param.name); });

// What a wildcard means depends on the machine: the address it would use towards the internet.
TEST_F(IceServersOf, AWildcardAreTheAddressesOfThisMachineAndNeverAWildcard) {
  Urls expected;
  for (const char* scheme : {"stun:", "turn:", "turn:"}) {
    const bool first_turn = scheme[0] == 't' && expected.back()[0] == 's';
    const std::string end = scheme[0] == 's' ? ""
                            : first_turn     ? "?transport=udp"
                                             : "?transport=tcp";
    for (const stun::Family family : {stun::Family::ipv6, stun::Family::ipv4}) {
      if (const auto own = net::outgoing_address(family)) {
        expected.push_back(scheme + stun::Endpoint{*own, 3478}.to_string() + end);
      }
    }
    if (expected.empty()) break;  // no route anywhere
  }
  EXPECT_THAT(urls_of({"", {"[::]:3478"}, {}, {}, nullptr, {}}), ElementsAreArray(expected));
}

// A renewal that went wrong, say: what is served has not changed.
TEST(IceServersOfAServedCertificate, AreThoseOfItsNamesWhateverIsInItsFile) {
  const ScratchFolder folder;
  const CertificateFiles files{folder.path() / "chain.pem", folder.path() / "key.pem"};
  ASSERT_TRUE(ensure_self_signed(files, std::chrono::seconds(1'700'000'000)));
  const auto served = net::TlsContext::load(files.certificate.string(), files.private_key.string());
  ASSERT_TRUE(served) << served.error();
  Config config;
  config.turn.realm = "test";
  config.turn.listen = {*stun::Endpoint::parse("192.0.2.1:3478")};
  config.https.listen = {*stun::Endpoint::parse("192.0.2.1:443")};
  config.https.certificate = files.certificate;
  config.https.private_key = files.private_key;
  std::filesystem::remove(files.certificate);
  folder.write("chain.pem", "no certificate", 0600);
  for (const auto& [host, port] : {std::pair{"localhost", 443}, {"visit.example.org", 0}}) {
    config.public_host = host;
    const auto setup = make_relay_setup(config, Keys{}, &*served);
    ASSERT_TRUE(setup) << setup.error();
    EXPECT_EQ(setup->advertised.tls_port, port) << host;
    EXPECT_EQ(make_relay_setup(config, Keys{}, nullptr)->advertised.tls_port, 0);
  }
}

// Of the relay's transports any may be missing.
struct Advertised {
  Urls udp;
  Urls tcp;
  std::string tls_name;
  Urls urls;
};

TEST(IceServers, CarryACredentialWhereTurnIsAndNoneForStun) {
  const std::vector<Advertised> all{
      {{}, {}, "", {}},
      {{"192.0.2.1:1"}, {}, "", {"stun:192.0.2.1:1", "turn:192.0.2.1:1?transport=udp"}},
      {{}, {"192.0.2.1:2"}, "", {"turn:192.0.2.1:2?transport=tcp"}},
      {{}, {}, "visit.example.org", {"turns:visit.example.org:443?transport=tcp"}},
      {{}, {}, "2001:db8::1", {"turns:[2001:db8::1]:443?transport=tcp"}},
  };
  for (const Advertised& each : all) {
    AdvertisedRelay relay;
    for (const auto& text : each.udp) relay.udp.push_back(*stun::Endpoint::parse(text));
    for (const auto& text : each.tcp) relay.tcp.push_back(*stun::Endpoint::parse(text));
    relay.tls_name = each.tls_name;
    relay.tls_port = 443;
    turn::CredentialsConfig config;
    config.realm = "test";
    config.participant_secrets = {std::string(32, 's')};
    IceServers servers(turn::Credentials::make(std::move(config)).value(), relay, nullptr);
    EXPECT_THAT(servers.urls(), ElementsAreArray(each.urls));
    Urls told;
    const auto grant = nlohmann::json::parse(servers.ice_grant("room", "ann", {}).servers_json);
    for (const auto& entry : grant) {
      const bool stun = entry["urls"][0].get<std::string>().starts_with("stun:");
      EXPECT_EQ(entry.contains("username"), !stun);
      EXPECT_EQ(entry.contains("credential"), !stun);
      for (const auto& url : entry["urls"]) told.push_back(url.get<std::string>());
    }
    EXPECT_THAT(told, ElementsAreArray(each.urls));
  }
}

}  // namespace
}  // namespace bedside::server
