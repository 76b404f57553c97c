#include "server/net/tcp_listener.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "server/net/socket_address.h"
#include "tests/net/loopback_client.h"

namespace bedside::net {
namespace {

const stun::Endpoint kAny{stun::IpAddress::v4(127, 0, 0, 1), 0};

TEST(TcpListener, AcceptsWithTheAddressesOfBothEnds) {
  Loop loop;
  const auto listener = TcpListener::open({stun::IpAddress(), 0});  // the wildcard
  ASSERT_TRUE(listener) << listener.error().message;
  std::vector<AcceptedSocket> accepted;
  (*listener)->start(loop, [&](AcceptedSocket socket) { accepted.push_back(std::move(socket)); });
  const tests::LoopbackClient client((*listener)->local());
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(loop.run_until([&] { return accepted.size() == 1; }));
  EXPECT_EQ(accepted[0].peer.address.to_string(), "127.0.0.1");
  EXPECT_EQ(accepted[0].local.address.to_string(), "127.0.0.1") << "not the wildcard";
  EXPECT_EQ(accepted[0].local.port, (*listener)->local().port);
}

TEST(TcpListener, SharesAPortWithinTheProcessOnly) {
  const auto first = TcpListener::open(kAny);
  ASSERT_TRUE(first);
  EXPECT_TRUE(TcpListener::open((*first)->local(), false));
  const auto stranger = TcpListener::open((*first)->local());
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().code, EADDRINUSE);
  EXPECT_NE(stranger.error().message.find("tcp " + (*first)->local().to_string()),
            std::string::npos);
}

TEST(BindError, SaysWhatToDo) {
  const auto message = [](int code, std::uint16_t port) {
    return describe_bind_error(code, "tcp", {stun::IpAddress::v4(127, 0, 0, 1), port}).message;
  };
  EXPECT_NE(message(EACCES, 443).find("tcp 127.0.0.1:443: user id"), std::string::npos);
  EXPECT_NE(message(EACCES, 443).find("CAP_NET_BIND_SERVICE"), std::string::npos);
  EXPECT_EQ(message(EACCES, 8443).find("CAP_NET_BIND_SERVICE"), std::string::npos);
  EXPECT_NE(message(EADDRINUSE, 443).find("ss -lntup"), std::string::npos);
  EXPECT_NE(message(EADDRNOTAVAIL, 443).find("ip addr"), std::string::npos);
  EXPECT_NE(message(EAFNOSUPPORT, 443).find("no IPv6"), std::string::npos);
}

TEST(TcpListener, GoesOnAfterTheDescriptorsWereUsedUp) {
  Loop loop;
  const auto listener = TcpListener::open(kAny);
  ASSERT_TRUE(listener);
  int accepted = 0;
  (*listener)->start(loop, [&](const AcceptedSocket& /*socket*/) { ++accepted; });
  const tests::LoopbackClient client((*listener)->local());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const Fd highest(::dup(client.fd()));
  const rlimit none_left{static_cast<rlim_t>(highest.get()), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  loop.run_once(std::chrono::seconds(1));
  EXPECT_EQ(accepted, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(loop.run_until([&] { return accepted == 1; }));
}

}  // namespace
}  // namespace bedside::net
