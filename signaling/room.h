// One room as a state machine: its participants, their outboxes, and the order in which things
// happen.
//
// Whatever has to be recorded first is announced as `CommitNeeded` and applied in `committed`; one
// commit is in flight per room, later commands wait in order (kMaxWaitingCommands). Messages
// between people who are in the room pass a commit in flight that is about somebody else: a slow
// disk does not stop an ICE restart.
//
// The hub owns the rooms, routes inputs to them and is the only caller; everything happens on its
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "signaling/change.h"
#include "signaling/issuer.h"
#include "signaling/limits.h"
#include "signaling/message.h"
#include "signaling/now.h"
#include "signaling/outbox.h"
#include "signaling/output.h"
#include "signaling/rate.h"

namespace bedside::signaling {

// Who may do what without a token (protocol.md 2.1).
enum class Access : std::uint8_t { open, invite };

// What all rooms of a hub share.
struct RoomServices {
  const Limits& limits;
  Access access;
  Issuer& issuer;
  OutputQueue& outputs;
};

enum class Presence : std::uint8_t {
  leased,      // joined over HTTP, not attached yet; counts until the lease is over
  here,        // attached, with a socket or a parked poll
  away,        // attached, without a transport; counts until the grace time is over
  remembered,  // does not count; may attach while there is room
};

struct ParkedPoll {
  RequestId request = 0;
  std::chrono::milliseconds deadline{0};
};

struct Participant {
  std::string id;
  std::string name;
  Role role = Role::guest;
  TokenHash token_hash{};
  Presence presence = Presence::leased;
  // End of the lease, grace or return window (mono); unused while here.
  std::chrono::milliseconds deadline{0};
  bool resumable = false;  // showed a token or polls: it comes back with `after`
  // Ids are in every roster: who has proven more than that is not to be had for the id alone.
  bool token_shown = false;
  bool admitted = true;  // false: in the waiting room, out of sight of everybody but the hosts
  bool live = false;     // as was told with ParticipantLive and ParticipantGone
  std::uint64_t attach_order = 0;
  std::chrono::milliseconds attached_mono{0};
  std::chrono::milliseconds attached_wall{0};
  Outbox outbox;
  std::uint64_t arrival = 0;  // number of its `existing-peers`; 0: of the process before
  SocketId socket = 0;        // 0: none
  SocketId joining = 0;       // the last one that wanted to be it, and may become it
  std::optional<ParkedPoll> poll;
  Rate rate;
  std::uint64_t client_seq = 0;
  std::optional<MediaState> media;
  MediaState noted;  // of it, what is recorded
  Rate facts{kMediaFactsPerSecond, kMediaFactsBurst};
  std::optional<std::chrono::milliseconds> ice_renew;  // mono
  Rate renewals{kRenewalsPerSecond, kRenewalBurst};
  Rate comings{kComingsPerSecond, kComingBurst};

  // Has a session with us, in the visit or in the waiting room.
  bool attached() const { return presence == Presence::here || presence == Presence::away; }
  // In the visit: the others see it.
  bool present() const { return attached() && admitted; }
  bool counts() const { return presence != Presence::remembered && admitted; }
  bool waits() const { return presence != Presence::remembered && !admitted; }
};

// Somebody whom a host sent away, or who was there when the room ended: may still be told so, to
// whom it proves itself by its token.
struct FormerParticipant {
  std::string id;
  TokenHash token_hash{};
  std::string farewell;  // a message without seq
  std::uint64_t seq = 0;
  std::uint16_t close_code = 0;
};

// What a socket sent, understood or not, or that it closed.
struct SocketSaid {
  tl::expected<ClientMessage, Problem> message;
};
struct SocketGone {};
// Deadlines have passed.
struct TimeUp {};

struct Command {
  std::variant<CreateRoom, JoinRoom, EndRoom, GetRoom, Poll, Signal, LeaveRoom, RenewIce,
               SocketSaid, SocketGone, TimeUp>
      what;
  RequestId request = 0;    // of an HTTP action
  SocketId socket = 0;      // of SocketSaid and SocketGone
  std::string participant;  // who speaks; empty when nobody does
  Caller caller;
  // Whose relay was stopped when this had to wait: a leave or a removal takes effect at once.
  std::string stopped{};
};

class Room {
 public:
  Room(std::string id, const RoomServices& services);
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  void restore(RoomRecord record, const Now& now);

  // False: its speaker says too much, and was told so. Submitted commands are asked by themselves.
  bool within_rate(const Command& command, const Now& now);

  // Runs the command now or when the commits before it are through.
  void submit(Command command, const Now& now);

  // The commit in flight is durable (ok) or was refused.
  void committed(bool ok, const Now& now);

  // Nobody waits for this answer any more.
  void request_gone(RequestId request, const Now& now);

  // Answers the parked polls.
  void release_polls(const Now& now);

  // Next messages for a socket that is attached here.
  std::vector<std::string> take(SocketId socket, std::size_t max_bytes);

  void expire(const Now& now);
  std::optional<std::chrono::milliseconds> next_deadline(const Now& now) const;

  // Nothing to know about it and nothing waits: the hub may drop it.
  bool disposable() const { return !exists_ && !in_flight_ && waiting_.empty(); }

  const std::string& id() const { return id_; }
  bool exists() const { return exists_; }
  bool active() const { return exists_ && !ended_; }
  const std::string& appointment() const { return appointment_; }
  std::chrono::milliseconds created_wall() const { return created_wall_; }
  std::size_t count() const;
  const std::vector<std::unique_ptr<Participant>>& participants() const { return participants_; }

 private:
  // What happens when the commit in flight is decided; told whether it is durable.
  using Decided = std::function<void(bool ok, const Now& now)>;
  struct InFlight {
    std::string participant;  // whom it is about; empty: everybody
    Decided decided;
  };

  // room.cpp: order and commits
  bool socket_within_rate(Participant& participant, const Command& command, const SocketSaid& said,
                          const Now& now);
  void run(const Command& command, const Now& now);
  bool may_pass(const Command& command) const;
  Participant* leaves_now(const Command& command) const;
  void refuse_busy(const Command& command);
  // JSON text of the `requestId` of what a socket said, for the error that answers it.
  static std::string request_id(const Command& command);
  void commit(std::vector<Change> changes, bool keep, const Caller& caller, std::string participant,
              Decided decided);
  void drain(const Now& now);
  void flush(const Now& now);
  Participant* find(std::string_view id) const;
  Participant* by_socket(SocketId socket) const;
  std::vector<RosterEntry> others(const Participant& self) const;
  void broadcast(std::string_view object, const Participant* except);
  // Whether the relay serves this participant; telling it twice is harmless.
  void publish_live(Participant& participant);
  void publish_gone(Participant& participant);
  void answer(RequestId request, int status, std::string body);
  void refuse(RequestId request, int status, std::string_view error);
  void unavailable(RequestId request, bool may_declare_emergency = false);
  void close_socket(SocketId socket, std::uint16_t code, std::string_view reason,
                    std::vector<std::string> farewell);

  // room_actions.cpp: the HTTP actions that change or show the room
  void on(const Command& command, const CreateRoom& create, const Now& now);
  void on(const Command& command, const JoinRoom& join, const Now& now);
  void create_with_links(const Command& command, const CreateRoom& create, const Now& now);
  void on(const Command& command, const EndRoom& end, const Now& now);
  void on(const Command& command, const GetRoom& get, const Now& now);
  void on(const Command& command, const LeaveRoom& leave, const Now& now);
  void on(const Command& command, const RenewIce& renew, const Now& now);
  void apply_join(const ParticipantJoined& joined, const IceGrant* ice, const Now& now);
  // Refuses the join, or says with which role and whether it waits.
  struct Entry {
    Role role = Role::guest;
    std::optional<TokenHash> link;  // in invite mode
  };
  std::optional<Entry> may_join(const Command& command, const JoinRoom& join, const Now& now);
  const LinkRecord* link_of(std::string_view secret, const Now& now) const;
  // Refuses an emergency that this one may not declare.
  bool may_declare(const Command& command, Role role);
  void keep_alive(std::vector<Change>& changes, const Now& now) const;
  void note_kept(const std::vector<Change>& changes);
  void end_room(const Command& command, EndReason reason, Decided decided, const Now& now);
  void apply_end(EndReason reason);
  bool waiting_room() const;
  // The participant of an action of section 2.4, or nullptr after the refusal was sent.
  Participant* speaker(const Command& command, const Speaker& speaker, bool token_required);
  bool token_fits(const Participant& participant, std::string_view token, bool required) const;

  // room_session.cpp: who is in the room, by which transport, and what is said
  void on(const Command& command, const Poll& poll, const Now& now);
  void on(const Command& command, const Signal& signal, const Now& now);
  void on(const Command& command, const SocketSaid& said, const Now& now);
  void on(const Command& command, const SocketGone& gone, const Now& now);
  // Of what is a record each time. False: it was too often; whoever asked over HTTP was told.
  bool may_repeat(Rate& rate, const Command& command, const Now& now);
  void socket_join(const Command& command, const Join& join, const Now& now);
  bool overtaken(const Participant& participant, std::uint64_t after) const;
  void refuse_join(const Command& command, std::uint16_t close_code, Problem problem);
  bool has_place_for(const Participant& participant) const;
  void enter(Participant& participant, Transport transport, const Command& command,
             std::string name, Decided decided, const Now& now);
  void apply_enter(Participant& participant, std::string_view name, const Now& now);
  void catch_up(Participant& participant, std::uint64_t after);
  void welcome(Participant& newcomer);
  void resync(Participant& participant);
  // What a newcomer has to know beside the roster.
  void push_facts(Participant& newcomer);
  void drop_transports(Participant& participant, std::string_view reason);
  void serve_poll(Participant& participant, RequestId request, std::chrono::milliseconds wait,
                  const Now& now);
  void answer_poll(Participant& participant, RequestId request, const Now& now);
  void leave(Participant& participant, const Command& command, const Now& now);
  std::optional<Problem> hear(Participant& participant, const ClientMessage& message,
                              const Caller& caller, const Now& now);
  void note_media(Participant& participant, const Caller& caller, const Now& now);

  // room_host.cpp: what hosts do, and the waiting room
  void act_as_host(Participant& host, const Command& command, const ClientMessage& message,
                   const Now& now);
  void admit(const Command& command, const ClientMessage& message, const Now& now);
  void decline(const Command& command, const ClientMessage& message);
  void kick(const Command& command, const ClientMessage& message, const Now& now);
  void lock(const Command& command, const ClientMessage& message, const Now& now);
  void declare_emergency(const Command& command, const ClientMessage& message, const Now& now);
  void done_by_host(const Command& command, const ClientMessage& message,
                    const std::optional<Problem>& problem);
  void apply_admit(Participant& guest, const IceGrant& ice, const Now& now);
  void send_away(Participant& participant, std::string farewell, std::uint16_t close_code,
                 std::string_view reason);
  void note_former(const Participant& participant, std::string farewell, std::uint16_t close_code);
  const FormerParticipant* former(std::string_view id, std::string_view token) const;
  void tell_hosts(std::string_view object);
  void announce_departure(const Participant& participant);
  std::size_t waiting_count() const;
  // The participant a host removes with this command, if it may.
  Participant* kicked_now(const Command& command) const;
  // What stopped somebody's relay came to nothing: the host had left before its turn came.
  void relay_again(const std::string& participant);

  // room_time.cpp: what the passing of time changes
  void on(const Command& command, const TimeUp& time, const Now& now);
  bool depart_overdue(const Command& command, const Now& now);
  bool end_unused(const Command& command, const Now& now);
  void renew_ice(const Command& command, const Now& now);
  bool wants_ice(const Participant& participant) const;
  bool in_emergency(const Now& now) const { return now.mono < emergency_until_; }
  void set_away(Participant& participant, const Now& now);
  void remember(Participant& participant, const Now& now);
  void note_ice(Participant& participant, const IceGrant& ice, const Now& now);
  std::chrono::seconds attended(const Participant& participant, const Now& now) const;

  std::string id_;
  RoomServices services_;
  bool exists_ = false;
  bool ended_ = false;
  std::string appointment_;
  std::chrono::milliseconds created_wall_{0};
  std::chrono::milliseconds forget_wall_{0};
  std::chrono::milliseconds expires_wall_{0};  // while active
  bool locked_ = false;
  Rate locks_{kLocksPerSecond, kLockBurst};
  Rate host_joins_{kJoinsPerSecond, kJoinBurst};
  Rate guest_joins_{kJoinsPerSecond, kJoinBurst};
  std::chrono::milliseconds emergency_until_{std::chrono::milliseconds::min()};  // mono
  bool emergency_ = false;                                  // what is committed now is of one
  std::vector<LinkRecord> links_;                           // oldest first
  std::list<FormerParticipant> former_;                     // oldest first
  std::vector<std::unique_ptr<Participant>> participants_;  // in order of joining
  std::uint64_t next_attach_ = 1;
  std::optional<InFlight> in_flight_;
  std::list<Command> waiting_;
  std::chrono::milliseconds ice_rests_until_{0};  // after a refused renewal
};

}  // namespace bedside::signaling
