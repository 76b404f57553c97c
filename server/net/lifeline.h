// How an object learns that a callback has destroyed it.
#pragma once

namespace bedside::net {

// A member of an object whose callbacks may destroy it. A function that calls out sets up a Watch
// first and asks it before touching the object again:
//
//   Lifeline::Watch watch(lifeline_);
//   handler_.on_bytes(...);
//   if (watch.cut()) return;
//
// One watch at a time; a Watch is a local variable of a function below the loop.
class Lifeline {
 public:
  class Watch {
   public:
    explicit Watch(Lifeline& lifeline);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    bool cut() const { return lifeline_ == nullptr; }

   private:
    friend class Lifeline;
    Lifeline* lifeline_;
  };

  Lifeline() = default;
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

 private:
  Watch* watch_ = nullptr;
};

}  // namespace bedside::net
