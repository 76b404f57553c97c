// Hosts admit, decline, remove, lock and end at random, several at once, while people come, lose
// their connections, come back with or without `after`, the disk refuses and the process dies. A
// naive model, which knows nothing but what was recorded, says who waits, is in, or is out.
//
//   BEDSIDE_SIM_FROM=1 BEDSIDE_SIM_SEEDS=2000 signaling_test --gtest_filter='HostActions.*'
#include "tests/signaling/hub_under_test.h"
#include "tests/support/seed_range.h"
#include "tests/support/seeded_random.h"

namespace bedside::signaling {
namespace {

constexpr const char* kRoom = "visit";
constexpr int kSteps = 400;

// What was recorded, and that it makes sense.
struct Model {
  std::optional<RoomRecord> room;
  std::set<std::string> let_in;  // hosts, and whom they admitted
  std::set<std::string> out;     // removed or declined: their secrets are void
  int admitted = 0, declined = 0, kicked = 0, locks = 0;

  ParticipantRecord* find(const std::string& id) {
    for (ParticipantRecord& person : room->participants) {
      if (person.id == id) return &person;
    }
    return nullptr;
  }
  // Everybody else must be somebody.
  ParticipantRecord& known(const std::string& id) {
    static ParticipantRecord nobody;
    ParticipantRecord* person = find(id);
    EXPECT_NE(person, nullptr) << id << " is recorded, but not in the room";
    return person != nullptr ? *person : nobody;
  }
  void drop(const std::string& id) {
    known(id);
    std::erase_if(room->participants, [&](const auto& person) { return person.id == id; });
  }

  void on(const RoomCreated& made) {
    room.emplace();
    room->id = made.room;
    room->appointment = made.appointment;
    room->created_wall = made.created_wall;
    room->expires_wall = made.expires_wall;
  }
  void on(const RoomKept& kept) { room->expires_wall = kept.expires_wall; }
  void on(const RoomLocked& change) {
    EXPECT_NE(room->locked, change.locked) << "nothing to record";
    room->locked = change.locked;
    ++locks;
  }
  void on(const LinkIssued& link) {
    room->links.push_back({link.role, link.secret_hash, link.expires_wall});
  }
  void on(const LinkDropped& link) {
    EXPECT_EQ(std::erase_if(room->links,
                            [&](const auto& l) { return l.secret_hash == link.secret_hash; }),
              1U);
  }
  void on(const RoomEnded& end) {
    EXPECT_FALSE(room->forget_wall) << "ended twice";
    room->forget_wall = end.forget_wall;
  }
  void on(const RoomForgotten&) { room.reset(); }
  void on(const ParticipantJoined& joined) {
    EXPECT_FALSE(room->forget_wall);
    EXPECT_EQ(find(joined.participant), nullptr);
    EXPECT_EQ(joined.admitted, joined.role == Role::host) << "guests wait";
    EXPECT_FALSE(room->locked && joined.role == Role::guest) << "a locked room";
    ParticipantRecord person;
    person.id = joined.participant;
    person.name = joined.name;
    person.role = joined.role;
    person.token_hash = joined.token_hash;
    person.lease_wall = joined.lease_wall;
    person.admitted = joined.admitted;
    if (person.admitted) let_in.insert(person.id);
    room->participants.push_back(std::move(person));
  }
  void on(const ParticipantAttached& attached) {
    ParticipantRecord& person = known(attached.participant);
    EXPECT_EQ(attached.waiting, !person.admitted) << person.id;
    person.attached_wall = attached.attached_wall;
  }
  void on(const ParticipantAdmitted& change) {
    ParticipantRecord& person = known(change.participant);
    EXPECT_FALSE(person.admitted) << person.id << " admitted twice";
    person.admitted = true;
    let_in.insert(person.id);
    ++admitted;
  }
  void on(const ParticipantDeclined& change) {
    EXPECT_FALSE(known(change.participant).admitted) << "declined, though admitted";
    drop(change.participant);
    out.insert(change.participant);
    ++declined;
  }
  void on(const ParticipantKicked& change) {
    drop(change.participant);
    out.insert(change.participant);
    ++kicked;
  }
  void on(const ParticipantDetached& change) {
    ParticipantRecord& person = known(change.participant);
    EXPECT_TRUE(person.attached_wall) << person.id << " departed without being there";
    person.attached_wall.reset();
    person.lease_wall = change.left_wall;
  }
  void on(const ParticipantLeft& change) { drop(change.participant); }
  void on(const CredentialIssued& change) {
    EXPECT_TRUE(known(change.participant).admitted) << "a credential for who waits";
  }
  void on(const EmergencyOpened&) { ADD_FAILURE() << "nobody asked for it"; }
  void on(const MediaDeclared&) { ADD_FAILURE() << "it is in no commit"; }

  void apply(const CommitNeeded& commit) {
    for (const Change& change : commit.changes) {
      std::visit([this](const auto& what) { on(what); }, change);
    }
    if (room && room->forget_wall) room->participants.clear();
  }
};

// Somebody with a link and a page.
struct Page {
  bool host = false;
  std::optional<HubUnderTest::Person> me;
  SocketId socket = 0;
  std::uint64_t after = 0;
};

class Scene {
 public:
  explicit Scene(std::uint64_t seed) : random_(seed) {
    server_ = std::make_unique<HubUnderTest>(limits(), Access::invite);
    server_->store = HubUnderTest::Store::holds;
    const RequestId made =
        server_->post({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", kRoom}});
    decide(true);
    const Json body = server_->reply(made).body;
    const auto secret = [&](const char* link) {
      const std::string text = body[link];
      return text.substr(text.find('#') + 1);
    };
    guest_secret_ = secret("link");
    host_secret_ = secret("hostLink");
    for (int i = 0; i < 7; ++i) pages_.push_back({i < 2, std::nullopt, 0, 0});
  }

  void run() {
    for (int i = 0; i < kSteps && model_.room && !testing::Test::HasFailure(); ++i) {
      step();
      listen();
      check();
    }
  }
  const Model& model() const { return model_; }
  unsigned kills() const { return kills_; }

 private:
  static Limits limits() {
    Limits limits;
    limits.max_participants = 4;
    return limits;
  }

  void step() {
    const std::size_t lot = random_.below(100);
    Page& page = pages_[random_.below(pages_.size())];
    if (lot < 25) return decide(!random_.one_in(6));
    if (lot < 50) return come(page);
    if (lot < 56) return hang_up(page);
    if (lot < 60) return server_->advance(milliseconds{random_.below(20'000)});
    if (lot == 60) return server_->advance(seconds{90});
    if (lot == 61 && random_.one_in(2)) return kill();
    if (lot < 64) return leave(page);
    if (lot < 66) return knock_with_old_secrets();
    command(page);
  }

  // A record is written or not. What has happened is kept for later, and counts.
  void decide(bool ok) {
    if (server_->held.empty()) return;
    const CommitNeeded commit = server_->held.front();
    if (ok || commit.keep) model_.apply(commit);
    server_->decide(0, ok);
  }

  void come(Page& page) {
    if (!page.me) return join(page);
    if (page.socket != 0 && !random_.one_in(4)) return;
    const bool knows = page.after > 0 && !random_.one_in(3);  // a reload knows only its token
    const SocketId socket =
        server_->attach(*page.me, knows ? std::optional(page.after) : std::nullopt);
    if (random_.one_in(2) && page.socket != 0) server_->hang_up(page.socket);
    page.socket = socket;
  }

  void join(Page& page) {
    const RequestId request = server_->post({{"action", "join-room"},
                                             {"roomId", kRoom},
                                             {"participantName", "N"},
                                             {"token", page.host ? host_secret_ : guest_secret_}});
    while (!server_->answered(request) && !server_->held.empty()) decide(!random_.one_in(6));
    const Reply reply = server_->reply(request);
    switch (reply.status) {
      case 200:
        EXPECT_EQ(reply.body["waiting"], !page.host);
        EXPECT_EQ(reply.body.contains("iceServers"), page.host);
        page.me = {kRoom, reply.body["participantId"], reply.body["participantToken"]};
        page.socket = 0;
        page.after = 0;
        break;
      case 423:
        EXPECT_TRUE(model_.room->locked && !page.host);
        break;
      case 410:
        EXPECT_TRUE(model_.room->forget_wall);
        break;
      default:
        EXPECT_TRUE(reply.status == 409 || reply.status == 503) << reply.status << reply.body;
    }
  }

  void hang_up(Page& page) {
    if (page.socket != 0) server_->hang_up(std::exchange(page.socket, 0));
  }

  void leave(Page& page) {
    if (!page.me) return;
    const bool returning = random_.one_in(2);
    server_->post({{"action", "leave-room"},
                   {"roomId", kRoom},
                   {"participantId", page.me->id},
                   {"token", page.me->token},
                   {"returning", returning}});
    if (!returning) page = {page.host, std::nullopt, 0, 0};
  }

  // Everybody tries; only hosts who are in the visit get their way.
  void command(const Page& page) {
    const Page& target = pages_[random_.below(pages_.size())];
    if (page.socket == 0 || !target.me) return;
    const std::size_t lot = random_.below(20);
    Json wish{{"type", "admit"}, {"peerId", target.me->id}};
    if (lot >= 10) wish["type"] = "decline";
    if (lot >= 15) wish["type"] = "kick";
    if (lot >= 17) wish = {{"type", "lock"}, {"locked", random_.one_in(2)}};
    if (lot == 19)
      wish = {{"type", random_.one_in(25) ? "end-room" : "admit"}, {"peerId", "nobody"}};
    const std::size_t before = server_->commits.size();
    server_->say(page.socket, wish);
    if (!page.host) {
      for (std::size_t i = before; i < server_->commits.size(); ++i) {
        for (const Change& change : server_->commits[i].changes) {
          EXPECT_FALSE(std::holds_alternative<ParticipantAdmitted>(change) ||
                       std::holds_alternative<ParticipantKicked>(change) ||
                       std::holds_alternative<ParticipantDeclined>(change) ||
                       std::holds_alternative<RoomLocked>(change) ||
                       std::holds_alternative<RoomEnded>(change))
              << "a guest rules: " << wish;
        }
      }
    }
  }

  // Who was removed or declined has a token that opens nothing any more.
  void knock_with_old_secrets() {
    for (const HubUnderTest::Person& gone : former_) {
      if (model_.out.count(gone.id) == 0) continue;
      const SocketId socket = server_->attach(gone);
      while (!server_->closed(socket) && !server_->held.empty()) decide(true);
      EXPECT_TRUE(server_->closed(socket)) << gone.id << " came back";
    }
  }

  // kill -9: what was not recorded has never been.
  void kill() {
    auto next = std::make_unique<HubUnderTest>(limits(), Access::invite);
    next->issuer = server_->issuer;
    next->now = server_->now;
    next->store = HubUnderTest::Store::holds;
    server_ = std::move(next);
    server_->hub.restore({*model_.room}, server_->now);
    server_->pump();
    for (Page& page : pages_) page.socket = 0;
    ++kills_;
  }

  void listen() {
    for (Page& page : pages_) {
      if (page.socket == 0) continue;
      for (const Json& message : server_->heard(page.socket)) hear(page, message);
      if (server_->closed(page.socket)) {
        const int code = server_->closed(page.socket)->code;
        page.socket = 0;
        if (code == 4000) continue;  // it has come by another one
        former_.push_back(*page.me);
        page = {page.host, std::nullopt, 0, 0};
      }
    }
  }

  void hear(Page& page, const Json& message) {
    const std::string type = message["type"];
    if (message.contains("seq")) page.after = message["seq"];
    const ParticipantRecord* me = model_.find(page.me->id);
    const bool let_in = model_.let_in.count(page.me->id) > 0;
    if (type == "admitted" || type == "existing-peers" || type == "peer-joined") {
      EXPECT_TRUE(let_in) << page.me->id << " hears " << message;
    } else if (type == "knock" || type == "knock-over") {
      EXPECT_TRUE(page.host) << page.me->id << " hears " << message;
    } else if (type == "declined" || type == "removed") {
      EXPECT_EQ(me, nullptr) << page.me->id << " hears " << message;
    } else if (type == "room-ended") {
      EXPECT_TRUE(model_.room->forget_wall);
    }
  }

  void check() {
    if (!model_.room) return;
    for (const std::string& id : server_->live) {
      const ParticipantRecord* person = model_.find(id);
      EXPECT_TRUE(person != nullptr && person->admitted) << "the relay serves " << id;
    }
    if (!server_->held.empty()) return;
    const auto view = server_->hub.room(kRoom);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->active, !model_.room->forget_wall);
    EXPECT_LE(view->count, limits().max_participants);
    for (const PersonView& person : view->people) {
      const ParticipantRecord* known = model_.find(person.id);
      EXPECT_TRUE(known != nullptr && known->admitted) << person.id << " is in the visit";
    }
    // And nobody is kept out: who is recorded as being there has a session.
    for (const ParticipantRecord& person : model_.room->participants) {
      if (!person.attached_wall || !person.admitted) continue;
      EXPECT_EQ(server_->live.count(person.id), 1U) << person.id << " has no relay";
    }
  }

  testing_support::SeededRandom random_;
  std::unique_ptr<HubUnderTest> server_;
  Model model_;
  std::string guest_secret_, host_secret_;
  std::vector<Page> pages_;
  std::vector<HubUnderTest::Person> former_;
  unsigned kills_ = 0;
};

TEST(HostActions, AreCarriedOutOnceWhateverGoesWrong) {
  const auto seeds = testing_support::SeedRange::from_environment(50);
  Model seen;
  unsigned kills = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Scene scene(seed);
    scene.run();
    if (HasFailure()) return;
    seen.admitted += scene.model().admitted;
    seen.declined += scene.model().declined;
    seen.kicked += scene.model().kicked;
    seen.locks += scene.model().locks;
    kills += scene.kills();
  }
  std::printf("%d admitted, %d declined, %d removed, %d locks, %u kills\n", seen.admitted,
              seen.declined, seen.kicked, seen.locks, kills);
  if (seeds.count < 50) return;  // too few to have seen everything
  const auto many = static_cast<int>(seeds.count);
  EXPECT_GT(seen.admitted, many);
  EXPECT_GT(seen.declined, many / 2);
  EXPECT_GT(seen.kicked, many / 2);
  EXPECT_GT(seen.locks, many / 4);
  EXPECT_GT(kills, seeds.count / 2);
}

}  // namespace
}  // namespace bedside::signaling
