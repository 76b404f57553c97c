// Clients that change between WebSocket and long poll at random moments, lose connections, answers
// and requests, over a store that delays, reorders between rooms and refuses: nothing is lost,
// doubled or reordered.
#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

class RandomVisit {
 public:
  explicit RandomVisit(std::uint32_t seed) : random_(seed) {
    for (const std::string room : {"red", "blue"}) {
      t_.create(room);
      for (int i = 0; i < 3; ++i) {
        Client client;
        client.who = t_.join(room, "N" + std::to_string(i));
        clients_.push_back(std::move(client));
      }
    }
    for (Client& client : clients_) client.socket = t_.attach(client.who);
    collect();
    t_.store = HubUnderTest::Store::holds;
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      t_.advance(milliseconds{static_cast<int>(below(200)) + 40});
      step(clients_[below(clients_.size())]);
      collect();
      if (!t_.held.empty() && below(3) == 0) t_.decide(below(t_.held.size()), below(4) != 0);
      collect();
    }
  }

  // Everybody comes back, everything is sent again until it is known to have arrived.
  void settle() {
    t_.store = HubUnderTest::Store::commits;
    while (!t_.held.empty()) t_.decide(0, true);
    for (int round = 0; round < 3; ++round) {
      for (Client& client : clients_) {
        t_.advance(seconds{1});
        hang_up(client);
        go_to_socket(client);
        collect();
        resend(client);
        collect();
      }
    }
  }

  std::size_t said() const {
    std::size_t count = 0;
    for (const Client& client : clients_) count += client.outgoing.size();
    return count;
  }

  void check() const {
    for (const Client& receiver : clients_) {
      for (const Client& sender : clients_) {
        if (&sender == &receiver || sender.who.room != receiver.who.room) continue;
        std::vector<int> expected;
        for (const Sent& sent : sender.outgoing) {
          if (sent.message["targetPeerId"] == receiver.who.id)
            expected.push_back(sent.message["offer"]);
        }
        const auto it = receiver.offers.find(sender.who.id);
        const std::vector<int> got = it == receiver.offers.end() ? std::vector<int>{} : it->second;
        EXPECT_EQ(got, expected) << sender.who.id << " to " << receiver.who.id;
      }
      EXPECT_EQ(receiver.resyncs, 0) << receiver.who.id;
    }
  }

 private:
  struct Sent {
    std::uint64_t seq;
    Json message;
  };
  struct Client {
    HubUnderTest::Person who;
    SocketId socket = 0;
    RequestId poll = 0;
    std::uint64_t after = 0;  // what it has
    std::uint64_t acknowledged = 0;
    std::uint64_t next_seq = 1;
    std::vector<Sent> outgoing;  // all it ever meant to send
    std::map<std::string, std::vector<int>> offers;
    int resyncs = 0;
  };

  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void step(Client& client) {
    switch (below(8)) {
      case 0:
        return hang_up(client);
      case 1:
        return go_to_socket(client);
      case 2:
        return poll(client);
      case 3:
        // The socket is dead but nobody knows yet: what the hub sends is lost.
        if (client.socket != 0) deaf_.insert(client.socket);
        return;
      default:
        return offer(client);
    }
  }

  void hang_up(Client& client) {
    if (client.socket != 0) t_.hang_up(client.socket);
    client.socket = 0;
    if (client.poll != 0 && below(2) == 0) t_.hub.request_gone(client.poll, t_.now);
    client.poll = 0;  // an answer that still comes is lost
  }

  void go_to_socket(Client& client) {
    client.poll = 0;
    client.socket = t_.attach(client.who, client.after);
  }

  void poll(Client& client) {
    client.socket = 0;  // the hub finds out by itself
    client.poll = t_.poll(client.who, client.after, static_cast<int>(below(2)) * 25);
  }

  void offer(Client& client) {
    std::vector<const Client*> others;
    for (const Client& other : clients_) {
      if (other.who.room == client.who.room && &other != &client) others.push_back(&other);
    }
    const Client& target = *others[below(others.size())];
    client.outgoing.push_back({client.next_seq,
                               {{"type", "offer"},
                                {"targetPeerId", target.who.id},
                                {"offer", static_cast<int>(client.next_seq)}}});
    ++client.next_seq;
    resend(client);
  }

  // In order, one after the other, from the first that is not known to have arrived.
  void resend(Client& client) {
    for (const Sent& sent : client.outgoing) {
      if (sent.seq <= client.acknowledged) continue;
      if (client.socket != 0) {
        Json message = sent.message;
        message["clientSeq"] = sent.seq;
        if (deaf_.count(client.socket) == 0) t_.say(client.socket, message);
        if (t_.closed(client.socket)) return;
        continue;
      }
      if (below(4) == 0) return;  // the request is lost
      const RequestId request = t_.post({{"action", "signal"},
                                         {"roomId", client.who.room},
                                         {"participantId", client.who.id},
                                         {"token", client.who.token},
                                         {"clientSeq", sent.seq},
                                         {"message", sent.message}});
      if (!t_.answered(request) || t_.reply(request).status != 200) return;
      if (below(4) == 0) return;  // the answer is lost
      client.acknowledged = std::max(client.acknowledged, sent.seq);
    }
  }

  void collect() {
    for (Client& client : clients_) {
      if (client.socket != 0) {
        const bool deaf = deaf_.count(client.socket) > 0;
        for (const Json& message : t_.heard(client.socket)) {
          if (!deaf) receive(client, message);
        }
        if (t_.closed(client.socket)) client.socket = 0;
      }
      if (client.poll != 0 && t_.answered(client.poll)) {
        const Reply reply = t_.reply(client.poll);
        client.poll = 0;
        if (reply.status != 200 || below(4) == 0) continue;  // refused, or lost on the way
        for (const Json& message : reply.body["messages"]) receive(client, message);
        client.acknowledged =
            std::max(client.acknowledged, reply.body["clientSeq"].get<std::uint64_t>());
      }
    }
  }

  static void receive(Client& client, const Json& message) {
    const auto seq = message["seq"].get<std::uint64_t>();
    if (message["type"] == "resync") ++client.resyncs;
    EXPECT_EQ(seq, client.after + 1) << client.who.id << " " << message;
    client.after = seq;
    if (message["type"] == "offer") {
      client.offers[message["fromPeerId"]].push_back(message["offer"]);
    } else if (message["type"] == "resumed") {
      client.acknowledged =
          std::max(client.acknowledged, message["clientSeq"].get<std::uint64_t>());
    }
  }

  std::mt19937 random_;
  HubUnderTest t_;
  std::vector<Client> clients_;
  std::set<SocketId> deaf_;
};

TEST(SwitchingProperty, NothingIsLostDoubledOrReordered) {
  const char* fixed = std::getenv("BEDSIDE_SEED");
  const std::uint32_t first =
      fixed != nullptr ? static_cast<std::uint32_t>(std::strtoul(fixed, nullptr, 10)) : 1;
  const std::uint32_t visits = fixed != nullptr ? 1 : 150;
  std::size_t said = 0;
  for (std::uint32_t seed = first; seed < first + visits; ++seed) {
    SCOPED_TRACE("BEDSIDE_SEED=" + std::to_string(seed));
    RandomVisit visit(seed);
    visit.run(150);
    visit.settle();
    visit.check();
    said += visit.said();
    if (testing::Test::HasFailure()) return;
  }
  if (fixed == nullptr) {
    EXPECT_GE(said, 10'000U);
  }
}

}  // namespace
}  // namespace bedside::signaling
