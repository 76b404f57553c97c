#pragma once

// Says in the log of the service when the audit log cannot get its next key: it goes on under the
// old one, which then could sign anew what should be past. Main thread.

#include <string>

namespace bedside::server {

class EpochWatch {
 public:
  // What is wrong now (Store::epoch_trouble); a line only when that is another thing than before.
  void look(std::string trouble);

 private:
  std::string trouble_;
};

}  // namespace bedside::server
