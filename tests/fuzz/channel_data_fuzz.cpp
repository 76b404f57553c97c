// Any datagram as ChannelData: the payload lies inside it, and what is written in front of a
// payload reads back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "turn/channel_data.h"

namespace {

using namespace bedside;

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const stun::Bytes packet(data, size);
  const auto parsed = turn::parse_channel_data(packet);
  if (size < 4) require(!parsed);
  if (!parsed) return 0;
  require(parsed->payload.size() == stun::load_u16(packet, 2));
  require(parsed->payload.size() + 4 <= size);
  require(parsed->payload.empty() || parsed->payload.data() == packet.data() + 4);

  std::vector<std::uint8_t> again(4);
  turn::write_channel_header(again, parsed->number, parsed->payload.size());
  again.insert(again.end(), parsed->payload.begin(), parsed->payload.end());
  require(std::equal(again.begin(), again.end(), packet.begin()));
  // Channels begin with 0x40 to 0x4F (RFC 8656 §12); old clients' go on to 0x7F.
  const bool is_channel = parsed->number >= 0x4000 && parsed->number <= 0x4FFF;
  require((turn::classify(packet[0]) == turn::PacketKind::channel_data) == is_channel);
  const bool is_old_channel = parsed->number >= 0x4000 && parsed->number <= 0x7FFF;
  require((turn::classify(packet[0], true) == turn::PacketKind::channel_data) == is_old_channel);
  return 0;
}
