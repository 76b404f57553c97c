// Any text as a client message, as the body of an HTTP action, and through a hub with one room.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "signaling/hub.h"
#include "signaling/quick_forward.h"

namespace {

using namespace bedside::signaling;  // NOLINT(google-build-using-namespace)

class PlainIssuer : public Issuer {
 public:
  std::string participant_id() override { return "p" + std::to_string(++count_); }
  std::string token() override { return "t" + std::to_string(count_); }
  TokenHash hash(std::string_view token) const override {
    return {token.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(token.back())};
  }
  IceGrant ice_grant(std::string_view, std::string_view, const Now& now) override {
    return {"[]", now.wall + std::chrono::minutes{10}};
  }

 private:
  int count_ = 0;
};

void drain(Hub& hub, const Now& now) {
  while (true) {
    const auto outputs = hub.outputs();
    if (outputs.empty()) return;
    for (const Output& output : outputs) {
      if (const auto* commit = std::get_if<CommitNeeded>(&output))
        hub.committed(commit->id, true, now);
      if (const auto* ready = std::get_if<SocketReady>(&output)) hub.take(ready->socket, 1 << 20);
    }
  }
}

// What goes the short way is what a JSON reader that is not ours reads there.
void check_quick_forward(std::string_view text) {
  const auto message = quick_forward(text);
  if (!message) return;
  const auto read = nlohmann::json::parse(text, nullptr, false);
  const auto& forward = std::get<Forward>(message->body);
  const bool same = read.is_object() && read.at("targetPeerId") == forward.target &&
                    read == nlohmann::json::parse(forward.object, nullptr, false) &&
                    read.contains("clientSeq") == message->client_seq.has_value() &&
                    !read.contains("fromPeerId") && !read.contains("seq");
  if (!same) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Built from a copy: texts from the network are no C strings either.
  const std::string text(data, data + size);

  PlainIssuer issuer;
  Hub hub({}, Access::open, issuer);
  Now now{std::chrono::seconds{1}, std::chrono::seconds{1'700'000'000}};
  hub.request(1, CreateRoom{"r", "1"}, {}, now);
  drain(hub, now);
  hub.request(2, JoinRoom{"r", "Ann", ""}, {}, now);
  drain(hub, now);
  hub.socket_opened(3, {}, now);
  hub.socket_message(3, R"({"type":"join","roomId":"r","peerId":"p1"})", now);
  drain(hub, now);
  hub.socket_opened(4, {}, now);
  // One client message a line: joined, not joined, and as the body of a POST.
  std::string_view rest = text;
  std::uint64_t request = 10;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    check_quick_forward(line);
    hub.socket_message(3, line, now);
    drain(hub, now);
    hub.socket_message(4, line, now);
    drain(hub, now);
    if (auto action = parse_action(line)) {
      hub.request(++request, std::move(*action), {}, now);
      drain(hub, now);
    }
    now.mono += std::chrono::milliseconds{100};
    now.wall += std::chrono::milliseconds{100};
    hub.expire(now);
    drain(hub, now);
  }
  if (hub.rooms().empty()) std::abort();  // an ended room is still visible within these minutes
  return 0;
}
