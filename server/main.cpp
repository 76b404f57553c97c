// The command line: what bedside can be asked to do, and nothing else.

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "server/anchors.h"
#include "server/audit_command.h"
#include "server/audit_export_command.h"
#include "server/backup_command.h"
#include "server/config.h"
#include "server/demo.h"
#include "server/first_key.h"
#include "server/local_access.h"
#include "server/local_accounts.h"
#include "server/local_client.h"
#include "server/local_retention.h"
#include "server/log.h"
#include "server/service.h"
#include "server/turn_credential.h"
#include "server/version.h"
#include "store/store.h"

namespace {

using bedside::server::Config;
using bedside::server::Problem;

void print_problems(const std::vector<Problem>& problems, const std::string& file) {
  for (const Problem& problem : problems) {
    std::fprintf(stderr, "%s\n", bedside::server::describe(problem, file).c_str());
  }
}

// The configuration of a file, or the demo's without one. Nothing when it has errors (printed).
std::optional<Config> read_config(const std::string& file) {
  if (file.empty()) return bedside::server::demo_config(std::filesystem::current_path());
  const auto checked = bedside::server::load_config(file);
  print_problems(checked.problems, file);
  if (!checked.ok()) return std::nullopt;
  return checked.config;
}

int serve(const std::string& config_file, const std::string& assets, const std::string& level) {
  auto config = read_config(config_file);
  if (!config) return 1;
  bedside::server::ServeOptions options;
  if (!config_file.empty()) options.config_file = config_file;
  options.log_level = bedside::server::log::level_from(level);
  if (!assets.empty()) options.assets = assets;
  return bedside::server::serve(std::move(*config), options);
}

int check_config(const std::string& file) {
  const auto checked = bedside::server::load_config(file);
  print_problems(checked.problems, file);
  if (!checked.ok()) return 1;
  print_problems(bedside::server::loud_warnings(checked.config), file);
  std::printf("%s is a good configuration.\n", file.c_str());
  return 0;
}

int turn_credential(const std::string& config_file, const std::string& subject) {
  const auto config = read_config(config_file);
  if (!config) return 1;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const auto credential = bedside::server::make_turn_credential(*config, subject, now);
  if (!credential) return bedside::server::complain(credential.error());
  const auto recorded =
      bedside::server::record_turn_credential(*config, {subject, credential->expires_at});
  if (!recorded) return bedside::server::complain(recorded.error());
  std::printf("%s\n", credential->json.c_str());
  return 0;
}

int verify_audit(const std::string& config_file, bedside::server::AuditVerifyRequest request) {
  if (request.database.empty() && request.bundle.empty()) {
    const auto config = read_config(config_file);
    if (!config) return 2;  // 1 would say that the log was changed
    request.database = config->database().string();
    request.server = &*config;
    return bedside::server::audit_verify(request);
  }
  return bedside::server::audit_verify(request);
}

// What `bedside audit …` takes.
struct AuditCommands {
  CLI::App* verify = nullptr;
  CLI::App* exporting = nullptr;
  bedside::server::AuditVerifyRequest request;
  bedside::server::AuditExportRequest wish;
};

void add_audit_commands(CLI::App& app, std::string& config_file, AuditCommands& commands) {
  CLI::App* audit = app.add_subcommand("audit", "The sealed audit log.");
  audit->require_subcommand(1);
  commands.verify =
      audit->add_subcommand("verify",
                            "Check that no record was changed, removed or added "
                            "since it was sealed. Reads only; the server may run. "
                            "Exit 0: whole; 1: the first bad record is named; 2: "
                            "something cannot be read; 3: whole, but somebody has to "
                            "judge (a restored backup, or what an export cannot show).");
  commands.verify->add_option("--config", config_file, "the configuration that names the data_dir")
      ->type_name("FILE");
  commands.verify->add_option("--database", commands.request.database, "or the database itself")
      ->type_name("FILE");
  commands.verify->add_option("--bundle", commands.request.bundle, "or an export, wherever it is")
      ->type_name("FILE")
      ->excludes("--database");
  commands.verify
      ->add_option("--restored-key", commands.request.restored,
                   "a key as it was noted when a backup was restored; may be given several times")
      ->type_name("HEX");
  commands.verify
      ->add_option("--genesis", commands.request.genesis,
                   "the first key as it was noted off the host")
      ->type_name("HEX");
  commands.verify
      ->add_option(
          "--anchor", commands.request.anchors,
          "checkpoints that were kept elsewhere, e.g. an anchor file; may be given several times")
      ->type_name("FILE");
  commands.verify
      ->add_option("--receipt", commands.request.receipts,
                   "a receipt that the API gave for a change; may be given several times")
      ->type_name("FILE");
}

void add_audit_export(CLI::App& app, std::string& config_file, AuditCommands& commands) {
  commands.exporting = app.get_subcommand("audit")->add_subcommand(
      "export",
      "Write records with their proofs into a tar archive that anybody can check offline. The "
      "export itself is recorded before it leaves. The server may run.");
  CLI::App& command = *commands.exporting;
  bedside::server::AuditExportRequest& wish = commands.wish;
  command.add_option("--config", config_file, "the configuration that names the data_dir")
      ->type_name("FILE");
  command.add_option("--out", wish.out, "the archive to make")->type_name("FILE")->required();
  command.add_option("--from", wish.from, "a day or an instant in UTC, inclusive")
      ->type_name("TIME");
  command.add_option("--to", wish.to, "likewise, exclusive")->type_name("TIME");
  command.add_option("--room", wish.room, "a room's name or its pseudonym")->type_name("ROOM");
  command.add_option("--person", wish.person, "the id of who acted or was acted on")
      ->type_name("ID");
  command
      .add_option("--format", wish.format,
                  "records as JSON lines; with csv or fhir (R4 AuditEvent) once more like that")
      ->check(CLI::IsMember({"ndjson", "csv", "fhir"}))
      ->type_name("ndjson|csv|fhir");
  command.add_flag(
      "--disclose", wish.disclose,
      "personal fields (full IP addresses, names, appointments) in clear, in a file of "
      "their own");
  command.add_option("--redact", wish.redacted, "but not this one; may be given several times")
      ->type_name("FIELD");
}

// `bedside token …`, `room …`, `admin …` and so on: what they were given, and what to call with it.
class LocalCommands {
 public:
  explicit LocalCommands(CLI::App& app) {
    CLI::App* token = command(app, "token", "Tokens for programs that use the API (invite mode).");
    CLI::App* create = action(
        token, "create", "Make a token and print it, this one time.",
        [this](const Config& config) { return bedside::server::token_create(config, wish_); });
    create->add_option("--name", wish_.name, "what will use it")->required()->type_name("NAME");
    create->add_option("--scope", wish_.scopes, "rooms.create, rooms.read or rooms.end; repeatable")
        ->required()
        ->type_name("SCOPE");
    create->add_option("--days", wish_.days, "good for that many days; 0: until it is revoked")
        ->type_name("N");
    action(token, "list", "List the tokens, without their secrets.",
           [](const Config& config) { return bedside::server::token_list(config); });
    action(token, "revoke", "Make a token void at once.",
           [this](const Config& config) { return bedside::server::token_revoke(config, id_); })
        ->add_option("ID", id_, "as `token list` shows it")
        ->required();

    CLI::App* room = command(app, "room", "Rooms of the running server.");
    CLI::App* make = action(
        room, "create", "Make a room, or new links for it, and print them.",
        [this](const Config& config) { return bedside::server::room_create(config, id_, room_); });
    make->add_option("APPOINTMENT", id_, "the appointment's id")->required();
    make->add_option("--name", room_, "the room's name; default: appointment-<id>")
        ->type_name("ROOM");
    action(room, "list", "List the active rooms.",
           [](const Config& config) { return bedside::server::room_list(config); });
    action(room, "end", "End a visit for everybody.",
           [this](const Config& config) { return bedside::server::room_end(config, room_); })
        ->add_option("ROOM", room_, "the room's name")
        ->required();
    add_accounts(app);
    add_witness(app);
    add_backup(app);
  }

  void add_accounts(CLI::App& app) {
    CLI::App* admin = command(app, "admin", "Accounts of the admin page.");
    action(admin, "add", "Invite somebody: prints a link with which they make the account.",
           [this](const Config& config) { return bedside::server::admin_add(config, id_); })
        ->add_option("NAME", id_, "the account's name, which stands in audit records")
        ->required();
    action(admin, "list", "List accounts and invitations.", bedside::server::admin_list);
    action(admin, "disable", "Let nobody log in with an account any more.",
           [this](const Config& config) { return bedside::server::admin_disable(config, id_); })
        ->add_option("NAME", id_, "the account's name")
        ->required();
  }

  // Below `bedside audit`. Purging takes two persons, who log in to the admin page for it.
  void add_retention(CLI::App& audit) {
    CLI::App* hold = command(audit, "hold", "Records that stay when old ones are purged.");
    CLI::App* set =
        action(hold, "set", "Hold records; all that is given must match.",
               [this](const Config& config) { return bedside::server::hold_set(config, hold_); });
    set->add_option("--room", hold_.room, "a room's name or its pseudonym")->type_name("ROOM");
    set->add_option("--person", hold_.person, "the id of who acted or was acted on")
        ->type_name("ID");
    set->add_option("--from", hold_.from, "a day or an instant in UTC, inclusive")
        ->type_name("TIME");
    set->add_option("--to", hold_.to, "likewise, exclusive")->type_name("TIME");
    set->add_option("--reason", hold_.reason, "litigation, investigation, complaint or other")
        ->required()
        ->type_name("WHY");
    CLI::App* clear = action(hold, "clear", "Let go of a hold.", [this](const Config& config) {
      return bedside::server::hold_clear(config, hold_);
    });
    clear->add_option("ID", hold_.id, "as `hold list` shows it")->required();
    clear->add_option("--reason", hold_.reason, "closed, mistake or other")
        ->required()
        ->type_name("WHY");
    for (CLI::App* each : {set, clear}) {
      each->add_option("--reference", hold_.reference, "a case number; no names")->type_name("REF");
    }
    action(hold, "list", "List the holds.", bedside::server::hold_list);
    CLI::App* purge = command(audit, "purge", "Deleting old records, proofs intact.");
    action(purge, "status",
           "What is old enough to go, what is proposed, what was purged. Proposing and approving "
           "is done on the admin page, by two persons.",
           bedside::server::purge_status);
    CLI::App* first_key = action(
        &audit, "first-key",
        "Print the log's first key, as text and on a terminal as a QR code, to be kept off this "
        "machine for `audit verify --genesis`. The server may run.",
        bedside::server::print_first_key);
    first_key->add_option("--config", config_file_, "the configuration that names the data_dir")
        ->type_name("FILE");
    CLI::App* keys = command(audit, "keys", "The months' keys of personal values.");
    CLI::App* give_up = action(
        keys, "give-up",
        "When the key of your own that wrapped them is lost: let go of those months, so that the "
        "server starts again. The server must be stopped.",
        [this](const Config& config) { return bedside::server::give_up_keys(config, give_up_); });
    give_up->add_flag("--yes", give_up_.yes, "do it, not only tell what it means");
    give_up->add_flag("--key-is-lost", give_up_.key_is_lost,
                      "nobody has audit.key_file or the systemd credential any more");
  }

  // While the server runs or not; restoring wants it stopped.
  void add_backup(CLI::App& app) {
    CLI::App* backup = command(app, "backup", "Encrypted backups of the database and its keys.");
    action(backup, "make",
           "Make one in [backup] folder, restore it to a scratch folder as a trial, and record it.",
           bedside::server::backup_make);
    CLI::App* key = backup->add_subcommand(
        "key",
        "Make a key pair. Do this on another machine: the server needs the public half only.");
    key->add_option("--private", key_.private_file, "the private half to write, to be kept offline")
        ->type_name("FILE")
        ->required();
    key->add_option("--public", key_.public_file, "the public half to write")
        ->type_name("FILE")
        ->required();
    key->add_flag("--passphrase", key_.passphrase,
                  "protect the private half; asks on the terminal");
    key->callback([this] { alone_ = [this] { return bedside::server::backup_key(key_); }; });

    CLI::App* open = backup->add_subcommand(
        "open", "Decrypt an archive of purged audit records. Do this where the private half is.");
    open->add_option("--archive", archive_.archive, "the archive")->type_name("FILE")->required();
    open->add_option("--key", archive_.private_key, "the private half of its key pair")
        ->type_name("FILE")
        ->required();
    open->add_option("--out", archive_.out, "the tar to write")->type_name("FILE")->required();
    open->callback([this] { alone_ = [this] { return bedside::server::open_archive(archive_); }; });

    CLI::App* restore = command(
        app, "restore",
        "Put a backup into data_dir while the server is stopped. The audit log goes on under a new "
        "name and declares what was lost.");
    restore->require_subcommand(0);
    restore->add_option("--backup", restore_.backup, "the backup")->type_name("FILE")->required();
    restore->add_option("--key", restore_.private_key, "the private half of its key pair")
        ->type_name("FILE")
        ->required();
    restore
        ->add_option(
            "--anchor", restore_.anchors,
            "a checkpoint of the lost log that was kept elsewhere; tells how much is lost; "
            "may be given several times")
        ->type_name("FILE");
    restore->add_option("--genesis", restore_.genesis, "the first key as it was noted")
        ->type_name("HEX");
    restore->add_flag("--replace", restore_.replace,
                      "move the database that is there aside; nothing is removed");
    restore->callback([this] {
      chosen_ = [this](const Config& config) { return bedside::server::restore(config, restore_); };
    });
  }

  // Reads the configuration and the database; the server may run or not.
  void add_witness(CLI::App& app) {
    CLI::App* witness = command(
        app, "witness",
        "This server as a witness of other practices' audit logs, and witnesses of its own.");
    action(witness, "key", "Print the keys to exchange with the other server's operator.",
           bedside::server::print_witness_keys);
    CLI::App* list = action(witness, "list",
                            "Print the newest checkpoint cosigned for each log. `audit verify "
                            "--anchor` takes one log's.",
                            [this](const Config& config) {
                              return bedside::server::print_witnessed_logs(config, witnessed_log_);
                            });
    list->add_option("--log", witnessed_log_, "this log alone: the first line of its checkpoints")
        ->type_name("NAME");
  }

  // The exit code, if one of these commands was given.
  std::optional<int> run() const {
    if (alone_) return alone_();
    if (!chosen_) return std::nullopt;
    const auto config = read_config(config_file_);
    return config ? chosen_(*config) : 1;
  }

 private:
  using Run = std::function<int(const Config&)>;

  CLI::App* command(CLI::App& app, const char* name, const char* what) {
    CLI::App* made = app.add_subcommand(name, what);
    made->require_subcommand(1);
    made->fallthrough();
    made->add_option("--config", config_file_, "the server's configuration; without: the demo's")
        ->type_name("FILE");
    return made;
  }
  CLI::App* action(CLI::App* parent, const char* name, const char* what, Run run) {
    CLI::App* made = parent->add_subcommand(name, what);
    made->fallthrough();
    made->callback([this, run = std::move(run)] { chosen_ = run; });
    return made;
  }

  std::string config_file_;
  bedside::server::ApiTokenWish wish_;
  bedside::server::BackupKeyWish key_;
  bedside::server::RestoreWish restore_;
  bedside::server::OpenArchiveWish archive_;
  bedside::server::HoldCommand hold_;
  bedside::server::GiveUpKeys give_up_;
  std::string witnessed_log_;
  std::function<int()> alone_;  // needs no configuration
  std::string id_;
  std::string room_;
  Run chosen_;
};

int run(int argc, char** argv) {
  CLI::App app{
      "Bedside: video visits for a small practice, from one process. It is signaling server, "
      "TURN relay, session page and audit log.",
      "bedside"};
  app.set_version_flag("--version", std::string("bedside ") + bedside::server::kVersion +
                                        "\nSQLite " +
                                        std::string(bedside::store::sqlite_version()));
  app.require_subcommand(1);
  app.footer(
      "Start with `bedside serve`: a demo on this machine alone, nothing to configure.\n"
      "An example configuration is systemd/bedside.toml in the source tree.");

  std::string config_file;
  std::string assets;
  std::string subject;
  std::string level;
  CLI::App* serve_command = app.add_subcommand(
      "serve",
      "Serve visits until SIGTERM or Ctrl+C. Without --config: the demo on loopback "
      "(http://localhost:8080, https://localhost:8443), data in ./bedside-demo/.");
  serve_command->add_option("--config", config_file, "the configuration (TOML)")->type_name("FILE");
  serve_command
      ->add_option(
          "--assets", assets,
          "a source tree to read the pages from while developing, instead of the embedded ones")
      ->type_name("DIR")
      ->check(CLI::ExistingDirectory);
  serve_command
      ->add_option("--log-level", level,
                   "debug, info, warning or error, whatever the configuration says")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->type_name("LEVEL");
  CLI::App* check_command = app.add_subcommand(
      "check-config", "Tell everything that is wrong with a configuration; exit 1 if anything is.");
  std::string checked_file;
  check_command->add_option("FILE", checked_file, "the configuration (TOML)")->required();
  CLI::App* credential_command = app.add_subcommand(
      "turn-credential",
      "Print {\"iceServers\":[…]} with a TURN credential for another client, good "
      "for a day. Without --config: for the demo.");
  credential_command->add_option("--config", config_file, "the configuration (TOML)")
      ->type_name("FILE");
  credential_command->add_option("--subject", subject, "whom it is for; quotas count by this name")
      ->type_name("NAME")
      ->required();
  LocalCommands local(app);

  AuditCommands audit;
  add_audit_commands(app, config_file, audit);
  add_audit_export(app, config_file, audit);
  local.add_retention(*app.get_subcommand("audit"));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11's codes above 100 mean nothing to a shell: 2 is the usual one for wrong usage.
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const auto code = local.run()) return *code;
  if (serve_command->parsed()) return serve(config_file, assets, level);
  if (check_command->parsed()) return check_config(checked_file);
  if (audit.exporting->parsed()) {
    const auto config = read_config(config_file);
    return config ? bedside::server::audit_export(*config, audit.wish) : 1;
  }
  if (audit.verify->parsed()) return verify_audit(config_file, audit.request);
  return turn_credential(config_file, subject);
}

}  // namespace

int main(int argc, char** argv) {
  // A write past a limit on the size of files then fails, and whoever wrote it says so.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bedside: %s\n", error.what());
    return 1;
  }
}
