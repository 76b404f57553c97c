// Any text as a configuration: every problem can be told, and what is accepted is complete.
#include <cstdlib>
#include <string>

#include "server/config.h"
#include "server/config_text.h"

namespace {

using namespace bedside::server;

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(data, data + size);
  // Files it names are opened while it is read. None may be outside of this empty folder.
  for (char& c : text) {
    if (c == '/') c = '|';
  }
  const CheckedConfig checked = parse_config(text, "/nonexistent/bedside.toml");
  for (const Problem& problem : checked.problems) {
    require(!problem.what.empty());
    require(!describe(problem, "bedside.toml").empty());
  }
  if (checked.ok()) {
    const TurnConfig& turn = checked.config.turn;
    require(turn.relay_ports.first <= turn.relay_ports.last && turn.relay_ports.first >= 1024);
    require(checked.config.signaling.max_participants <= 8);
    require(turn.external_ip.size() <= 2);
    for (const auto& origin : checked.config.signaling.allowed_origins) require(is_origin(origin));
    (void)loud_warnings(checked.config);
    (void)endpoints_to_bind(turn.listen);
  }
  if (const auto range = parse_port_range(text)) require(range->first <= range->last);
  (void)is_host(text);
  (void)is_origin(text);
  return 0;
}
