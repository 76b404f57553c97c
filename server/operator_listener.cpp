#include "server/operator_listener.h"

#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <utility>

#include "server/audit_types.h"
#include "server/config.h"

namespace bedside::server {
namespace {

// A monitor asks every few seconds and a person now and then; two threads are plenty, and a stuck
// client of either must not hold up a stop for long.
constexpr std::size_t kThreads = 2;
constexpr time_t kTimeoutSeconds = 1;

constexpr std::array kRoutes = {OperatorRoute{"GET", "/healthz", ""},
                                OperatorRoute{"GET", "/metrics", ""},
                                OperatorRoute{"PUT", "/drain", audit_type::kRelayDraining},
                                OperatorRoute{"DELETE", "/drain", audit_type::kRelayDraining}};

// Only what is declared above is served.
void on(httplib::Server& server, std::string_view method, const std::string& path,
        httplib::Server::Handler handler) {
  const bool declared = std::any_of(kRoutes.begin(), kRoutes.end(), [&](const OperatorRoute& each) {
    return each.method == method && each.path == path;
  });
  if (!declared) std::abort();
  if (method == "GET") {
    server.Get(path, std::move(handler));
  } else if (method == "PUT") {
    server.Put(path, std::move(handler));
  } else {
    server.Delete(path, std::move(handler));
  }
}

void answer_health(const Health& health, httplib::Response& response) {
  response.status = health.ok() ? 200 : 503;
  std::string text = health.ok() ? "ok\n" : "not ok\n";
  text += health.store_writable ? "store: writable\n" : "store: cannot write\n";
  text += health.control_alive ? "control: alive\n" : "control: does not answer\n";
  response.set_content(text, "text/plain; charset=utf-8");
}

void answer_drain(bool told, bool draining, httplib::Response& response) {
  response.status = told ? 200 : 503;
  const std::string state = draining ? "draining\n" : "accepting\n";
  response.set_content(told ? state : "a relay thread is busy; try again\n",
                       "text/plain; charset=utf-8");
}

// PUT and DELETE: a page in a browser on this machine cannot send them here without being asked
// first (CORS), and it is told no. One whose own name was made to lead here (DNS rebinding) needs
// not ask, but its browser sends an Origin with them, and the operator's tools send none.
void serve_drain(httplib::Server& server, const std::function<bool(bool)>& drain) {
  const auto serve = [drain](bool wanted) {
    return [drain, wanted](const httplib::Request& request, httplib::Response& response) {
      if (!request.has_header("Origin")) return answer_drain(drain(wanted), wanted, response);
      response.status = 403;
      response.set_content("not for pages\n", "text/plain; charset=utf-8");
    };
  };
  on(server, "PUT", "/drain", serve(true));
  on(server, "DELETE", "/drain", serve(false));
}

// Nothing here is a page: what a browser makes of it shall be text, unseen by other sites.
const httplib::Headers& operator_headers() {
  static const httplib::Headers kHeaders{
      {"Cache-Control", "no-store"},
      {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Content-Type-Options", "nosniff"}};
  return kHeaders;
}

}  // namespace

std::span<const OperatorRoute> operator_routes() { return kRoutes; }

struct OperatorListener::Running {
  httplib::Server server;
  std::thread thread;
  std::uint16_t port = 0;
  std::atomic<bool> serving{false};
};

OperatorListener::OperatorListener(std::unique_ptr<Running> running)
    : running_(std::move(running)) {}

OperatorListener::~OperatorListener() {
  running_->server.stop();
  if (running_->thread.joinable()) running_->thread.join();
}

void OperatorListener::serve() { running_->serving = true; }

std::uint16_t OperatorListener::port() const { return running_->port; }

tl::expected<std::unique_ptr<OperatorListener>, std::string> OperatorListener::start(
    const stun::Endpoint& listen, OperatorSources sources) {
  if (!is_loopback(listen.address)) {
    return tl::unexpected("operator.listen " + listen.to_string() +
                          " is not a loopback address; write 127.0.0.1:" +
                          std::to_string(listen.port) + " and reach it through ssh or a proxy");
  }
  auto running = std::make_unique<Running>();
  httplib::Server& server = running->server;
  server.new_task_queue = [] { return std::make_unique<httplib::ThreadPool>(kThreads).release(); };
  // The library's default shares the port with anybody who asks for it (SO_REUSEPORT), which would
  // hide that another server has it.
  server.set_socket_options([](int socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(kTimeoutSeconds);
  server.set_write_timeout(kTimeoutSeconds);
  server.set_payload_max_length(1024);
  server.set_default_headers(operator_headers());
  // A monitor does not wait for us: it may ask while what it asks about is not yet there.
  server.set_pre_routing_handler(
      [&serving = running->serving](const httplib::Request&, httplib::Response& response) {
        using Next = httplib::Server::HandlerResponse;
        if (serving) return Next::Unhandled;
        response.status = 503;
        response.set_content("starting\n", "text/plain; charset=utf-8");
        return Next::Handled;
      });
  on(server, "GET", "/healthz",
     [health = std::move(sources.health)](const httplib::Request&, httplib::Response& response) {
       answer_health(health(), response);
     });
  on(server, "GET", "/metrics",
     [metrics = std::move(sources.metrics)](const httplib::Request&, httplib::Response& response) {
       response.set_content(render_prometheus(metrics()),
                            "text/plain; version=0.0.4; charset=utf-8");
     });
  if (sources.drain) serve_drain(server, sources.drain);

  const std::string host = listen.address.to_string();
  if (listen.port == 0) {
    const int port = server.bind_to_any_port(host);
    running->port = port > 0 ? static_cast<std::uint16_t>(port) : std::uint16_t{0};
  } else if (server.bind_to_port(host, listen.port)) {
    running->port = listen.port;
  }
  if (running->port == 0) {
    return tl::unexpected("cannot listen on " + listen.to_string() +
                          " (operator.listen): another program may have the port; stop it or write "
                          "another port");
  }
  running->thread = std::thread([&server] { server.listen_after_bind(); });
  // A stop() before its loop runs would be lost.
  while (!server.is_running()) std::this_thread::yield();
  return std::unique_ptr<OperatorListener>(new OperatorListener(std::move(running)));
}

}  // namespace bedside::server
