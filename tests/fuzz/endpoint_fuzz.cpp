// Any text as an address, an endpoint and a prefix: what is accepted reads back as the same value,
// and belongs to what it says.
#include <cstdlib>
#include <string>

#include "stun/endpoint.h"
#include "turn/peer_policy.h"

namespace {

using namespace bedside;

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  if (const auto address = stun::IpAddress::parse(text)) {
    require(stun::IpAddress::parse(address->to_string()) == address);
    require(stun::IpAddress::from_bytes(address->bytes()) == address);
    require(address->unmapped().unmapped() == address->unmapped());
    const auto whole = turn::Prefix::parse(text);  // an address is a prefix of one
    require(whole && whole->contains(*address) && whole->length == address->bytes().size() * 8);
  }
  if (const auto endpoint = stun::Endpoint::parse(text)) {
    require(stun::Endpoint::parse(endpoint->to_string()) == endpoint);
    require(!stun::IpAddress::parse(text));  // no text is both
  }
  if (const auto prefix = turn::Prefix::parse(text)) {
    require(prefix->contains(prefix->base));
    require(prefix->length <= prefix->base.bytes().size() * 8);
    const std::string again = prefix->base.to_string() + "/" + std::to_string(prefix->length);
    require(turn::Prefix::parse(again) == prefix);
  }
  return 0;
}
