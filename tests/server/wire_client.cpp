#include "tests/server/wire_client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>

#include "tests/net/test_certificate.h"

namespace bedside::server {
namespace {

constexpr std::chrono::seconds kWirePatience{10};

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

WireAnswer read_head(std::string_view head) {
  WireAnswer answer;
  answer.status = std::atoi(std::string(head.substr(std::string_view("HTTP/1.1 ").size())).c_str());
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
    const std::size_t next = head.find("\r\n", at + 2);
    const std::string_view line = head.substr(at + 2, next - at - 2);
    const std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos) {
      answer.headers.emplace_back(lower_case(line.substr(0, colon)), line.substr(colon + 2));
    }
    at = next;
  }
  return answer;
}

}  // namespace

const net::TlsContext& test_tls() {
  static const tests::TestCertificate kCertificate;
  static const auto kTls = net::TlsContext::load(kCertificate.certificate(), kCertificate.key());
  return kTls.value();
}

std::string_view name_of(Over over) {
  switch (over) {
    case Over::tcp:
      return "tcp";
    case Over::tls:
      return "tls";
    case Over::tls_with_turn_alpn:
      return "tls_with_turn_alpn";
  }
  return "";
}

std::string WireAnswer::header(std::string_view name) const {
  std::string all;
  for (const auto& [field, value] : headers) {
    if (field == name) all += (all.empty() ? "" : "|") + value;
  }
  return all;
}

WireClient::WireClient(std::uint16_t port, Over over, const std::string& from)
    : client_(stun::Endpoint{stun::IpAddress::v4(127, 0, 0, 1), port}, 0, from) {
  const int on = 1;
  ::setsockopt(client_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (over == Over::tcp) return;
  const std::string turn = "\x09stun.turn";
  client_.start_tls(over == Over::tls_with_turn_alpn
                        ? std::vector<unsigned char>(turn.begin(), turn.end())
                        : std::vector<unsigned char>());
  EXPECT_TRUE(until([this] { return client_.handshake_done(); })) << "no TLS";
}

void WireClient::send(std::string_view bytes) { client_.send(bytes); }

void WireClient::send_byte_by_byte(std::string_view bytes) {
  for (const char& byte : bytes) client_.send({&byte, 1});
}

bool WireClient::until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kWirePatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    pollfd readable{client_.fd(), POLLIN, 0};
    ::poll(&readable, 1, 10);  // what is still to be sent waits for nothing but the next look
    client_.pump();
  }
  return true;
}

bool WireClient::wait_for_end() {
  return until([this] { return ended(); });
}

std::vector<WireAnswer> WireClient::answers(bool to_head) {
  std::vector<WireAnswer> all;
  std::string_view rest = received();
  while (true) {
    const std::size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) return all;
    WireAnswer answer = read_head(rest.substr(0, end));
    rest.remove_prefix(end + 4);
    const std::size_t length =
        to_head ? 0 : std::strtoull(answer.header("content-length").c_str(), nullptr, 10);
    if (length > rest.size()) return all;
    answer.body = rest.substr(0, length);
    rest.remove_prefix(length);
    all.push_back(std::move(answer));
  }
}

WireAnswer WireClient::ask(std::string_view request, bool to_head) {
  client_.take_received();
  send(request);
  until([&] { return !answers(to_head).empty() || ended(); });
  const std::vector<WireAnswer> all = answers(to_head);
  return all.empty() ? WireAnswer{} : all.front();
}

std::string wrong_headers(const WireAnswer& answer, bool over_tls) {
  std::string wrong;
  const auto expect = [&](std::string_view name, std::string_view value) {
    const std::string found = answer.header(name);
    if (found == value) return;
    wrong.append(name).append(" is \"").append(found).append("\"\n");
  };
  expect("x-content-type-options", "nosniff");
  expect("x-frame-options", "DENY");
  expect("referrer-policy", "no-referrer");
  expect("cross-origin-opener-policy", "same-origin");
  expect("cross-origin-resource-policy", "same-origin");
  expect("permissions-policy",
         "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
         "fullscreen=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=()");
  expect("strict-transport-security", over_tls ? "max-age=31536000" : "");
  const std::string policy = answer.header("content-security-policy");
  const bool strict =
      policy.starts_with("default-src 'none'; ") && policy.ends_with("frame-ancestors 'none'") &&
      policy.find("unsafe") == std::string::npos && policy.find('*') == std::string::npos &&
      policy.find('|') == std::string::npos;
  if (!strict) wrong += "content-security-policy is \"" + policy + "\"\n";
  const std::string kept = answer.header("cache-control");
  if (kept != "no-store" && kept != "no-cache") wrong += "cache-control is \"" + kept + "\"\n";
  if (!answer.header("server").empty()) wrong += "the server tells its version\n";
  if (answer.header("access-control-allow-origin") == "*") wrong += "everybody may read it\n";
  if (!answer.header("access-control-allow-credentials").empty()) wrong += "with credentials\n";
  return wrong;
}

}  // namespace bedside::server
