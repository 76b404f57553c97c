#pragma once

// What the audit contracts share: a server on a disk that can be full, its log, and a visit with a
// host in it and a guest who waits.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <future>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/api_tokens.h"
#include "server/routes.h"
#include "store/reader.h"
#include "tests/server/audit_contract.h"
#include "tests/server/control_rig.h"
#include "tests/store/faulty_vfs.h"

namespace bedside::server {

// Something that is asked for at a path of routes().
struct Way {
  std::string route;
  std::string what;
};
inline void PrintTo(const Way& way, std::ostream* out) { *out << way.route << ' ' << way.what; }
inline std::string name_of_way(const testing::TestParamInfo<Way>& test) {
  std::string name = test.param.what + "_at" + test.param.route;
  const auto is_odd = [](unsigned char c) { return std::isalnum(c) == 0; };
  std::replace_if(name.begin(), name.end(), is_odd, '_');
  return name;
}

// All of it at every path that leads there: a new one is driven too.
template <typename Names>
std::vector<Way> ways_to(std::initializer_list<Target> targets, const Names& whats) {
  std::vector<Way> ways;
  for (const Route& route : routes()) {
    if (route.recorded != Recorded::with_change) continue;
    if (std::count(targets.begin(), targets.end(), route.target) == 0) continue;
    for (const auto& what : whats) ways.push_back({std::string(route.path), std::string(what)});
  }
  return ways;
}

// The disk is older than the rig and outlives it.
struct ContractDisk {
  store::FaultyVfs vfs;
};

class AuditContractRig : protected ContractDisk, public ControlRig {
 protected:
  explicit AuditContractRig(ControlOptions options)
      : ControlRig(std::move(options), nullptr, false, vfs.name()) {}

  // Whatever was submitted to the store is decided.
  void settle() {
    std::promise<void> decided;
    ASSERT_TRUE(store().submit({}, [&](const store::CommitResult&) { decided.set_value(); }));
    decided.get_future().wait();
  }

  std::vector<store::AuditRow> new_rows() const {
    store::AuditQuery query;
    query.limit = store::kMaxAuditPage;
    std::vector<store::AuditRow> rows = *store::Reader::open(database())->audit(query);
    std::erase_if(rows, [this](const store::AuditRow& row) { return row.seq <= seen_; });
    std::reverse(rows.begin(), rows.end());
    return rows;
  }
  std::vector<std::string> new_records() const {
    std::vector<std::string> types;
    for (const store::AuditRow& row : new_rows()) types.push_back(row.type);
    return types;
  }
  // From now on only what is recorded later is new.
  void forget_records() {
    const auto rows = new_rows();
    if (!rows.empty()) seen_ = rows.back().seq;
  }
  std::vector<std::string> counted_types() {
    std::vector<std::string> types;
    for (const store::AuditRecord& record : counted()) types.push_back(record.type);
    return types;
  }

 private:
  std::uint64_t seen_ = 0;
};

class AuditContractVisit : public AuditContractRig {
 protected:
  // `api`: the path at which rooms are made and joined.
  explicit AuditContractVisit(std::string api = "/api/webrtc-signaling",
                              ControlOptions options = with_emergencies())
      : AuditContractRig(std::move(options)),
        api_(std::move(api)),
        token_(make_token({"rooms.create", "rooms.read", "rooms.end"})) {
    const Json room = asked(as_program({{"action", "create-room"}, {"roomName", "visit"}}));
    guest_link_ = secret_of(room["link"]);
    host_link_ = secret_of(room["hostLink"]);
    host_ = joined(host_link_);
    guest_ = joined(guest_link_);
  }

  static ControlOptions with_emergencies() {
    ControlOptions options;
    options.access = signaling::Access::invite;
    options.limits.emergencies = true;
    return options;
  }

  struct Request {
    Json body;
    std::string bearer;
  };
  static Request as_program(Json body, std::string bearer = "the token") {
    if (body["action"] == "create-room") body["appointmentId"] = 1;
    return {std::move(body), std::move(bearer)};
  }
  static Request as(const Json& who, const char* action) {
    return {{{"action", action},
             {"roomId", "visit"},
             {"participantId", who["participantId"]},
             {"token", who["participantToken"]}},
            ""};
  }
  httplib::Result send(const Request& request) const {
    httplib::Headers headers;
    if (!request.bearer.empty()) {
      const std::string& secret = request.bearer == "the token" ? token_ : request.bearer;
      headers.emplace("Authorization", "Bearer " + secret);
    }
    const std::string visit = api_ + "?roomId=visit";
    if (request.body["action"] == "get-room") return http().Get(visit, headers);
    if (request.body["action"] == "DELETE") return http().Delete(visit, headers);
    return http().Post(api_, headers, request.body.dump(), "application/json");
  }
  Json asked(const Request& request) const {
    const auto answer = send(request);
    EXPECT_EQ(answer->status, 200) << request.body << answer->body;
    return Json::parse(answer->body);
  }
  Json joined(const std::string& secret) const {
    return asked({{{"action", "join-room"},
                   {"roomId", "visit"},
                   {"participantName", "A"},
                   {"token", secret}},
                  ""});
  }
  // Of a program that may do this only.
  std::string token_with(const char* scope) { return make_token({scope}); }
  static Json join_message(const Json& who) {
    return {{"type", "join"},
            {"roomId", "visit"},
            {"peerId", who["participantId"]},
            {"token", who["participantToken"]}};
  }

  // After something was asked for while the disk was full: what is in the log once it is not.
  void expect_when_there_is_space_again(const AuditLine& line) {
    // That the disk is full waits for space too.
    const std::size_t waiting = line.when_full == WhenFull::open   ? 0
                                : line.when_full == WhenFull::late ? 2
                                                                   : 1;
    while (store().stats().deferred < waiting) std::this_thread::yield();
    vfs.set_capacity(0);
    asked(as_program({{"action", "create-room"}, {"roomName", "after"}}));
    std::vector<std::string_view> expected;
    if (line.when_full == WhenFull::late) expected = line.records;
    // The store had to refuse or keep something: it says so.
    if (line.when_full != WhenFull::open) {
      expected.insert(expected.end(), {"storage.full", "storage.recovered"});
    }
    expected.insert(expected.end(), {"room.created", "link.issued", "link.issued"});
    EXPECT_THAT(new_records(), testing::ElementsAreArray(expected));
  }

  std::string host_link_;
  std::string guest_link_;
  Json host_;
  Json guest_;

 private:
  static std::string secret_of(const std::string& link) { return link.substr(link.find('#') + 1); }
  std::string make_token(std::vector<std::string> scopes) {
    std::promise<std::string> made;
    on_control([&] {
      control().create_token(
          {"EHR", std::move(scopes), 0}, {"anna", "root"},
          [&](const auto& token) { made.set_value(token ? token->secret : std::string()); });
    });
    return made.get_future().get();
  }

  std::string api_;
  std::string token_;
};

}  // namespace bedside::server
