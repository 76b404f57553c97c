#include "server/service.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/admin_api.h"
#include "server/anchors.h"
#include "server/assets.h"
#include "server/audit_trail.h"
#include "server/audit_types.h"
#include "server/certificate_watch.h"
#include "server/config_reload.h"
#include "server/control.h"
#include "server/data_key_turn.h"
#include "server/demo.h"
#include "server/emergency_journal.h"
#include "server/epoch_watch.h"
#include "server/first_key.h"
#include "server/host_watch.h"
#include "server/ice_servers.h"
#include "server/links.h"
#include "server/live_participants.h"
#include "server/live_relay_table.h"
#include "server/local_socket.h"
#include "server/net/loop.h"
#include "server/net/mailbox.h"
#include "server/operator_listener.h"
#include "server/prepare.h"
#include "server/progress.h"
#include "server/relay_lanes.h"
#include "server/relay_metrics.h"
#include "server/relay_setup.h"
#include "server/relay_shard.h"
#include "server/signals.h"
#include "server/start_record.h"
#include "server/version.h"
#include "server/worker_pool.h"
#include "store/reader.h"
#include "store/store.h"

namespace bedside::server {
namespace {

using std::chrono::milliseconds;

// The stop promises two seconds: most of it for telling the clients, the rest for the last records.
constexpr milliseconds kDrainPatience{900};
constexpr milliseconds kDrainLimit{1200};  // should the control thread not answer at all
constexpr milliseconds kHealthPatience{500};

// Beyond it relay threads keep their events and refuse new allocations until control caught up.
constexpr std::size_t kRelayEventQueue = 4096;
constexpr std::size_t kTaskQueue = 256;
constexpr std::size_t kWorkerThreads = 2;
constexpr std::size_t kWorkerQueue = 64;

// How soon a new month gets its key, and how often disk and clocks are looked at.
constexpr std::chrono::seconds kTick{2};

using Task = std::function<void()>;

void set_log_level(const ServeOptions& options, const Config& config) {
  const auto level = options.log_level ? options.log_level : log::level_from(config.log_level);
  if (level) log::set_level(*level);
}

void warn_loudly(const Config& config) {
  for (const Problem& problem : loud_warnings(config)) {
    log::warning("attention", {{"what", log::Configured(problem.what)},
                               {"remedy", log::Configured(problem.remedy)}});
  }
}

class Service {
 public:
  Service(Config config, const ServeOptions& options, Signals& signals)
      : config_(std::move(config)), loaded_(config_), options_(options), signals_(signals) {}

  // False: every reason is in errors().
  bool start();
  // Serves, and reads the configuration again when asked to.
  StopCause run();
  // False: everything is written and closed, but a thread waits for another machine.
  [[nodiscard]] bool stop(StopCause cause);
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  bool open_store();
  bool make_control();
  void make_admin(bool has_account);
  bool open_lanes();
  bool open_operator_listener();
  bool restore_and_record();
  void serve();
  void make_demo_room();
  void reload();
  void look_at_certificate();
  bool make_data_key();
  void look_at_host();
  bool apply(const Config& wanted, const std::vector<ChangedKey>& changed);
  // With the certificate that is served: what is in its file may be broken by now.
  tl::expected<RelaySetup, std::string> relay_setup_for(
      const Config& config, const std::vector<std::string>& retired) const {
    return make_relay_setup(config, prepared_.keys, prepared_.served_tls(), retired);
  }
  void use(const RelaySetup& setup);
  bool drain(bool draining);

  // Runs `task` on the control thread; false when that thread is too busy to take it.
  bool on_control(Task task) { return tasks_ && tasks_->post(std::move(task)); }
  bool submit_and_wait(store::Commit commit);
  Health health();
  Metrics metrics() const;
  bool fail(std::string error) {
    errors_.push_back(std::move(error));
    return false;
  }

  Config config_;
  Config loaded_;  // the file as it was read last; config_ is fitted to this machine
  RetiredSecrets retired_;
  const ServeOptions& options_;
  Signals& signals_;
  std::vector<std::string> errors_;
  Prepared prepared_;
  std::optional<CertificateWatch> certificate_;  // when there is one
  std::chrono::steady_clock::time_point looked_{};
  EpochWatch epoch_;
  HostWatch host_{config_.data_dir, std::uint64_t{config_.audit.ballast_mb} << 20};
  BannerFacts banner_;

  Progress recorded_;  // what the main thread has submitted
  std::uint64_t submitted_ = 0;
  Progress demo_room_made_;
  Progress drained_;
  Progress control_answered_;
  std::atomic<std::uint64_t> health_questions_ = 0;

  // In the order of their needs; destroyed in reverse.
  std::unique_ptr<store::Store> store_;
  std::optional<RelaySetup> relay_setup_;
  LiveParticipantSet live_participants_;
  std::unique_ptr<LiveRelayTable> live_relays_;
  SharedLedger ledger_{turn::Quotas{}};
  std::unique_ptr<RelayHandover> handover_;
  Assets assets_;
  std::unique_ptr<AuditTrail> trail_;
  std::unique_ptr<Happened> happened_;
  std::unique_ptr<IceServers> ice_servers_;
  net::Loop control_loop_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<AdminApi> admin_;
  std::unique_ptr<Anchors> anchors_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<net::Mailbox<Task>> tasks_;
  std::unique_ptr<net::Mailbox<RelayEvent>> relay_events_;
  std::unique_ptr<RelayLanes> lanes_;
  std::thread control_thread_;
  std::unique_ptr<OperatorListener> operator_listener_;
  std::unique_ptr<LocalSocket> local_socket_;
};

bool Service::start() {
  host_.make_room_to_start();
  prepared_ = prepare(config_, errors_);
  banner_.ipv6 = prepared_.ipv6;
  banner_.terminal = ::isatty(STDOUT_FILENO) == 1;
  if (!errors_.empty()) return false;
  if (prepared_.tls) {
    certificate_.emplace(CertificateFiles{config_.https.certificate, config_.https.private_key},
                         config_.public_host, *prepared_.tls, prepared_.served_dtls(),
                         std::chrono::steady_clock::now());
  }
  return open_store() && make_control() && open_lanes() && open_operator_listener() &&
         restore_and_record() && (serve(), true);
}

bool Service::open_store() {
  if (auto checked = check_anchor_file(config_); !checked) return fail(checked.error());
  store::Options options;
  options.path = config_.database().string();
  options.keys = config_.keys_dir().string();
  options.build = kVersion;
  options.journal = journal_options(config_.audit.emergency_journal, prepared_.keys.field);
  options.on_fatal = [this](const std::string& reason) {
    log::error("the database failed; stopping", {{"reason", log::Configured(reason)}});
    signals_.fail();
  };
  auto opened = store::Store::open(std::move(options));
  if (!opened) return fail(opened.error().text);
  store_ = std::move(*opened);
  if (const std::string trouble = store_->journal_trouble(); !trouble.empty()) {
    log::error("nobody can declare an emergency", {{"why", log::Configured(trouble)}});
  }
  return true;
}

bool Service::submit_and_wait(store::Commit commit) {
  bool written = false;
  const std::uint64_t mark = ++submitted_;
  const bool taken = store_->submit(std::move(commit), [&](const store::CommitResult& result) {
    written = result.ok() || result.status == store::CommitStatus::deferred;
    recorded_.reach(mark);
  });
  if (!taken) return false;
  recorded_.wait(mark);
  return written;
}

bool Service::make_control() {
  auto setup = relay_setup_for(config_, {});
  if (!setup) return fail(setup.error());
  relay_setup_.emplace(std::move(*setup));
  ledger_.set_quotas(config_.turn.quotas);
  live_relays_ = std::make_unique<LiveRelayTable>(relay_setup_->addresses);
  handover_ = std::make_unique<RelayHandover>(relay_threads(config_));
  if (options_.assets) assets_ = Assets(*options_.assets);
  trail_ = std::make_unique<AuditTrail>(prepared_.keys.pseudonym, prepared_.keys.field,
                                        prepared_.keys.wrapping);
  happened_ = std::make_unique<Happened>(*trail_, *store_);
  ice_servers_ = std::make_unique<IceServers>(relay_setup_->credentials, relay_setup_->advertised,
                                              &live_participants_);

  ControlOptions options;
  const SignalingConfig& signaling = config_.signaling;
  options.access =
      signaling.access == Access::invite ? signaling::Access::invite : signaling::Access::open;
  options.limits.max_participants = signaling.max_participants;
  options.limits.waiting_room = signaling.waiting_room;
  options.limits.emergencies = store_->stats().journal;
  options.limits.room_lifetime = std::chrono::hours{24} * signaling.room_lifetime_days;
  options.origins.allowed = config_.signaling.allowed_origins;
  options.origins.own_hosts = {config_.public_host};
  options.origins.strict_transport = !config_.demo;
  options.redirect_http_to = redirect_target(config_);
  options.acme_webroot = config_.http.acme_webroot;
  control_ = std::make_unique<Control>(
      control_loop_, std::move(options),
      ControlSeams{*store_, *trail_, assets_, *ice_servers_, live_participants_,
                   [this](const std::string& participant) {
                     return lanes_->revoke_participant(participant);
                   },
                   [this] {
                     RelayFigures figures = relay_figures(lanes_->stats());
                     if (certificate_) figures.certificate = certificate_->figures();
                     figures.anchors = anchors_->figures();
                     return figures;
                   },
                   // A shard too busy to be told keeps its events: its mailbox fills, and it
                   // refuses by itself.
                   [this](bool accept) { (void)lanes_->set_accepting(accept); },
                   [this] { return host_.space_for_rooms(); }});
  tasks_ = std::make_unique<net::Mailbox<Task>>(control_loop_, kTaskQueue,
                                                [](const Task& task) { task(); });
  relay_events_ = std::make_unique<net::Mailbox<RelayEvent>>(
      control_loop_, kRelayEventQueue,
      [this](const RelayEvent& happened) { control_->on_relay_event(happened.event); });
  return true;
}

void Service::make_admin(bool has_account) {
  workers_ = std::make_unique<WorkerPool>(control_loop_, kWorkerThreads, kWorkerQueue);
  AdminApiOptions options;
  options.database = config_.database().string();
  options.allow_from = config_.admin.allow_from;
  options.has_account = has_account;
  options.open_to_all = open_to_all(config_);
  options.keep_years = config_.audit.keep_years;
  options.backup = config_.backup;
  options.scratch = config_.scratch() / "purge-scratch";
  admin_ = std::make_unique<AdminApi>(control_loop_, std::move(options), *control_, *trail_,
                                      *store_, *workers_);
  banner_.set_up_code = admin_->open_set_up();
  control_->set_admin(admin_.get());
}

// The last thing that can fail: from its record on the server counts as started.
bool Service::restore_and_record() {
  auto reader = store::Reader::open(config_.database().string());
  if (!reader) return fail(reader.error());
  const auto accounts = reader->accounts();
  const auto state = store_->load();
  if (!accounts) return fail(accounts.error());
  if (!state) return fail(state.error());
  auto start = start_record(*trail_, *reader, config_, state->rooms.size());
  if (!start) return fail(start.error());
  if (auto adopted = adopt_data_keys(*trail_, *state); !adopted) return fail(adopted.error());
  if (!make_data_key()) {
    return fail("cannot write the audit log's key of this month into " +
                config_.database().string() + "\n    → free space on this disk, or check it");
  }
  make_admin(!accounts->empty());
  if (!banner_.set_up_code.empty()) banner_.first_key = first_key_of(*reader);
  auto anchors = Anchors::open(config_, control_loop_, *trail_, *store_, *happened_);
  if (!anchors) return fail(anchors.error());
  anchors_ = std::move(*anchors);
  anchors_->restore(*state);
  control_->set_witness(anchors_->witness());

  if (!submit_and_wait(std::move(*start))) {
    return fail("cannot write the record of this start into " + config_.database().string() +
                "\n    → free space on this disk, or check it");
  }
  control_->restore(*state);
  banner_.demo_room = demo_room_name(*state);
  return true;
}

bool Service::drain(bool draining) {
  const bool told = lanes_->set_draining(draining);
  log::info("new allocations", {{"accepted", !draining}, {"everywhere", told}});
  happened_->record(RelayDraining{draining, told}, {0, "operator", {}});
  return told;
}

bool Service::open_lanes() {
  const RelayShardShared shared{
      &relay_setup_->credentials, &live_participants_, live_relays_.get(),      &ledger_,
      &relay_setup_->peers,       relay_events_.get(), prepared_.served_dtls(), handover_.get()};
  auto opened = RelayLanes::open(config_, *relay_setup_, shared, prepared_.served_tls());
  if (!opened) return fail(opened.error());
  lanes_ = std::move(*opened);
  return true;
}

bool Service::open_operator_listener() {
  auto socket = LocalSocket::open(local_socket_path(config_), config_.database(), *control_,
                                  [this](const Task& task) { return on_control(task); });
  if (!socket) return fail(socket.error());
  local_socket_ = std::move(*socket);
  if (!config_.operator_listener.listen) return true;
  auto started = OperatorListener::start(*config_.operator_listener.listen,
                                         {[this] { return health(); }, [this] { return metrics(); },
                                          [this](bool draining) { return drain(draining); }});
  if (!started) return fail(started.error());
  operator_listener_ = std::move(*started);
  return true;
}

void Service::serve() {
  control_thread_ = std::thread([this] { control_loop_.run(); });
  lanes_->start([this](net::DetachedConnection connection, const ListenerSpec& listener) {
    control_->adopt(std::move(connection), listener.name);
  });
  local_socket_->start();
  look_at_host();
  anchors_->start();
  if (operator_listener_) operator_listener_->serve();
  if (config_.demo) make_demo_room();
  log::info("serving", {{"version", log::Configured(kVersion)},
                        {"sqlite", log::Configured(store::sqlite_version())},
                        {"relay_threads", lanes_->size()},
                        {"demo", config_.demo},
                        {"ipv6", banner_.ipv6}});
  const std::string text =
      config_.demo ? demo_banner(config_, banner_) : server_banner(config_, banner_);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void Service::make_demo_room() {
  on_control([this] {
    control_->create_room(RoomWish{"\"" + banner_.demo_room + "\"", banner_.demo_room},
                          AdminActor{"demo", "service", ""}, RequestContext{},
                          [this](const auto&) { demo_room_made_.reach(1); });
  });
  demo_room_made_.wait_for(1, std::chrono::seconds(2));
}

StopCause Service::run() {
  while (true) {
    auto deadline = retired_.next_deadline();
    if (certificate_) {
      const auto look = looked_ + CertificateWatch::kInterval;
      deadline = deadline ? std::min(*deadline, look) : look;
    }
    const auto tick = std::chrono::steady_clock::now() + kTick;
    const Wake wake = signals_.wait(deadline ? std::min(*deadline, tick) : tick);
    look_at_host();
    look_at_certificate();
    if (!make_data_key()) log::warning("the audit log's key of this month cannot be written");
    switch (wake) {
      case Wake::stop:
        return StopCause::signal;
      case Wake::failure:
        return StopCause::failure;
      case Wake::hangup:
        // The demo has no file to read; a hang-up there is its terminal going away.
        if (!options_.config_file) return StopCause::signal;
        reload();
        break;
      case Wake::time:
        if (!retired_.expire(std::chrono::steady_clock::now())) break;
        if (const auto setup = relay_setup_for(config_, retired_.secrets())) {
          use(*setup);
        }
        break;
    }
  }
}

void Service::look_at_certificate() {
  if (!certificate_) return;
  looked_ = std::chrono::steady_clock::now();
  const std::string before = certificate_->state().serving.digest;
  if (certificate_->look(looked_) != CertificateWatch::Finding::renewed) return;
  const net::CertificateFacts now = certificate_->state().serving;
  const CertificateRenewed renewed{before, now.digest, now.expires};
  happened_->record(renewed);
  // Its names may be others: turns: URIs are given out for those it has.
  const auto setup = relay_setup_for(config_, retired_.secrets());
  if (setup) use(*setup);
}

void Service::look_at_host() {
  happened_->retry();
  const store::Stats stats = store_->stats();
  host_.look(stats.full && !stats.locked,
             [this](const AdminAction& what) { happened_->record(what); });
  epoch_.look(store_->epoch_trouble());
}

bool Service::make_data_key() {
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return make_due_data_key(
      *trail_, wall, [this](store::Commit commit) { return submit_and_wait(std::move(commit)); });
}

// All or nothing: whatever is wrong, the server goes on as it was.
void Service::reload() {
  CheckedConfig checked = load_config(*options_.config_file);
  for (const Problem& problem : checked.problems) {
    const std::string text = describe(problem, *options_.config_file);
    log::warning("configuration", {{"what", log::Configured(text)}});
  }
  if (!checked.ok()) {
    return log::error(
        "the configuration has errors: nothing was changed",
        {{"remedy", log::Configured("bedside check-config FILE, then SIGHUP again")}});
  }
  std::vector<ChangedKey> applied;
  for (ChangedKey& changed : changed_keys(loaded_, checked.config)) {
    if (changed.needs_restart) {
      log::warning("this change needs a restart", {{"key", log::Configured(changed.key)}});
    } else {
      applied.push_back(std::move(changed));
    }
  }
  const std::size_t count = applied.size();
  if (count > 0 && !apply(take_over(config_, checked.config), applied)) return;
  // What needs a restart is told again next time: it is still not in effect.
  loaded_ = take_over(loaded_, checked.config);
  warn_loudly(config_);
  log::info("configuration read again", {{"changed", count}});
}

bool Service::apply(const Config& wanted, const std::vector<ChangedKey>& changed) {
  RetiredSecrets retired = retired_;
  if (wanted.turn.shared_secret != config_.turn.shared_secret) {
    retired.add(config_.turn.shared_secret, std::chrono::steady_clock::now());
    retired.remove(wanted.turn.shared_secret);
  }
  const auto setup = relay_setup_for(wanted, retired.secrets());
  if (!setup) {
    log::error("nothing was changed", {{"why", log::Configured(setup.error())}});
    return false;
  }
  if (!live_relays_->can_advertise(setup->addresses)) {
    log::error("nothing was changed: turn.external_ip has changed too often, restart to go on");
    return false;
  }
  ConfigChanged action;
  for (const ChangedKey& key : changed) {
    action.keys.push_back({key.key, trail_->config_digest(key.key, key.before),
                           trail_->config_digest(key.key, key.after)});
  }
  if (!submit_and_wait(trail_->commit(AdminAction{std::move(action)}, {}))) {
    log::error("nothing was changed: the change cannot be recorded, free space on the disk");
    return false;
  }
  std::vector<std::string> gone = users_gone(config_, wanted);
  config_ = wanted;
  retired_ = std::move(retired);
  set_log_level(options_, config_);
  (void)live_relays_->advertise(setup->addresses);
  use(*setup);
  for (const std::string& user : gone) lanes_->revoke_user(user);
  return true;
}

void Service::use(const RelaySetup& setup) {
  ledger_.set_quotas(setup.settings.quotas);
  lanes_->use(setup);
  const Task tell = [this, credentials = setup.credentials, advertised = setup.advertised,
                     backup = config_.backup] {
    ice_servers_->replace(credentials, advertised);
    admin_->use_backup(backup);
  };
  // The queue is deep and drained all the time: a full one has room a moment later.
  while (!on_control(tell)) std::this_thread::sleep_for(milliseconds(1));
}

bool Service::stop(StopCause cause) {
  log::info("stopping", {{"cause", cause}});
  operator_listener_.reset();
  local_socket_.reset();
  lanes_->close_doors();
  (void)lanes_->set_accepting(false);
  on_control([this] { control_->drain(kDrainPatience, [this] { drained_.reach(1); }); });
  drained_.wait_for(1, kDrainLimit);
  lanes_->stop();
  const bool told = on_control([this] {
    workers_->stop();
    control_loop_.stop();
  });
  if (!told) control_loop_.stop();  // its queue is full: it ends without the courtesy
  if (control_thread_.joinable()) control_thread_.join();
  // The threads are gone: what they left behind is recorded from here.
  relay_events_->deliver();
  for (store::Commit& commit : control_->take_unrecorded()) {
    store_->submit(std::move(commit), {});
  }
  if (auto counted = trail_->take_all_counted()) store_->submit(std::move(*counted), {});
  happened_->record(ServiceStopped{std::string(name(cause))});
  const std::size_t unwritten = store_->close();
  const bool ended = anchors_->finish();
  if (unwritten > 0) log::error("records could not be written", {{"commits", unwritten}});
  log::info("stopped");
  return ended;
}

Health Service::health() {
  const store::Stats stats = store_->stats();
  Health health;
  health.store_writable = !stats.fatal && !stats.full;
  const std::uint64_t question = ++health_questions_;
  health.control_alive = on_control([this, question] { control_answered_.reach(question); }) &&
                         control_answered_.wait_for(question, kHealthPatience);
  return health;
}

Metrics Service::metrics() const {
  Metrics metrics;
  metrics.version = kVersion;
  for (const RelayStats* shard : lanes_->stats()) metrics.relays.push_back(relay_metrics(*shard));
  const ControlStats control = control_->stats();
  metrics.signaling = {control.rooms,       control.participants, control.sockets,
                       control.connections, control.requests,     control.rate_limited,
                       control.made_room,   control.turned_away};
  const store::Stats stats = store_->stats();
  metrics.store = {stats.commits,   stats.failed + stats.refused,
                   stats.records,   stats.lost + control.lost_records + happened_->lost(),
                   stats.queued,    stats.full,
                   stats.journaled, stats.epoch_overdue};
  metrics.process = measure_process();
  metrics.disk_free_bytes = host_.disk_free();
  if (certificate_) metrics.certificate = certificate_->metrics();
  metrics.anchors = anchors_->metrics();
  return metrics;
}

}  // namespace

int serve(Config config, const ServeOptions& options) {
  Signals signals;
  keep_memory_private();
  set_log_level(options, config);
  raise_file_limit();
  warn_loudly(config);
  Service service(std::move(config), options, signals);
  if (!service.start()) {
    for (const std::string& error : service.errors()) {
      std::fprintf(stderr, "bedside: %s\n", error.c_str());
    }
    return 1;
  }
  const StopCause cause = service.run();
  signals.restore_default_stop();
  const int code = cause == StopCause::signal ? 0 : 1;
  // What that thread waits for may take long, and there is nothing left to do but to go.
  if (!service.stop(cause)) std::_Exit(code);
  return code;
}

}  // namespace bedside::server
