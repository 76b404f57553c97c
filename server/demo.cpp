#include "server/demo.h"

#include <algorithm>

#include "server/first_key.h"
#include "server/links.h"

namespace bedside::server {
namespace {

std::vector<stun::Endpoint> both_loopbacks(std::uint16_t port) {
  const auto ipv6 = stun::IpAddress::parse("::1");
  return {{stun::IpAddress::v4(127, 0, 0, 1), port}, {ipv6.value_or(stun::IpAddress{}), port}};
}

std::string admin_link(const std::string& base, const BannerFacts& facts) {
  // In the fragment: fragments reach neither request lines nor logs.
  return base + "/admin/" + (facts.set_up_code.empty() ? "" : "#code=" + facts.set_up_code);
}

std::string admin_note(const BannerFacts& facts) {
  return facts.set_up_code.empty()
             ? ""
             : "           (the link makes the first account, once; it changes at every start)\n";
}

}  // namespace

std::string demo_room_name(const store::LoadedState& state) {
  std::string name = "demo";
  const auto ended = [&name](const store::RoomRow& room) {
    return room.room_id == name && room.ended_at.has_value();
  };
  for (int i = 2; std::any_of(state.rooms.begin(), state.rooms.end(), ended); ++i) {
    name = "demo-" + std::to_string(i);
  }
  return name;
}

Config demo_config(const std::filesystem::path& folder) {
  Config config;
  config.demo = true;
  config.data_dir = folder / "bedside-demo";
  config.public_host = "localhost";
  config.practice.name = "Bedside demo";
  config.http.listen = both_loopbacks(8080);
  config.https.listen = both_loopbacks(8443);
  config.https.certificate = config.data_dir / "certificate.pem";
  config.https.private_key = config.keys_dir() / "certificate.key";
  config.turn.listen = both_loopbacks(3478);
  config.turn.realm = "localhost";
  config.turn.shared_secret_file = config.keys_dir() / "turn-shared.secret";
  config.signaling.access = Access::open;
  config.audit.ballast_mb = 0;  // nobody looks after its disk
  config.operator_listener.listen = stun::Endpoint{stun::IpAddress::v4(127, 0, 0, 1), 9641};
  return config;
}

std::string demo_banner(const Config& config, const BannerFacts& facts) {
  const std::string http = http_origin(config);
  const std::string https = https_origin(config);
  std::string text = "\nBedside is running as a demo. Ctrl+C stops it.\n\n";
  text += "  A visit  " + http + "/telehealth-webrtc.html?room=" + facts.demo_room + "\n";
  text += "           (open it in two windows; there it is also: " + https + ")\n";
  text += "  Admin    " + admin_link(http, facts) + "\n" + admin_note(facts);
  text += "  Relay    STUN and TURN on 127.0.0.1" + std::string(facts.ipv6 ? " and [::1]" : "") +
          ", port " + std::to_string(config.turn.listen.front().port) + ", UDP and TCP\n";
  if (config.operator_listener.listen) {
    text += "  Metrics  http://" + config.operator_listener.listen->to_string() + "/metrics\n";
  }
  text +=
      "\n  What makes it a demo: only this machine can reach it; whoever does can enter any room\n";
  text +=
      "  (access = \"open\"); the certificate of https is self-signed, so browsers warn; data is "
      "in\n";
  text += "  " + config.data_dir.string() + " (delete the folder to start afresh).\n";
  if (!facts.ipv6) text += "  This machine has no IPv6 loopback address; IPv4 alone is served.\n";
  text += "  For real use write a configuration: bedside serve --config bedside.toml\n\n";
  return text;
}

std::string server_banner(const Config& config, const BannerFacts& facts) {
  const std::string base = best_origin(config);
  const std::string& practice = config.practice.name;
  const bool is_named = practice != Config().practice.name;
  return "\nBedside is running" + (is_named ? " for " + practice : "") + ".\n\n  Visits   " + base +
         "/telehealth-webrtc.html?room=<room>\n" + "  Admin    " + admin_link(base, facts) + "\n" +
         admin_note(facts) + "\n" + first_key_banner(facts.first_key, facts.terminal);
}

}  // namespace bedside::server
