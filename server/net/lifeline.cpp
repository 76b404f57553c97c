#include "server/net/lifeline.h"

#include <cassert>

namespace bedside::net {

Lifeline::Watch::Watch(Lifeline& lifeline) : lifeline_(&lifeline) {
  assert(lifeline.watch_ == nullptr);
  lifeline.watch_ = this;
}

Lifeline::Watch::~Watch() {
  if (lifeline_ != nullptr) lifeline_->watch_ = nullptr;
}

Lifeline::~Lifeline() {
  if (watch_ != nullptr) watch_->lifeline_ = nullptr;
}

}  // namespace bedside::net
