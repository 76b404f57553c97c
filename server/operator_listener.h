#pragma once

// /healthz, /metrics and /drain for the operator's own machine: cpp-httplib's stock server on a
// loopback address, on threads of its own. It must never meet the internet (README.md says why), so
// start() refuses any other address.
//
// Started and destroyed by the service; the callbacks run on the listener's threads.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/metrics.h"
#include "stun/endpoint.h"

namespace bedside::server {

struct Health {
  bool store_writable = false;
  bool control_alive = false;

  bool ok() const { return store_writable && control_alive; }
};

struct OperatorSources {
  std::function<Health()> health;
  std::function<Metrics()> metrics;
  // True: no new allocations from now on. False when a relay thread was too busy to be told.
  std::function<bool(bool)> drain = nullptr;  // null: there is no /drain
};

// What this listener serves, and the record of what each changes; "": it changes nothing.
struct OperatorRoute {
  std::string_view method;
  std::string_view path;
  std::string_view record;
};
std::span<const OperatorRoute> operator_routes();

class OperatorListener {
 public:
  // Listens at once, and answers 503 to everything until serve(); the error is a sentence with its
  // remedy. Port 0 takes any.
  static tl::expected<std::unique_ptr<OperatorListener>, std::string> start(
      const stun::Endpoint& listen, OperatorSources sources);
  // Answers what is under way and stops.
  ~OperatorListener();

  OperatorListener(const OperatorListener&) = delete;
  OperatorListener& operator=(const OperatorListener&) = delete;

  // From now on the sources are asked.
  void serve();

  std::uint16_t port() const;

 private:
  struct Running;
  explicit OperatorListener(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace bedside::server
