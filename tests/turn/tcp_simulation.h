// TCP allocations (RFC 6062) and behaviour discovery (RFC 5780) under arbitrary programs: Connects
// that come about or not, peers that connect, bindings right and wrong, requests damaged on the
// way, time, ends of every kind. A book of what is open is kept from the relay's verdicts alone,
// and the relay must agree with it after each step.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {

// What happens next: chance, or the bytes of a fuzzer.
class Choices {
 public:
  virtual std::uint64_t below(std::uint64_t bound) = 0;

 protected:
  ~Choices() = default;
};

class TcpSimulation {
 public:
  explicit TcpSimulation(Choices& choices);

  // Something happens. False: an invariant broke, see problem().
  bool step();
  const std::string& problem() const { return problem_; }

  struct Figures {
    std::uint64_t joined = 0;
    std::uint64_t attempts = 0;    // connections of peers that were accepted
    std::uint64_t discovered = 0;  // answers that left from another address or to another port
  };
  const Figures& figures() const { return figures_; }

 private:
  enum class Phase : std::uint8_t { connecting, unbound, bound };
  struct Open {
    Phase phase;
    std::chrono::nanoseconds since;
    std::string user;
  };
  struct Promise {
    stun::Endpoint client;
    std::string user;
    std::map<stun::IpAddress, std::chrono::nanoseconds> permissions;
  };

  stun::Endpoint peer();
  std::uint32_t some_id();
  Packet perhaps_damaged(Packet packet);
  Fill perhaps_more(Fill fill);
  void ask(Client& client, stun::Method method, const Fill& fill);
  void understand(const Client& client, stun::Method method, const Packet& request,
                  const Reply& answer);
  void connect_ends();
  void peer_connects();
  void bind();
  void pass_data();
  void end(Client& client);
  void discover();
  void settle();
  void check();
  void require(bool holds, const char* what);

  Choices& choices_;
  World world_;
  std::deque<Client> clients_;
  std::map<std::uint32_t, Open> open_;
  std::map<stun::Endpoint, Promise> promises_;  // by relayed address
  std::string problem_;
  Figures figures_;
};

}  // namespace bedside::turn::testing
