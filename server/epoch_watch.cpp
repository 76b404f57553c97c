#include "server/epoch_watch.h"

#include <utility>

#include "server/log.h"

namespace bedside::server {

void EpochWatch::look(std::string trouble) {
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  if (trouble_.empty()) return log::info("the audit log goes on under a new key");
  log::error("the audit log's next key cannot be made; the old one signs on",
             {{"why", log::Configured(trouble_)}});
}

}  // namespace bedside::server
