#include "server/tcp_links.h"

#include <utility>

#include "server/turn_session.h"

namespace bedside::server {

TcpLinks::TcpLinks(net::Loop& loop, PortSockets& ports, TcpLink::Owner& owner)
    : loop_(loop), ports_(ports), owner_(owner), sweep_(loop, [this] { ended_.clear(); }) {}

void TcpLinks::connect(const turn::ToConnect& wanted, const stun::Endpoint& local,
                       const stun::Endpoint& peer) {
  links_[wanted.id.value] = {std::make_unique<TcpLink>(loop_, wanted, local, peer, owner_)};
}

void TcpLinks::keep(turn::ConnectionId id, turn::RelayPortId port, net::AcceptedSocket peer) {
  links_[id.value] = {std::make_unique<TcpLink>(loop_, id, port, std::move(peer), owner_)};
}

bool TcpLinks::join(turn::ConnectionId id, net::DetachedConnection client) {
  const auto found = links_.find(id.value);
  if (found == links_.end() || found->second.joined) return false;
  found->second.joined = true;
  ++joined_;
  found->second.link->join(std::move(client));
  return true;
}

void TcpLinks::close(turn::ConnectionId id) {
  const auto found = links_.find(id.value);
  if (found == links_.end()) return;
  if (found->second.joined) --joined_;
  found->second.link->end();
  ended_.push_back(std::move(found->second.link));
  links_.erase(found);
  sweep_.arm(net::MonoTime(0));
}

void TcpLinks::give_up(turn::ConnectionId id, turn::RelayPortId from, stun::Bytes answer) {
  close(id);
  if (TurnSession* session = ports_.owner_of(from).session) session->answer(answer);
}

}  // namespace bedside::server
