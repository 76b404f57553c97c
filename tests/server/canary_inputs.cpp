#include "tests/server/canary_inputs.h"

#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <stdexcept>

#include "stun/message_writer.h"
#include "tests/bench/turn_session.h"
#include "tests/server/socket_client.h"
#include "tests/server/wire_client.h"

namespace bedside::server {
namespace {

using Json = nlohmann::json;
using tests::SocketClient;

constexpr const char* kApi = "/api/webrtc-signaling";
constexpr const char* kSocket = "/api/webrtc-ws";

std::string secret_of(const std::string& link) { return link.substr(link.find('#') + 1); }

Json attach(const std::string& room, const Json& who) {
  return {{"type", "join"},
          {"roomId", room},
          {"peerId", who["participantId"]},
          {"token", who["participantToken"]}};
}

}  // namespace

CanaryInputs::CanaryInputs() {
  hook_.Post("/anchor", [this](const httplib::Request& request, httplib::Response& response) {
    const std::lock_guard lock(hooked_);
    for (const auto& [name, value] : request.headers) webhook_ += name + ": " + value + "\n";
    webhook_ += request.body + "\n";
    response.status = 204;
  });
  const std::string hook = std::to_string(hook_.bind_to_any_port("127.0.0.1"));
  hook_thread_ = std::thread([this] { hook_.listen_after_bind(); });
  server_.folder().write("turn.secret", std::string(44, 's'), 0600);
  server_.configure("log_level = \"debug\"\n",
                    "allow_loopback_peers = false\nshared_secret_file = \"turn.secret\"\n",
                    "[witness]\nlogs = [\"" + other_log_.key().text() +
                        "\"]\n"
                        "[backup]\nfolder = \"backups\"\npublic_key = \"public.pem\"\n"
                        "[audit]\nanchor_file = \"anchor\"\nemergency_journal = \"journal\"\n"
                        "anchor_webhook = \"http://127.0.0.1:" +
                        hook + "/anchor\"\n");
  std::string text = server_.folder().read("bedside.toml");
  const std::string open = "access = \"open\"";
  text.replace(text.find(open), open.size(), "access = \"invite\"");
  server_.folder().write("bedside.toml", text, 0600);
  std::filesystem::create_directory(server_.folder().path() / "backups");
  EXPECT_EQ(run_bedside(
                {"backup", "key", "--private", path("private.pem"), "--public", path("public.pem")})
                .exit_code,
            0);
  server_.start();
  const Ended made = command({"token", "create", "--name", planted_.text("program"), "--scope",
                              "rooms.create", "--scope", "rooms.end"});
  bearer_ = "Bearer " + made.output.substr(0, made.output.size() - 1);
}

CanaryInputs::~CanaryInputs() {
  hook_.stop();
  hook_thread_.join();
}

std::string CanaryInputs::to_webhook() const {
  const std::lock_guard lock(hooked_);
  return webhook_;
}

std::string CanaryInputs::path(const std::string& name) const {
  return (server_.folder().path() / name).string();
}

Ended CanaryInputs::command(std::vector<std::string> words) const {
  words.insert(words.end(), {"--config", server_.config_file().string()});
  return run_bedside(words);
}

// Headers as browsers and careless programs send them.
httplib::Headers CanaryInputs::noise() {
  return {{"User-Agent", "Mozilla/5.0 " + planted_.text("agent")},
          {"Referer", "https://ehr.example.org/patient/" + planted_.text("referer")},
          {"Cookie", "session=" + planted_.text("cookie")},
          {"X-Request-Id", planted_.text("request-id")},
          {"X-Forwarded-For", planted_.text("forwarded")}};
}

Json CanaryInputs::note(const httplib::Result& answer) {
  if (!answer) return ADD_FAILURE() << "no answer", Json();
  for (const auto& [name, value] : answer->headers) headers_ += name + ": " + value + "\n";
  if (answer->status >= 400) refusals_ += answer->body + "\n";
  return Json::parse(answer->body, nullptr, false);
}

Json CanaryInputs::post(httplib::Client& web, const Json& body, const httplib::Headers& headers) {
  const std::string query = "?patient=" + planted_.text("query");
  return note(web.Post(kApi + query, headers, body.dump(), "application/json"));
}

Json CanaryInputs::join(httplib::Client& web, const std::string& room, const std::string& link,
                        const std::string& name) {
  const Json body{{"action", "join-room"},
                  {"roomId", room},
                  {"participantName", name},
                  {"token", secret_of(link)}};
  Json joined = note(web.Post(kApi, body.dump(), "application/json"));
  urls_ += joined.value("iceServers", Json()).dump() + "\n";
  return joined;
}

void CanaryInputs::visit(std::size_t number, bool ends) {
  httplib::Client web("127.0.0.1", server_.http());
  web.set_read_timeout(30);
  web.set_interface(planted_.address("address"));
  web.set_keep_alive(true);
  httplib::Headers headers = noise();
  headers.emplace("Authorization", bearer_);
  const std::string room = number % 5 == 0 ? planted_.hex("room") : planted_.text("room");
  const Json created = post(web,
                            {{"action", "create-room"},
                             {"appointmentId", number % 2 == 0 ? planted_.text("appointment")
                                                               : planted_.number("number")},
                             {"roomName", room},
                             {"comment", planted_.text("unknown-field")}},
                            headers);
  ASSERT_EQ(created.value("success", false), true) << created;
  urls_ +=
      created["link"].get<std::string>() + "\n" + created["hostLink"].get<std::string>() + "\n";
  const Json doctor = join(web, room, created["hostLink"], planted_.text("staff"));
  const Json patient = join(web, room, created["link"], planted_.text("name"));
  ASSERT_TRUE(doctor.contains("participantToken") && patient.contains("participantToken"));
  if (number % 8 == 0) relayed(doctor);
  talk(room, doctor, patient, number % 4 == 3, ends);
  if (!ends) open_rooms_.push_back(room);
  mistakes(web, room);
}

void CanaryInputs::mistakes(httplib::Client& web, const std::string& room) {
  join(web, room, "#" + planted_.text("guessed-link"), planted_.text("stranger"));
  post(web,
       {{"action", "poll"},
        {"roomId", planted_.text("unknown-room")},
        {"participantId", planted_.text("guessed-id")},
        {"token", planted_.text("guessed-token")}},
       noise());
  note(web.Post(kApi, R"({"action":"join-room","participantName":")" + planted_.text("broken-json"),
                "application/json"));
  note(web.Get("/records/" + planted_.text("path") + "?name=" + planted_.text("page-query")));
  note(web.Get("/admin/api/state", {{"Cookie", "bedside_admin=" + planted_.text("admin-cookie")},
                                    {"Authorization", "Bearer " + planted_.text("bearer")}}));
  note(web.Post(kApi, {{"Origin", "https://" + planted_.text("origin") + ".example"}}, "{}",
                "application/json"));
}

void CanaryInputs::talk(const std::string& room, const Json& doctor, const Json& patient,
                        bool declined, bool ends) {
  SocketClient host(server_.http(), kSocket, "User-Agent: " + planted_.text("agent") + "\r\n");
  host.send(attach(room, doctor));
  SocketClient guest(server_.http(), kSocket);
  guest.send(attach(room, patient));
  const std::string peer = host.until("knock").back()["peerId"];
  if (declined) {
    host.send({{"type", "decline"}, {"peerId", peer}, {"reason", planted_.text("reason")}});
    guest.until("declined");
  } else {
    host.send({{"type", "admit"}, {"peerId", peer}});
    host.until("peer-joined");
    guest.send({{"type", "offer"},
                {"targetPeerId", doctor["participantId"]},
                {"offer", {{"sdp", "v=0\r\ns=" + planted_.text("sdp")}}}});
    guest.send({{"type", "ice-candidate"},
                {"targetPeerId", doctor["participantId"]},
                {"candidate", "candidate:1 1 udp 1 " + planted_.text("candidate") + ".local 9"}});
    guest.send({{"type", "chat"}, {"text", planted_.text("chat")}});
    refusals_ += guest.until("error").back().dump() + "\n";
  }
  SocketClient stranger(server_.http(), kSocket);
  stranger.send({{"type", "join"},
                 {"roomId", room},
                 {"peerId", planted_.text("peer-id")},
                 {"peerName", planted_.text("peer-name")},
                 {"token", planted_.text("peer-token")}});
  refusals_ += stranger.next().dump() + "\n";
  SocketClient broken(server_.http(), kSocket);
  broken.send_text("{\"type\":\"join\",\"" + planted_.text("broken-frame"));
  refusals_ += broken.next().dump() + "\n";
  if (ends) {
    host.send({{"type", "end-room"}});
    host.until("room-ended");
  }
}

void CanaryInputs::strangers() {
  for (int i = 0; i < 4; ++i) {
    const std::string requests[] = {
        planted_.text("method") + " / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: " + planted_.text("host") + ".example\r\n\r\n",
        "GET /" + planted_.text("bad-line") + "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n" + planted_.text("bad-header") + "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nRange: " + planted_.text("range") + "\r\n\r\n"};
    for (const std::string& request : requests) {
      WireClient client(server_.http(), Over::tcp);
      client.send(request);
      EXPECT_TRUE(client.until([&] { return client.ended() || !client.answers().empty(); }));
      const std::string answer = client.take_received();
      headers_ += answer.substr(0, answer.find("\r\n\r\n")) + "\n";
      if (answer.find("HTTP/1.1 4") == 0) refusals_ += answer;
    }
  }
}

void CanaryInputs::relay(const std::string& user, const std::string& password,
                         const std::string& peer) const {
  bench::TurnSession session({stun::IpAddress::v4(127, 0, 0, 1), server_.turn()}, {user, password});
  try {
    session.allocate();
    session.bind_channel({*stun::IpAddress::parse(peer), 9});
    session.release();
  } catch (const std::runtime_error&) {  // the peer is refused, or who asks
  }
}

void CanaryInputs::relayed(const Json& doctor) {
  const Json& ice = doctor["iceServers"].back();
  relay(ice["username"], ice["credential"], planted_.address("peer-address"));
  relay(planted_.text("turn-user"), planted_.text("turn-password"), "127.0.0.1");
  std::array<std::uint8_t, 512> buffer{};
  stun::MessageWriter message(buffer, stun::Class::request, stun::Method::binding, {1, 2, 3});
  message.add_text(stun::Attribute::username, planted_.text("stun-user"));
  message.add_text(stun::Attribute::software, planted_.text("software"));
  const stun::Bytes bytes = message.finish();
  const bench::LoopbackSocket socket;
  socket.connect({stun::IpAddress::v4(127, 0, 0, 1), server_.turn()});
  EXPECT_EQ(::send(socket.fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
}

void CanaryInputs::end_open_rooms() {
  httplib::Client web("127.0.0.1", server_.http());
  web.set_read_timeout(30);
  for (const std::string& room : open_rooms_) {
    EXPECT_EQ(web.Delete(kApi + ("?roomId=" + room), {{"Authorization", bearer_}})->status, 200);
  }
}

}  // namespace bedside::server
