#pragma once

// A real server, and everybody who tells it something personal: programs, clinicians, patients,
// staff, strangers. Each value is planted once; what the server answers is kept.

#include <gtest/gtest.h>
#include <httplib.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/bedside_process.h"
#include "tests/server/canaries.h"
#include "tests/store/growing_log.h"

namespace bedside::server {

class CanaryInputs : public ::testing::Test {
 protected:
  using Json = nlohmann::json;

  CanaryInputs();
  ~CanaryInputs() override;

  // A visit from its making on; every fourth guest is declined, every eighth clinician uses the
  // relay. Without an end the room is in open_rooms_.
  void visit(std::size_t number, bool ends);
  // Bytes that no HTTP library sends.
  void strangers();
  // What staff type into the admin page, answers included; needs a visit that goes on.
  void staff();
  void command_line();
  // As the witness of their logs.
  void other_practices();
  // What staff are shown after all that, and who does not get in.
  void read_pages();
  void end_open_rooms();

  std::string path(const std::string& name) const;
  std::string to_webhook() const;  // everything
  Ended command(std::vector<std::string> words) const;

  TestServer server_;
  Canaries planted_;
  std::string refusals_;  // bodies of answers and messages that say no
  std::string headers_;   // of every answer
  std::string urls_;      // that the server made
  std::string shown_;     // to staff: the audit log, people, holds
  std::string pages_;     // to staff: rooms, answers to changes
  std::string said_;      // to the terminal, by commands
  std::string listed_;    // likewise, of what is there: rooms, tokens

 private:
  httplib::Headers noise();
  Json note(const httplib::Result& answer);
  Json post(httplib::Client& web, const Json& body, const httplib::Headers& headers);
  Json join(httplib::Client& web, const std::string& room, const std::string& link,
            const std::string& name);
  void talk(const std::string& room, const Json& doctor, const Json& patient, bool declined,
            bool ends);
  // The relay's own inputs: user names, software, peers.
  void relayed(const Json& doctor);
  void relay(const std::string& user, const std::string& password, const std::string& peer) const;
  void mistakes(httplib::Client& web, const std::string& room);

  // The admin page.
  void log_in();
  httplib::Result send(const std::string& name, const Json& body, int status = 200);
  Json get(const std::string& name);
  void filters();
  void rooms_of_staff(int round);
  void people();
  void holds();

  // The command line. What a command says on standard error goes to said_.
  void typed(const std::vector<std::string>& words, int exit_code, std::string& output);
  void token_commands();
  void room_commands();
  void hold_commands();
  void subject();

  static constexpr const char* kOtherLog = "other.example/audit";

  httplib::Client page_{"127.0.0.1", server_.http()};
  httplib::Headers page_headers_;
  store::GrowingLog other_log_{kOtherLog};
  std::string bearer_;
  mutable std::mutex hooked_;
  std::string webhook_;
  httplib::Server hook_;
  std::thread hook_thread_;
  std::vector<std::string> open_rooms_;
};

}  // namespace bedside::server
