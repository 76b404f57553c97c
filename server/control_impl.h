#pragma once

// The inside of Control (control.h). Four subjects, four files:
//   control.cpp        connections, routes, pages
//   control_hub.cpp    the hub: its outputs, the store's verdicts, time, relay events
//   control_admin.cpp  what the admin API asks
//   control_rights.cpp who may use the API, and API tokens

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/admin_api.h"
#include "server/arrivals.h"
#include "server/assets.h"
#include "server/audit_trail.h"
#include "server/control.h"
#include "server/live_participants.h"
#include "server/net/http_message.h"
#include "server/net/mailbox.h"
#include "server/net/timer.h"
#include "server/recorder.h"
#include "server/request_context.h"
#include "server/routes.h"
#include "server/source_counts.h"
#include "server/visit_index.h"
#include "server/witness_api.h"
#include "store/store.h"

namespace bedside::server {

// Who asks, as the hub hands it on to the audit record.
void name_actor(const AdminActor& by, signaling::Caller& caller);

class Control::Impl final : private net::HttpHandler {
 public:
  Impl(net::Loop& loop, ControlOptions options, ControlSeams seams);

  void set_admin(AdminApi* admin) { admin_ = admin; }
  const AuditTrail& trail() const { return seams_.trail; }
  void set_witness(WitnessApi* witness) { witness_ = witness; }
  void restore(const store::LoadedState& state);
  bool adopt(net::DetachedConnection connection, std::string listener);
  void on_relay_event(const turn::Event& event);
  void drain(std::chrono::milliseconds patience, std::function<void()> done);
  std::vector<store::Commit> take_unrecorded();
  ControlStats stats() const;
  std::vector<AdminRoom> rooms() const;
  const std::vector<store::ApiTokenRow>& tokens() const { return tokens_.all(); }
  void create_token(const ApiTokenWish& wish, const LocalUser& by, TokenMade done);
  void revoke_token(const std::string& token_id, const LocalUser& by, Ended done);
  void record(const AdminAction& action, const LocalUser& by, Recorded done);
  RelayFigures relay() const {
    return seams_.relay_figures ? seams_.relay_figures() : RelayFigures{};
  }
  void create_room(const RoomWish& wish, const AdminActor& by, const RequestContext& context,
                   Created done);
  void end_room(const std::string& room, const AdminActor& by, const RequestContext& context,
                Ended done);

 private:
  using ConnectionId = net::HttpConnection::Id;
  // `receipt`: of the record of what the request changed, as text; mostly empty.
  using OnAnswer = std::function<void(const signaling::Answer&, const std::string& receipt)>;

  struct Asked {
    OnAnswer answered;
    std::uint64_t caller_request = 0;
  };
  struct Arrival {
    net::DetachedConnection connection;
    std::string listener;
  };
  struct Guest {
    std::unique_ptr<net::HttpConnection> connection;
    std::string listener;
    std::uint64_t request = 0;  // the one that is owed an answer
    bool socket = false;        // known to the hub under its connection's id
    // While it is idle: no answer is owed to it and no participant is behind it. (A socket that has
    // left its room is not, for the seconds until the hub closes it or it joins again.)
    std::optional<Arrivals<Guest>::Place> idle{};
  };

  // ---- control.cpp
  void welcome(Arrival arrival);
  bool make_room(const stun::IpAddress& client);  // false: there is none
  void dismiss(Guest& guest);
  void forget(ConnectionId id);
  // It has moved: the longest idle one goes first. What moves a guest is a whole request and our
  // answer; dripped bytes do not.
  void set_idle(Guest& guest);
  void set_busy(Guest& guest);
  void on_request(net::HttpConnection& connection, net::HttpRequest request) override;
  void on_socket_message(net::HttpConnection& connection, std::string_view text) override;
  void on_socket_burst_end(net::HttpConnection& connection) override;
  void on_closed(net::HttpConnection& connection, std::uint16_t code) override;
  void on_refused(net::HttpConnection& connection, const net::HttpRequest* head,
                  net::HttpResponse& answer) override;
  void on_upgraded(net::HttpConnection& connection, net::HttpResponse& answer) override;
  RequestContext context_of(const Guest& guest, const net::HttpRequest& request);
  Respond respond_to(ConnectionId id, const RequestContext& context);
  void dispatch(Guest& guest, const net::HttpRequest& request, const RequestContext& context,
                const Respond& respond);
  void signaling(const net::HttpRequest& request, const RequestContext& context,
                 const Respond& respond);
  void open_socket(Guest& guest, const net::HttpRequest& request, const RequestContext& context,
                   const Respond& respond);
  void page(std::string_view path, const net::HttpRequest& request, const Respond& respond);
  bool admin_is_visible(const RequestContext& context) const;
  void finish_drain_when_empty();

  // ---- control_rights.cpp
  // Puts who asks into `caller`, or gives the refusal.
  tl::expected<void, net::HttpResponse> check_rights(const signaling::Action& action,
                                                     const net::HttpRequest& request,
                                                     const RequestContext& context,
                                                     signaling::Caller& caller);
  // Of one more request at the server's own socket.
  AuditSource source_of(const LocalUser& user);
  // False: this network creates or joins rooms too often.
  bool may_enter(const signaling::Action& action, const net::HttpRequest& request,
                 const RequestContext& context, const signaling::Caller& caller);

  // ---- control_hub.cpp
  signaling::Now now() const;
  // What comes from the local socket has no number of its own.
  std::uint64_t number_of(const RequestContext& context) {
    return context.request_id != 0 ? context.request_id : ++next_request_;
  }
  void ask_hub(signaling::Action action, const signaling::Caller& caller, std::uint64_t request,
               OnAnswer on_answer);
  // Carries out what the hub wants until it wants nothing more.
  void pump();
  void perform(signaling::CommitNeeded& needed);
  void perform(signaling::Answer& answer);
  void perform(signaling::SocketReady& ready);
  void perform(signaling::CloseSocket& close);
  void perform(signaling::ParticipantLive& live);
  void perform(signaling::ParticipantGone& gone);
  void perform(signaling::Misuse& misuse);
  void perform(signaling::Noted& noted);
  void record(store::Commit commit);
  void keep_for_later(store::Commit commit);
  void retry_revocations();
  void watch_store();
  void count(Abuse kind, const std::optional<stun::IpAddress>& address);
  void on_hub_time();
  void on_second();

  net::Loop& loop_;
  const ControlOptions options_;
  const ControlSeams seams_;
  AdminApi* admin_ = nullptr;
  WitnessApi* witness_ = nullptr;

  signaling::Hub hub_;
  Recorder recorder_;
  ApiTokens tokens_;
  VisitIndex visits_;
  bool pumping_ = false;
  std::size_t undecided_commits_ = 0;
  std::unordered_map<signaling::RequestId, Asked> answers_;
  // While the hub carries out a commit: what its request gets with its answer.
  struct Fresh {
    std::uint64_t caller_request = 0;
    std::string text;
  } receipt_;
  std::deque<std::string> to_revoke_;     // a relay thread was too busy to be told
  std::deque<store::Commit> unrecorded_;  // what has happened but could not be submitted
  bool relays_accept_ = true;
  bool store_writable_ = true;
  // While a host's emergency lasts, relays serve those who are admitted although the disk is full.
  std::chrono::milliseconds emergency_until_{std::chrono::milliseconds::min()};
  std::uint64_t next_request_ = 0;

  ConnectionId next_connection_ = 0;
  std::unordered_map<ConnectionId, Guest> guests_;
  SourceCounts sources_;  // of guests_
  Arrivals<Guest> idle_;  // of guests_, the longest idle first
  EntryLimiter entries_;
  net::Timer hub_timer_;
  net::Timer second_timer_;
  net::Timer revoke_timer_;
  net::Timer drain_timer_;
  std::function<void()> on_drained_;
  bool draining_ = false;
  net::Mailbox<Arrival> arrivals_;

  std::atomic<std::uint64_t> connections_{0};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> rate_limited_{0};
  std::atomic<std::uint64_t> sockets_{0};
  std::atomic<std::uint64_t> active_rooms_{0};
  std::atomic<std::uint64_t> participants_{0};
  std::atomic<std::uint64_t> messages_{0};
  std::atomic<std::uint64_t> forwarded_{0};
  std::atomic<std::uint64_t> lost_records_{0};
  std::atomic<std::uint64_t> made_room_{0};
  std::atomic<std::uint64_t> turned_away_{0};
};

}  // namespace bedside::server
