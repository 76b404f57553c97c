// Who said what to whom in simulated visits, and whether it arrived: exactly once, in order per
// sender, in the same room; and never silently lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace bedside::sim {

class Mail {
 public:
  struct Address {
    std::string room;
    std::string person;
  };

  // The sender is about to say something: its number, which travels in the message.
  std::uint64_t post(const Address& from, const std::string& to);
  void receive(const Address& to, const std::string& from, std::uint64_t number);

  // What was sent before may be missing from here on, or come (again): the receiver was told to
  // start afresh (`resync`, `existing-peers`), or is gone.
  void excuse_receiver(const std::string& person);
  // The same, once: the sender started afresh or is gone; the message was refused. A fresh start
  // makes the server forget the sender's numbers, so a repeat that was on its way then is no repeat
  // to it: the receiver has heard `peer-left` and `peer-joined` in between.
  void excuse_sender(const std::string& person);
  void excuse(std::uint64_t number);
  // Gone for good: nothing that is said to it from now on will arrive either.
  void forget(const std::string& person);

  // When all is quiet: whatever is missing must be excused.
  void check_complete() const;
  std::size_t received() const { return received_; }
  std::size_t excused() const;

 private:
  struct Letter {
    Address from;
    std::string to;
    bool received = false;
    bool excused = false;
    bool may_repeat = false;
  };
  std::vector<Letter> letters_;  // number - 1
  std::map<std::pair<std::string, std::string>, std::uint64_t> newest_;
  std::map<std::string, std::vector<std::uint64_t>> to_;
  std::map<std::string, std::vector<std::uint64_t>> from_;
  std::set<std::string> gone_;
  std::size_t received_ = 0;
};

}  // namespace bedside::sim
