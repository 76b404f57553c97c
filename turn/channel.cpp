#include "turn/channel.h"

#include <algorithm>

namespace bedside::turn {

ChannelTable::Bound ChannelTable::judge(ChannelNumber number, const stun::Endpoint& peer,
                                        std::size_t limit, const Now& now) const {
  const Channel* by_number = find(number, now);
  const Channel* by_peer = find(peer, now);
  if (by_number != by_peer) return Bound::conflict;
  if (by_number != nullptr) return Bound::refreshed;
  return live(now) < limit ? Bound::created : Bound::full;
}

ChannelTable::Bound ChannelTable::bind(const Channel& channel, std::size_t limit, const Now& now) {
  const Bound outcome = judge(channel.number, channel.peer, limit, now);
  if (outcome == Bound::refreshed) {
    const auto bound = std::find_if(entries_.begin(), entries_.end(), [&](const Channel& c) {
      return c.number == channel.number && now.mono < c.expires;
    });
    *bound = channel;
  } else if (outcome == Bound::created) {
    std::erase_if(entries_, [&](const Channel& c) { return c.expires <= now.mono; });
    entries_.push_back(channel);
  }
  return outcome;
}

const Channel* ChannelTable::find(ChannelNumber number, const Now& now) const {
  for (const Channel& channel : entries_) {
    if (channel.number == number && now.mono < channel.expires) return &channel;
  }
  return nullptr;
}

const Channel* ChannelTable::find(const stun::Endpoint& peer, const Now& now) const {
  for (const Channel& channel : entries_) {
    if (channel.peer == peer && now.mono < channel.expires) return &channel;
  }
  return nullptr;
}

void ChannelTable::remove_family(stun::Family family) {
  remove_if([&](const stun::Endpoint& peer) { return peer.address.family() == family; });
}

std::size_t ChannelTable::live(const Now& now) const {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [&](const Channel& c) { return now.mono < c.expires; }));
}

}  // namespace bedside::turn
