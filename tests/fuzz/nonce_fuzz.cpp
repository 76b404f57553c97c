// Any text as a nonce, and changes to a genuine one: only what was issued is valid, for its client,
// for an hour. The first byte chooses the client and the age, the rest is the text; where a text
// byte is zero the genuine nonce shows through.
#include <cstdlib>
#include <string>

#include "turn/limits.h"
#include "turn/nonce.h"

namespace {

using namespace bedside;
using std::chrono::seconds;

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  turn::NonceKey key{};
  key.fill(0x5a);
  turn::Nonces nonces(key);
  const stun::Endpoint client{stun::IpAddress::v4(192, 0, 2, 7), 4000};
  const turn::Now issued{seconds{100'000}, seconds{1'800'000'000}};
  const std::string genuine(nonces.issue(turn::ClientTransport::udp, client, issued).text());

  std::string text(data + 1, data + size);
  for (std::size_t i = 0; i < text.size() && i < genuine.size(); ++i) {
    if (text[i] == 0) text[i] = genuine[i];
  }
  const seconds age{(data[0] & 0x3F) * 100};
  const turn::Now now{issued.mono + age, issued.wall + age};
  const auto transport =
      (data[0] & 0x40) != 0 ? turn::ClientTransport::tcp : turn::ClientTransport::udp;
  const stun::Endpoint sender{client.address,
                              static_cast<std::uint16_t>(client.port + (data[0] >> 7))};
  const bool valid = nonces.check(text, transport, sender, now) == turn::NonceVerdict::valid;
  const bool deserves = text == genuine && sender == client &&
                        transport == turn::ClientTransport::udp &&
                        age < turn::limits::kNonceLifetime;
  require(valid == deserves);
  return 0;
}
