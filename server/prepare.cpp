#include "server/prepare.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "server/backup.h"
#include "server/port_probe.h"
#include "server/private_file.h"
#include "server/self_signed.h"

namespace bedside::server {
namespace {

std::chrono::seconds wall_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

bool has_records(const std::filesystem::path& database) {
  std::error_code absent;
  const auto size = std::filesystem::file_size(database, absent);
  return !absent && size > 0;
}

// The demo's secret for other TURN clients, made on the first start.
tl::expected<std::string, FileError> demo_shared_secret(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    std::array<unsigned char, 33> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
      return tl::unexpected(FileError{"the system gives no random numbers", "check /dev/urandom"});
    }
    std::array<unsigned char, 45> text{};  // 33 bytes are 44 characters, and a terminating zero
    EVP_EncodeBlock(text.data(), random.data(), static_cast<int>(random.size()));
    const std::string secret(text.begin(), text.end() - 1);
    if (auto written = write_file_atomically(file, secret + "\n", 0600); !written) {
      return tl::unexpected(written.error());
    }
  }
  return read_secret(file);
}

void prepare_demo(Config& config, std::vector<std::string>& errors) {
  auto secret = demo_shared_secret(config.turn.shared_secret_file);
  if (!secret) {
    errors.push_back(sentence(secret.error()));
  } else {
    config.turn.shared_secret = std::move(*secret);
  }
  const CertificateFiles files{config.https.certificate, config.https.private_key};
  if (const auto made = ensure_self_signed(files, wall_now()); !made) {
    errors.push_back(sentence(made.error()));
  }
}

class PortCheck {
 public:
  PortCheck(bool demo, std::vector<std::string>& errors) : demo_(demo), errors_(errors) {}

  // Leaves what can be bound. A machine without IPv6 serves IPv4 alone where nobody asked for an
  // IPv6 address in particular.
  void probe(std::vector<stun::Endpoint>& listen, const char* key) {
    listen = endpoints_to_bind(listen);
    const auto troubled = [&](const stun::Endpoint& endpoint) {
      return trouble(endpoint, Transport::tcp, key);
    };
    listen.erase(std::remove_if(listen.begin(), listen.end(), troubled), listen.end());
  }
  void probe_turn(Config& config) {
    std::vector<stun::Endpoint>& listen = config.turn.listen;
    const std::vector<stun::Endpoint> tcp = turn_tcp_endpoints(config);
    listen = endpoints_to_bind(listen);
    const auto troubled = [&](const stun::Endpoint& endpoint) {
      const bool own_tcp = std::find(tcp.begin(), tcp.end(), endpoint) != tcp.end();
      return (own_tcp && trouble(endpoint, Transport::tcp, "turn.listen")) ||
             trouble(endpoint, Transport::udp, "turn.listen");
    };
    listen.erase(std::remove_if(listen.begin(), listen.end(), troubled), listen.end());
  }
  bool ipv6_missing() const { return ipv6_missing_; }

 private:
  // True for an endpoint that must not be used; whatever is wrong with it has been noted.
  bool trouble(const stun::Endpoint& endpoint, Transport transport, const char* key) {
    const auto found = probe_port(endpoint, transport, key);
    if (!found) return false;
    const bool any_ipv6 = demo_ || endpoint.address.is_unspecified();
    if (found->address_missing && any_ipv6 && !endpoint.address.is_v4()) {
      ipv6_missing_ = true;
    } else {
      errors_.push_back(found->what + "\n    → " + remedy(*found));
    }
    return true;
  }

  std::string remedy(const PortTrouble& found) const {
    if (!demo_ || found.address_missing) return found.remedy;
    return found.remedy.substr(0, found.remedy.find(',')) +
           ", or write a configuration with other ports (bedside serve --config FILE)";
  }

  const bool demo_;
  std::vector<std::string>& errors_;
  bool ipv6_missing_ = false;
};

void load_certificate(const Config& config, Prepared& prepared, std::vector<std::string>& errors) {
  const std::string certificate = config.https.certificate.string();
  const std::string key = config.https.private_key.string();
  auto tls = net::TlsContext::load(certificate, key);
  if (!tls) return errors.push_back(std::move(tls.error()));
  prepared.tls.emplace(std::move(*tls));
  if (config.turn.listen.empty() || !config.turn.dtls) return;
  auto dtls = net::DtlsContext::load(certificate, key);
  if (!dtls) return errors.push_back(std::move(dtls.error()));
  prepared.dtls.emplace(std::move(*dtls));
}

}  // namespace

Prepared prepare(Config& config, std::vector<std::string>& errors) {
  Prepared prepared;
  if (const auto made = make_private_folder(config.data_dir); !made) {
    errors.push_back(sentence(made.error()));
  } else if (const auto keys =
                 open_keys(config.keys_dir(), has_records(config.database()) ? MissingKeys::refuse
                                                                             : MissingKeys::make);
             !keys) {
    errors.push_back(keys.error().message);
  } else {
    prepared.keys = *keys;
    const auto wrapping = open_wrapping_key(config.audit.key_file);
    if (!wrapping) errors.push_back(wrapping.error().message);
    if (wrapping && *wrapping) prepared.keys.wrapping = **wrapping;
    if (config.demo) prepare_demo(config, errors);
    remove_what_a_killed_backup_left(config);
  }
  PortCheck ports(config.demo, errors);
  ports.probe(config.http.listen, "http.listen");
  ports.probe(config.https.listen, "https.listen");
  ports.probe_turn(config);
  if (config.operator_listener.listen) {
    std::vector<stun::Endpoint> listen{*config.operator_listener.listen};
    ports.probe(listen, "operator.listen");
  }
  prepared.ipv6 = !ports.ipv6_missing();
  if (config.https.has_certificate() && errors.empty()) load_certificate(config, prepared, errors);
  return prepared;
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void keep_memory_private() {
  // The limit alone does not stop a core handler behind a pipe (core(5)); the flag stops both.
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace bedside::server
