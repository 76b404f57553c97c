// DTLS in a bad and hostile network: a real client whose datagrams (and our answers) an arbitrary
// program drops, repeats, cuts and changes, between datagrams of strangers. Whatever happens, a
// stranger gets at most one short answer and leaves nothing behind, and nothing is ever delivered
// that the client did not send.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/net/dtls.h"
#include "tests/net/dtls_client.h"
#include "tests/net/test_certificate.h"

namespace {

using namespace bedside;
using Packet = std::vector<std::uint8_t>;

constexpr std::size_t kHelloVerifyRequest = 44;

void require(bool holds) {
  if (!holds) std::abort();
}

const net::DtlsContext& context() {
  static const tests::TestCertificate kCertificate;
  static const auto kContext =
      net::DtlsContext::load(kCertificate.certificate(), kCertificate.key());
  return kContext.value();
}

net::UdpSocket loopback_socket() {
  return net::UdpSocket::bind({stun::IpAddress::v4(127, 0, 0, 1), 0}).value();
}

// Past its end everything is zero: a network that does its best.
class Program {
 public:
  Program(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}
  bool ended() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }
  Packet bytes(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

 private:
  stun::Bytes bytes_;
};

// The server's half: a gate, and the association of whoever gets through it.
class Server final : public net::DtlsAssociation::Handler {
 public:
  Server(net::Loop& loop, const std::set<std::string>& sent)
      : loop_(loop), sent_(sent), gate_(context(), outgoing_) {}
  ~Server() {
    association_.reset();
    outgoing_.flush();
  }

  const stun::Endpoint& local() const { return socket_.local(); }
  bool has_association() const { return association_ != nullptr; }

  void take(const stun::Endpoint& from, stun::Bytes datagram, bool stranger) {
    if (association_ && !stranger) {
      association_->receive(datagram);
    } else if (auto session = gate_.knock({&socket_, from, socket_.local()}, datagram)) {
      require(!stranger);
      association_ = std::make_unique<net::DtlsAssociation>(loop_, std::move(*session), *this);
      association_->receive({});
    }
    outgoing_.flush();
  }

  void on_secured(net::DtlsAssociation&) override { secured_ = true; }
  void on_message(net::DtlsAssociation& association, stun::Bytes payload) override {
    require(secured_ && sent_.contains({payload.begin(), payload.end()}));
    association.write(payload);
  }
  void on_closed(net::DtlsAssociation&) override {
    association_.reset();
    secured_ = false;
  }

 private:
  net::Loop& loop_;
  const std::set<std::string>& sent_;
  net::UdpSocket socket_ = loopback_socket();
  net::SendBatch outgoing_;
  net::DtlsGate gate_;
  std::unique_ptr<net::DtlsAssociation> association_;
  bool secured_ = false;
};

class Machine {
 public:
  void run(Program program) {
    for (int steps = 0; steps < 64 && !program.ended(); ++steps) {
      step(program);
      client_.pump();
      carry(program);
      loop_.run_once(std::chrono::nanoseconds(0));
    }
  }

 private:
  void step(Program& program) {
    switch (program.byte() % 5) {
      case 0: {
        const Packet noise = program.bytes(program.byte());
        return server_.take(middle_.local(), noise, false);
      }
      case 1:
        return strangers_datagram(program.bytes(program.byte()));
      case 2:
        if (seen_.empty()) return;
        return strangers_datagram(altered(seen_[program.byte() % seen_.size()], program));
      case 3: {
        std::string message = "message " + std::to_string(sent_.size());
        client_.send(message);
        sent_.insert(std::move(message));
        return;
      }
      default:
        return;  // only what is under way moves on
    }
  }

  // From an address that never received a cookie.
  void strangers_datagram(const Packet& datagram) {
    const bool before = server_.has_association();
    server_.take(stranger_.local(), datagram, true);
    require(server_.has_association() == before);
    std::size_t answered = 0;
    for (const net::Datagram& answer : stranger_.receive(inbox_)) answered += answer.size;
    require(answered <= std::min(datagram.size(), kHelloVerifyRequest));
  }

  // What waits in the middle goes on, as the program pleases.
  void carry(Program& program) {
    std::vector<std::pair<bool, Packet>> waiting;
    for (const net::Datagram& datagram : middle_.receive(inbox_)) {
      const auto payload = datagram.payload();
      waiting.emplace_back(datagram.from == client_.local(),
                           Packet(payload.begin(), payload.end()));
    }
    for (const auto& [from_client, datagram] : waiting) {
      if (from_client && seen_.size() < 16) seen_.push_back(datagram);
      const std::uint8_t fate = program.byte();
      if (fate % 8 == 7) continue;  // lost
      const Packet arrives = fate % 8 == 6 ? altered(datagram, program) : datagram;
      for (int copies = fate % 8 == 5 ? 2 : 1; copies > 0; --copies) {
        if (from_client) {
          server_.take(middle_.local(), arrives, false);
        } else {
          outgoing_.add_copy(middle_, client_.local(), arrives);
          outgoing_.flush();
        }
      }
    }
  }

  static Packet altered(Packet datagram, Program& program) {
    for (int count = 1 + program.byte() % 3; count > 0 && !datagram.empty(); --count) {
      const std::size_t at = static_cast<std::size_t>(program.byte() * 7) % datagram.size();
      datagram[at] = static_cast<std::uint8_t>(datagram[at] ^ program.byte());
    }
    if (program.byte() % 4 == 3) datagram.resize(program.byte() % (datagram.size() + 1));
    return datagram;
  }

  net::Loop loop_;
  std::set<std::string> sent_;
  net::UdpSocket middle_ = loopback_socket();
  net::UdpSocket stranger_ = loopback_socket();
  net::ReceiveBatch inbox_;
  net::SendBatch outgoing_;
  Server server_{loop_, sent_};
  tests::DtlsTestClient client_{middle_.local()};
  std::vector<Packet> seen_;  // of the client: handshake messages to replay from elsewhere
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Machine().run(Program(data, size));
  return 0;
}
