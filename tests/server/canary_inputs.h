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
  // What staff type, and what they are shown.
  void staff();
  void end_open_rooms();

  std::string path(const std::string& name) const;
  std::string to_webhook() const;  // everything
  Ended command(std::vector<std::string> words) const;

  TestServer server_;
  Canaries planted_;
  std::string refusals_;  // bodies of answers and messages that say no
  std::string headers_;   // of every answer
  std::string urls_;      // that the server made
  std::string shown_;     // to staff, of the audit log

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
  void mistakes(httplib::Client& web, const std::string& room);

  std::string bearer_;
  mutable std::mutex hooked_;
  std::string webhook_;
  httplib::Server hook_;
  std::thread hook_thread_;
  std::vector<std::string> open_rooms_;
};

}  // namespace bedside::server
