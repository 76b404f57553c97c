#pragma once

// One connection to a front door that carries bytes as a test wants them: for what correct clients
// never send. Blocks at most ten seconds at a time.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/net/tls.h"
#include "tests/net/loopback_client.h"

namespace bedside::server {

// A certificate for the tests of this process, and the context that serves it.
const net::TlsContext& test_tls();

enum class Over : std::uint8_t { tcp, tls, tls_with_turn_alpn };
std::string_view name_of(Over over);

// An HTTP answer as it came.
struct WireAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  // All values of that name, joined by "|".
  std::string header(std::string_view name) const;
};

class WireClient {
 public:
  // `from`: the loopback address to come from.
  WireClient(std::uint16_t port, Over over, const std::string& from = {});

  void send(std::string_view bytes);
  // Each byte in a TLS record, or at least in a segment, of its own.
  void send_byte_by_byte(std::string_view bytes);
  void half_close() { client_.send_fin(); }

  // False: ten seconds have passed.
  bool until(const std::function<bool()>& done);
  bool ended() { return client_.ended(); }
  // Waits for the end; true when it came.
  bool wait_for_end();
  const std::string& received() { return client_.pump().received(); }
  std::string take_received() { return client_.pump().take_received(); }
  std::string server_certificate() const { return client_.server_certificate(); }  // DER

  // The complete answers of `received()`, interim ones (100) included. `to_head`: they have no
  // bodies, whatever their Content-Length says.
  std::vector<WireAnswer> answers(bool to_head = false);
  // Sends, then waits for one answer or the end; status 0 when there is none.
  WireAnswer ask(std::string_view request, bool to_head = false);

 private:
  tests::LoopbackClient client_;
};

// What is wrong with the headers that every answer of a public listener must have, one line each;
// empty when nothing is. `over_tls`: with Strict-Transport-Security.
std::string wrong_headers(const WireAnswer& answer, bool over_tls);

}  // namespace bedside::server
