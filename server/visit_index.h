#pragma once

// Which room a participant belongs to and whether the relay works for them: what joins the hub's
// events with the relays'. Control thread only.
//
// The relay tells about the end of an allocation after its participant is gone, so people are
// remembered until their last allocation is closed, and a number of them beyond that (a credential
// used in the last moment opens an allocation that is reported late).

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "turn/event.h"

namespace bedside::server {

class VisitIndex {
 public:
  static constexpr std::size_t kRemembered = 4096;

  void live(const std::string& participant, const std::string& room);
  void gone(const std::string& participant);

  // Counts allocations; the room of whom the event is about, or empty.
  std::string note(const turn::Event& event);

  bool relayed(const std::string& participant) const;
  std::size_t size() const { return people_.size(); }

 private:
  struct Person {
    std::string room;
    bool live = true;
    int allocations = 0;
  };
  void forget_if_over(const std::string& participant);

  std::unordered_map<std::string, Person> people_;
  std::deque<std::string> over_;  // gone without allocations, oldest first
};

}  // namespace bedside::server
