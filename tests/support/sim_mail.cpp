#include "tests/support/sim_mail.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace bedside::sim {

std::uint64_t Mail::post(const Address& from, const std::string& to) {
  letters_.push_back({from, to, false, gone_.count(to) > 0});
  to_[to].push_back(letters_.size());
  from_[from.person].push_back(letters_.size());
  return letters_.size();
}

void Mail::receive(const Address& to, const std::string& from, std::uint64_t number) {
  if (number == 0 || number > letters_.size()) {
    ADD_FAILURE() << to.person << " got a message nobody sent";
    return;
  }
  Letter& letter = letters_[number - 1];
  if (letter.received && std::exchange(letter.may_repeat, false)) return;
  EXPECT_EQ(letter.from.room, to.room) << "message " << number << " changed its room";
  EXPECT_EQ(letter.from.person, from) << "message " << number << " has another sender";
  EXPECT_EQ(letter.to, to.person) << "message " << number << " went astray";
  EXPECT_FALSE(letter.received) << "message " << number << " to " << to.person << " came twice";
  std::uint64_t& newest = newest_[{from, to.person}];
  EXPECT_GT(number, newest) << "messages from " << from << " to " << to.person << " out of order";
  newest = std::max(newest, number);
  letter.received = true;
  ++received_;
}

void Mail::excuse_receiver(const std::string& person) {
  for (const std::uint64_t number : to_[person]) {
    letters_[number - 1].excused = true;
    letters_[number - 1].received = false;
  }
  std::erase_if(newest_, [&](const auto& entry) { return entry.first.second == person; });
}

void Mail::excuse_sender(const std::string& person) {
  for (const std::uint64_t number : from_[person]) {
    letters_[number - 1].excused = letters_[number - 1].may_repeat = true;
  }
}

void Mail::excuse(std::uint64_t number) {
  if (number > 0 && number <= letters_.size()) letters_[number - 1].excused = true;
}

void Mail::forget(const std::string& person) {
  excuse_receiver(person);
  excuse_sender(person);
  gone_.insert(person);
}

void Mail::check_complete() const {
  for (std::size_t i = 0; i < letters_.size(); ++i) {
    const Letter& letter = letters_[i];
    EXPECT_TRUE(letter.received || letter.excused)
        << "message " << i + 1 << " from " << letter.from.person << " to " << letter.to
        << " was lost and nobody was told";
  }
}

std::size_t Mail::excused() const {
  return static_cast<std::size_t>(std::count_if(
      letters_.begin(), letters_.end(), [](const auto& l) { return l.excused && !l.received; }));
}

}  // namespace bedside::sim
