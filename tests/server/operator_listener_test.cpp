#include "server/operator_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>

#include "server/port_probe.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;

stun::Endpoint loopback(std::uint16_t port) { return {stun::IpAddress::v4(127, 0, 0, 1), port}; }

TEST(OperatorListener, HealthIs200OrTellsWhatIsWrongWith503) {
  std::atomic<bool> writable{true};
  auto listener = OperatorListener::start(loopback(0), {[&] {
                                                          return Health{writable, true};
                                                        },
                                                        [] { return Metrics{}; }});
  ASSERT_TRUE(listener) << listener.error();
  (*listener)->serve();
  httplib::Client client("127.0.0.1", (*listener)->port());
  const auto good = client.Get("/healthz");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->status, 200);
  writable = false;
  const auto bad = client.Get("/healthz");
  ASSERT_TRUE(bad);
  EXPECT_EQ(bad->status, 503);
  EXPECT_THAT(bad->body, HasSubstr("store: cannot write"));
  EXPECT_THAT(bad->body, HasSubstr("control: alive"));
}

TEST(OperatorListener, AsksNobodyBeforeItServes) {
  std::atomic<bool> asked{false};
  OperatorSources sources;
  sources.health = [&] { return asked = true, Health{true, true}; };
  sources.metrics = [&] { return asked = true, Metrics{}; };
  sources.drain = [&](bool) { return asked = true, true; };
  auto listener = OperatorListener::start(loopback(0), std::move(sources));
  ASSERT_TRUE(listener) << listener.error();
  httplib::Client client("127.0.0.1", (*listener)->port());
  for (const auto& early :
       {client.Get("/healthz"), client.Get("/metrics"), client.Put("/drain", "", "text/plain")}) {
    ASSERT_TRUE(early);
    EXPECT_EQ(early->status, 503);
    EXPECT_EQ(early->body, "starting\n");
  }
  EXPECT_FALSE(asked);
  (*listener)->serve();
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  EXPECT_TRUE(asked);
}

TEST(OperatorListener, MetricsAreTheFiguresOfThisMoment) {
  std::atomic<std::uint64_t> rooms{1};
  auto listener = OperatorListener::start(loopback(0), {[] { return Health{}; },
                                                        [&] {
                                                          Metrics metrics;
                                                          metrics.signaling.rooms = rooms;
                                                          return metrics;
                                                        }});
  ASSERT_TRUE(listener) << listener.error();
  (*listener)->serve();
  httplib::Client client("127.0.0.1", (*listener)->port());
  rooms = 42;
  const auto answer = client.Get("/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer->body, HasSubstr("\nbedside_rooms 42\n"));
  EXPECT_EQ(client.Get("/")->status, 404);
}

TEST(OperatorListener, DrainsByPutAndAcceptsAgainByDelete) {
  std::atomic<bool> draining{false};
  std::atomic<bool> busy{false};
  OperatorSources sources;
  sources.drain = [&](bool wanted) {
    draining = wanted;
    return !busy;
  };
  auto listener = OperatorListener::start(loopback(0), std::move(sources));
  ASSERT_TRUE(listener) << listener.error();
  (*listener)->serve();
  httplib::Client client("127.0.0.1", (*listener)->port());
  EXPECT_EQ(client.Post("/drain", "", "text/plain")->status, 404) << "what any web page can send";
  EXPECT_EQ(client.Get("/drain")->status, 404);
  EXPECT_FALSE(draining);
  const httplib::Headers page{{"Origin", "http://rebound.example:9641"}};
  EXPECT_EQ(client.Put("/drain", page, "", "text/plain")->status, 403) << "its name leads here";
  EXPECT_FALSE(draining);
  EXPECT_EQ(client.Put("/drain", "", "text/plain")->status, 200);
  EXPECT_TRUE(draining);
  EXPECT_EQ(client.Delete("/drain")->status, 200);
  EXPECT_FALSE(draining);
  busy = true;
  EXPECT_EQ(client.Put("/drain", "", "text/plain")->status, 503);
}

TEST(OperatorListener, EveryAnswerHasTheHeadersThatKeepBrowsersFromMisreadingIt) {
  OperatorSources sources;
  sources.health = [] { return Health{false, true}; };
  sources.metrics = [] { return Metrics{}; };
  sources.drain = [](bool) { return true; };
  auto listener = OperatorListener::start(loopback(0), std::move(sources));
  ASSERT_TRUE(listener) << listener.error();
  (*listener)->serve();
  httplib::Client client("127.0.0.1", (*listener)->port());
  const std::string large(4096, 'x');
  std::vector<std::pair<int, httplib::Result>> answers;
  answers.emplace_back(200, client.Get("/metrics"));
  answers.emplace_back(503, client.Get("/healthz"));
  answers.emplace_back(404, client.Get("/"));
  answers.emplace_back(404, client.Post("/drain", "", "text/plain"));
  answers.emplace_back(200, client.Put("/drain", "", "text/plain"));
  answers.emplace_back(403, client.Delete("/drain", {{"Origin", "null"}}));
  answers.emplace_back(413, client.Put("/drain", large, "text/plain"));
  for (const auto& [status, answer] : answers) {
    ASSERT_TRUE(answer) << status;
    EXPECT_EQ(answer->status, status);
    EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff") << status;
    EXPECT_EQ(answer->get_header_value("Cache-Control"), "no-store") << status;
    EXPECT_EQ(answer->get_header_value("Content-Security-Policy"),
              "default-src 'none'; frame-ancestors 'none'")
        << status;
    EXPECT_EQ(answer->get_header_value("Referrer-Policy"), "no-referrer") << status;
    EXPECT_FALSE(answer->has_header("Access-Control-Allow-Origin")) << status;
  }
}

TEST(OperatorListener, RefusesAddressesOthersCanReach) {
  for (const char* address : {"0.0.0.0:0", "192.0.2.1:0", "[::]:0"}) {
    const auto listener = OperatorListener::start(*stun::Endpoint::parse(address), {});
    ASSERT_FALSE(listener) << address;
    EXPECT_THAT(listener.error(), HasSubstr("not a loopback address"));
    EXPECT_THAT(listener.error(), HasSubstr("write 127.0.0.1"));
  }
}

TEST(OperatorListener, AnOccupiedPortIsToldByNumber) {
  auto first = OperatorListener::start(loopback(0), {});
  ASSERT_TRUE(first);
  const auto second = OperatorListener::start(loopback((*first)->port()), {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr(std::to_string((*first)->port())));
}

TEST(PortProbe, TellsAnOccupiedPortAndAFreeOneApart) {
  std::uint16_t port = 0;
  {
    auto holder = OperatorListener::start(loopback(0), {});
    ASSERT_TRUE(holder);
    port = (*holder)->port();
    const auto trouble = probe_port(loopback(port), Transport::tcp, "http.listen");
    ASSERT_TRUE(trouble);
    EXPECT_FALSE(trouble->address_missing);
    EXPECT_THAT(trouble->what, HasSubstr("127.0.0.1:" + std::to_string(port)));
    EXPECT_THAT(trouble->what, HasSubstr("another program has the port"));
    EXPECT_THAT(trouble->remedy, HasSubstr("http.listen"));
    EXPECT_FALSE(probe_port(loopback(port), Transport::udp, "turn.listen"));
  }
  EXPECT_FALSE(probe_port(loopback(port), Transport::tcp, "http.listen"));
}

TEST(PortProbe, AnAddressThisMachineDoesNotHaveIsToldAsSuch) {
  const auto trouble =
      probe_port(*stun::Endpoint::parse("192.0.2.1:3478"), Transport::udp, "turn.listen");
  ASSERT_TRUE(trouble);
  EXPECT_TRUE(trouble->address_missing);
}

}  // namespace
}  // namespace bedside::server
