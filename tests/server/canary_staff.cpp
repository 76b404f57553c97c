// What staff type into the admin page and on the command line, and what other practices' servers
// send to this one as their witness.
#include <algorithm>
#include <cctype>

#include "store/signed_note.h"
#include "tests/server/canary_inputs.h"

namespace bedside::server {
namespace {

using Json = nlohmann::json;

constexpr int kTimes = 2;    // each input is used that often
constexpr int kRefused = 0;  // 401, or 429 when it was too often
constexpr const char* kWitnessPath = "/witness/add-checkpoint";

// The names of accounts are no canaries. They say who acted, in clear, in every record of it: that
// is what the log is for. What is refused as a name of one must be nowhere all the same.
constexpr const char* kAnna = "anna";

// Free text, as no id has it.
std::string free_text(const std::string& canary) { return "Frau " + canary; }

// Anybody may add a line to a note.
std::string also_signed_by(const std::string& name) {
  return "— " + name + " " + store::base64(std::vector<std::uint8_t>(68, 7)) + "\n";
}

std::string text_of(const httplib::Result& answer, const char* key) {
  const Json body = answer ? Json::parse(answer->body, nullptr, false) : Json();
  return body.is_object() ? body.value(key, "") : "";
}

}  // namespace

httplib::Result CanaryInputs::send(const std::string& name, const Json& body, int status) {
  auto answer = page_.Post("/admin/api/" + name, page_headers_, body.dump(), "application/json");
  note(answer);
  if (!answer) return answer;
  EXPECT_TRUE(status == kRefused ? answer->status >= 400 : answer->status == status)
      << answer->status << " " << name << " " << body << "\n"
      << answer->body;
  if (answer->status < 400) pages_ += answer->body + "\n";
  return answer;
}

Json CanaryInputs::get(const std::string& name) {
  return note(page_.Get("/admin/api/" + name, page_headers_));
}

void CanaryInputs::log_in() {
  page_.set_read_timeout(30);
  page_headers_ = {{"X-Bedside-Admin", "1"},
                   {"Origin", "http://127.0.0.1:" + std::to_string(server_.http())}};
  ASSERT_TRUE(server_.process().wait_for_output("#code="));
  ASSERT_TRUE(server_.process().wait_for_output("(the link makes"));
  const std::string& said = server_.process().output();
  const std::size_t code = said.find("#code=") + 6;
  const auto account =
      send("setup", {{"code", said.substr(code, said.find_first_of(" \n", code) - code)},
                     {"name", kAnna},
                     {"password", "correct horse battery"}});
  ASSERT_EQ(account->status, 200) << account->body;
  const std::string cookie = account->get_header_value("Set-Cookie");
  page_headers_.emplace("Cookie", cookie.substr(0, cookie.find(';')));
}

void CanaryInputs::staff() {
  log_in();
  ASSERT_FALSE(HasFatalFailure());
  for (int i = 0; i < kTimes; ++i) {
    filters();
    rooms_of_staff(i);
    people();
    holds();
  }
  send("people/invite", {{"name", "bert"}});
}

void CanaryInputs::filters() {
  get("audit?type=" + planted_.text("type-filter"));
  std::string typed = planted_.text("small-filter");
  std::transform(typed.begin(), typed.end(), typed.begin(),
                 [](char c) { return c == '-' ? '.' : static_cast<char>(std::tolower(c)); });
  get("audit?type=" + typed);
  get("audit?room=" + planted_.text("room-filter"));
  get("audit?room=" + planted_.hex("hex-room-filter"));
  get("audit?outcome=" + planted_.text("outcome-filter"));
  send("audit/export?person=" + planted_.text("person-filter"), Json::object(), 409);
}

void CanaryInputs::rooms_of_staff(int round) {
  const auto make = [&](const Json& body, int status = 200) {
    const auto answer = send("rooms/create", body, status);
    urls_ += text_of(answer, "link") + "\n" + text_of(answer, "hostLink") + "\n";
  };
  const std::string room = planted_.text("room");
  const Json appointment = round % 2 == 0 ? Json(planted_.text("appointment"))
                                          : Json(std::stoll(planted_.number("number")));
  make({{"appointmentId", appointment},
        {"roomName", room},
        {"patient", planted_.text("unknown-field")}});
  open_rooms_.push_back(room);
  // Without a name the room is named after the appointment, as the pages of the product expect.
  const std::string named_after = planted_.text("named-after");
  make({{"appointmentId", named_after}});
  open_rooms_.push_back("appointment-" + named_after);
  make({{"appointmentId", "1"}, {"roomName", free_text(planted_.text("refused-room"))}}, 400);
  make({{"appointmentId", {{"patient", planted_.text("refused-appointment")}}}}, 400);
  make({{"patient", planted_.text("no-appointment")}}, 400);
  send("rooms/end", {{"roomId", planted_.text("room-to-end")}}, 404);
  send("rooms/end", {{"roomId", free_text(planted_.text("room-to-end"))}}, 404);
}

void CanaryInputs::people() {
  send("people/invite", {{"name", free_text(planted_.text("refused-invitee"))}}, 400);
  send("people/invite", {{"name", planted_.text("long-invitee") + std::string(64, 'x')}}, 400);
  send("people/invite", {{"person", planted_.text("no-invitee")}}, 400);
  send("people/disable", {{"name", planted_.text("nobody")}}, 409);
  send("people/disable", {{"name", free_text(planted_.text("refused-nobody"))}}, 400);
}

// A reference is kept sealed. A room is kept as its pseudonym, a person only as an id that records
// have already; nothing else is kept, whatever it is.
void CanaryInputs::holds() {
  const std::string room = open_rooms_.at(0);
  const auto hold = [&](Json body, int status) {
    if (!body.contains("reason")) body["reason"] = "complaint";
    return text_of(send("retention/hold", body, status), "id");
  };
  const std::string id = hold({{"room", room}, {"reference", planted_.text("reference")}}, 200);
  hold({{"person", kAnna}, {"comment", planted_.text("unknown-field")}}, 200);
  hold({{"room", planted_.text("held-room")}}, 400);
  hold({{"room", planted_.hex("held-hex-room")}}, 400);
  hold({{"room", free_text(planted_.text("held-room"))}}, 400);
  hold({{"person", planted_.text("held-id")}}, 400);
  hold({{"person", free_text(planted_.text("held-name"))}}, 400);
  hold({{"person", kAnna}, {"from", planted_.text("held-time")}}, 400);
  hold({{"person", kAnna}, {"reason", planted_.text("held-reason")}}, 400);
  hold({{"room", room}, {"reference", free_text(planted_.text("refused-reference"))}}, 400);
  hold({{"room", planted_.text("held-room")}, {"reference", planted_.text("unused-reference")}},
       400);
  const auto clear = [&](const std::string& which, const std::string& reason,
                         const std::string& reference, int status) {
    send("retention/clear", {{"id", which}, {"reason", reason}, {"reference", reference}}, status);
  };
  clear(id, planted_.text("clearing-reason"), "", 400);
  clear(id, "other", free_text(planted_.text("refused-reference")), 400);
  clear(planted_.text("hold-id"), "other", planted_.text("unused-reference"), 409);
  clear(id, "closed", planted_.text("reference"), 200);
  send("retention/approve", {{"through", planted_.text("through")}}, 400);
}

void CanaryInputs::typed(const std::vector<std::string>& words, int exit_code,
                         std::string& output) {
  const Ended ended = command(words);
  EXPECT_EQ(ended.exit_code, exit_code) << words.at(0) << " " << words.at(1) << ended.errors;
  output += ended.output;
  said_ += ended.errors;
}

void CanaryInputs::command_line() {
  for (int i = 0; i < kTimes; ++i) {
    token_commands();
    room_commands();
    hold_commands();
    for (const std::string& name : {free_text(planted_.text("refused-invitee")),
                                    planted_.text("long-invitee") + std::string(64, 'x')}) {
      typed({"admin", "add", name}, 1, said_);
    }
    typed({"admin", "disable", planted_.text("nobody")}, 1, said_);
    typed({"admin", "disable", free_text(planted_.text("refused-nobody"))}, 1, said_);
    subject();
  }
  typed({"admin", "list"}, 0, said_);
}

// A token's name is what its operator calls the program: it is kept while the token is, for the
// list of tokens. Records have the id.
void CanaryInputs::token_commands() {
  const auto create = [this](const std::string& name, const std::string& scope, int exit_code) {
    typed({"token", "create", "--name", name, "--scope", scope}, exit_code, said_);
  };
  create(free_text(planted_.text("label")), "rooms.read", 0);
  const std::string told = "revoke`, is ";
  const std::size_t id = said_.rfind(told) + told.size();
  typed({"token", "list"}, 0, listed_);
  typed({"token", "revoke", said_.substr(id, said_.find('\n', id) - id)}, 0, said_);
  create(planted_.text("refused-label") + std::string(64, 'x'), "rooms.read", 1);
  create(planted_.text("refused-label"), planted_.text("scope"), 1);
  typed({"token", "revoke", planted_.text("token-id")}, 1, said_);
}

void CanaryInputs::room_commands() {
  const std::string room = planted_.text("room");
  typed({"room", "create", planted_.text("appointment"), "--name", room}, 0, urls_);
  open_rooms_.push_back(room);
  const std::string named_after = planted_.text("named-after");
  typed({"room", "create", named_after}, 0, urls_);
  open_rooms_.push_back("appointment-" + named_after);
  typed({"room", "create", planted_.text("refused-appointment"), "--name",
         free_text(planted_.text("refused-room"))},
        1, said_);
  typed({"room", "create", free_text(planted_.text("refused-appointment"))}, 1, said_);
  typed({"room", "end", planted_.text("room-to-end")}, 1, said_);
  typed({"room", "list"}, 0, listed_);
}

void CanaryInputs::hold_commands() {
  const std::string room = open_rooms_.at(0);
  const auto set = [this](const std::vector<std::string>& what, int exit_code,
                          const std::string& reason = "litigation") {
    std::vector<std::string> words{"audit", "hold", "set", "--reason", reason};
    words.insert(words.end(), what.begin(), what.end());
    std::string output;
    typed(words, exit_code, output);
    said_ += output;
    return output.substr(0, output.find('\n'));
  };
  const std::string id = set({"--room", room, "--reference", planted_.text("reference")}, 0);
  set({"--room", planted_.text("held-room")}, 1);
  set({"--person", planted_.text("held-id")}, 1);
  set({"--person", free_text(planted_.text("held-name"))}, 1);
  set({"--room", room}, 1, planted_.text("held-reason"));
  set({"--room", room, "--reference", free_text(planted_.text("refused-reference"))}, 1);
  typed({"audit", "hold", "list"}, 0, said_);
  const auto clear = [this](const std::string& which, const std::string& reference, int exit_code) {
    typed({"audit", "hold", "clear", which, "--reason", "mistake", "--reference", reference},
          exit_code, said_);
  };
  clear(planted_.text("hold-id"), planted_.text("unused-reference"), 1);
  clear(id, free_text(planted_.text("refused-reference")), 1);
  clear(id, planted_.text("reference"), 0);
  typed({"audit", "export", "--out", path("nobody.tar"), "--person", planted_.text("person-filter"),
         "--room", planted_.text("room-filter")},
        1, said_);
}

// Whom a credential is for is part of its user name: it is shown to who asked, and the relay hears
// it from the client.
void CanaryInputs::subject() {
  std::string output;
  const std::string whom = planted_.text("subject");
  typed({"turn-credential", "--subject", whom}, 0, output);
  EXPECT_NE(output.find(whom), std::string::npos) << output;
  const Json made = Json::parse(output, nullptr, false);
  ASSERT_TRUE(made.contains("iceServers")) << output;
  const Json& ice = made["iceServers"].at(0);
  urls_ += ice["urls"].dump() + "\n";
  relay(ice["username"], ice["credential"], planted_.address("peer-address"));
  relay(ice["username"], planted_.text("turn-password"), "127.0.0.1");
  typed({"turn-credential", "--subject", free_text(planted_.text("refused-subject"))}, 1, said_);
}

// The notes that a witness is sent are another server's, but anybody can send them, and write
// below them what they like.
void CanaryInputs::other_practices() {
  httplib::Client web("127.0.0.1", server_.http());
  const auto ask = [&](const std::string& body, int status) {
    const std::string query = "?practice=" + planted_.text("query");
    const auto answer = web.Post(kWitnessPath + query, noise(), body, "text/plain");
    note(answer);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, status) << body << answer->body;
    pages_ += answer->body;
  };
  std::string kept;
  for (int i = 0; i < kTimes; ++i) {
    const std::uint64_t before = other_log_.size();
    other_log_.grow(3);
    const std::string request = other_log_.request(before);
    kept = request.substr(request.find("\n\n") + 2);
    ask(request + also_signed_by(planted_.text("signer")), 200);
    store::GrowingLog liar(kOtherLog);
    liar.grow(other_log_.size() + 2, "other");
    ask(liar.request(other_log_.size()) + also_signed_by(planted_.text("signer")), 422);
    store::GrowingLog forged(kOtherLog, 9);
    forged.grow(1);
    ask(forged.request(0) + also_signed_by(planted_.text("signer")), 403);
    store::GrowingLog unknown(planted_.text("unknown-log"));
    unknown.grow(1);
    ask(unknown.request(0), 404);
    ask("old " + planted_.text("checkpoint") + "\n\n", 400);
    ask(planted_.text("checkpoint"), 400);
  }
  typed({"witness", "list"}, 0, said_);
  EXPECT_NE(said_.find(kept), std::string::npos) << "an auditor needs it as it was signed";
}

void CanaryInputs::read_pages() {
  for (const std::string& room : open_rooms_) get("audit?room=" + room);
  for (std::string before; before != "null";) {
    const Json page = get("audit?limit=400" + before);
    ASSERT_TRUE(page.contains("rows")) << page.dump().substr(0, 200);
    shown_ += page.dump();
    before = page["next"].is_null() ? "null" : "&before=" + page["next"].dump();
  }
  shown_ += get("audit/checkpoint").dump() + get("people").dump() + get("retention").dump();
  shown_ += get("relay").dump();
  pages_ += get("rooms").dump();
  for (int i = 0; i < kTimes; ++i) {
    send("login", {{"name", planted_.text("login")}, {"password", planted_.text("password")}},
         kRefused);
    send("setup",
         {{"code", planted_.text("set-up-code")},
          {"name", planted_.text("first-account")},
          {"password", planted_.text("first-password")}},
         kRefused);
  }
}

}  // namespace bedside::server
