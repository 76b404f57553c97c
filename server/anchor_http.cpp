// Checkpoints sent away: to a URL of the practice, and to witnesses.
#include <httplib.h>

#include <charconv>
#include <chrono>
#include <utility>

#include "server/anchor_places.h"
#include "store/checkpoint.h"
#include "store/witness.h"
#include "stun/endpoint.h"

namespace bedside::server {
namespace {

constexpr time_t kPatienceSeconds = 10;        // for each of connecting, sending and receiving
constexpr std::size_t kMaxAnswer = 64 * 1024;  // bytes; a cosignature has less than one hundred
constexpr std::string_view kAddCheckpoint = "/add-checkpoint";

bool is_this_machine(const std::string& host) {
  const auto address = stun::IpAddress::parse(host);
  return host == "localhost" || (address && (*address == stun::IpAddress::v4(127, 0, 0, 1) ||
                                             *address == stun::IpAddress::parse("::1")));
}

AnchorProblem problem(std::string what) { return {std::move(what), false}; }

// Each call makes its own connection: they are an hour apart. A body that is longer or takes longer
// than any answer that has a meaning ends it: other places wait for their turn.
httplib::Result post(const AnchorUrl& url, const std::string& path, const std::string& body) {
  httplib::Client client(url.origin);
  client.set_connection_timeout(kPatienceSeconds);
  client.set_read_timeout(kPatienceSeconds);
  client.set_write_timeout(kPatienceSeconds);
  client.set_follow_location(false);
  client.enable_server_certificate_verification(true);
  std::string received;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
  httplib::Request request;
  request.method = "POST";
  request.path = path;
  request.body = body;
  request.set_header("Content-Type", "text/plain; charset=utf-8");
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    received.append(data, size);
    return received.size() <= kMaxAnswer && std::chrono::steady_clock::now() < until;
  };
  httplib::Result result = client.send(request);
  if (result) result->body = std::move(received);
  return result;
}

std::string no_answer(const AnchorUrl& url, const httplib::Result& result) {
  return url.host + " does not answer: " + httplib::to_string(result.error());
}

class AnchorWebhook final : public AnchorPlace {
 public:
  explicit AnchorWebhook(AnchorUrl url) : url_(std::move(url)), name_("webhook " + url_.host) {}
  const std::string& name() const override { return name_; }

  tl::expected<std::uint64_t, AnchorProblem> keep(const store::Reader& log) override {
    const auto newest = log.newest_checkpoint();
    if (!newest) return tl::unexpected(problem(newest.error()));
    const auto head = *newest ? store::read_tree_head(**newest) : std::nullopt;
    if (!head) return tl::unexpected(problem("the audit log has no checkpoint"));
    const httplib::Result result = post(url_, url_.path, **newest);
    if (!result) return tl::unexpected(problem(no_answer(url_, result)));
    if (result->status < 200 || result->status > 299) {
      return tl::unexpected(
          problem(url_.host + " answers with status " + std::to_string(result->status)));
    }
    return head->size;
  }

 private:
  AnchorUrl url_;
  std::string name_;
};

class AnchorWitness final : public AnchorPlace {
 public:
  AnchorWitness(WitnessSettings settings, AnchorUrl url, const store::SigningKey& log_key)
      : settings_(std::move(settings)),
        url_(std::move(url)),
        log_key_(log_key),
        name_("witness " + settings_.key.name) {}
  const std::string& name() const override { return name_; }

  tl::expected<std::uint64_t, AnchorProblem> keep(const store::Reader& log) override {
    auto done = ask(log);
    if (done || !other_size_) return done;
    // It has seen more, or less, than was thought here (after a restart nothing is thought).
    cosigned_size_ = *std::exchange(other_size_, std::nullopt);
    return ask(log);
  }

 private:
  tl::expected<std::uint64_t, AnchorProblem> ask(const store::Reader& log) {
    const auto newest = log.newest_checkpoint();
    const auto now =
        newest && *newest ? store::read_tree_head(**newest) : std::optional<store::TreeHead>();
    if (!now) return tl::unexpected(problem("the audit log has no checkpoint"));
    if (now->size < cosigned_size_) {
      return tl::unexpected(AnchorProblem{
          "it has cosigned " + std::to_string(cosigned_size_) + " records, and the log has only " +
              std::to_string(now->size) + ": the log was rolled back",
          true});
    }
    const auto grown = log.growth_since(cosigned_size_);
    if (!grown) return tl::unexpected(problem(grown.error()));
    const auto note = store::add_log_signature(grown->checkpoint, now->origin, log_key_);
    if (!note) return tl::unexpected(problem(note.error()));
    const httplib::Result result =
        post(url_, url_.path + std::string(kAddCheckpoint),
             store::add_checkpoint_body(cosigned_size_, grown->proof, *note));
    if (!result) return tl::unexpected(problem(no_answer(url_, result)));
    return read_answer(*result, *note);
  }

  tl::expected<std::uint64_t, AnchorProblem> read_answer(const httplib::Response& answer,
                                                         const std::string& note) {
    const auto sent = store::parse_note(note);
    const auto head = store::read_tree_head(sent->text);
    switch (answer.status) {
      case 200:
        break;
      case 403:
      case 404:
        return tl::unexpected(
            problem("it does not know this log: give its operator the key that "
                    "`bedside witness key` prints"));
      case 409: {
        std::uint64_t size = 0;
        std::from_chars(answer.body.data(), answer.body.data() + answer.body.size(), size);
        if (std::to_string(size) + "\n" == answer.body && size != cosigned_size_) {
          other_size_ = size;
          return tl::unexpected(problem("it has cosigned another size"));
        }
        [[fallthrough]];
      }
      case 422:
        return tl::unexpected(
            AnchorProblem{"it has cosigned other records than this log has", true});
      default:
        return tl::unexpected(problem("it answers with status " + std::to_string(answer.status)));
    }
    const auto whole = store::parse_note(note + answer.body);
    const auto time = whole ? store::cosigned_at(*whole, settings_.key) : std::nullopt;
    if (!time) return tl::unexpected(problem("its answer is not signed by the key configured"));
    cosigned_size_ = head->size;
    if (settings_.on_cosigned) settings_.on_cosigned({settings_.key.name, *head, *time});
    return head->size;
  }

  WitnessSettings settings_;
  AnchorUrl url_;
  const store::SigningKey& log_key_;
  std::string name_;
  std::uint64_t cosigned_size_ = 0;
  std::optional<std::uint64_t> other_size_;  // what it says instead
};

}  // namespace

std::optional<AnchorUrl> read_anchor_url(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return std::nullopt;
  const std::string name = url.substr(0, scheme);
  const std::size_t slash = url.find('/', scheme + 3);
  AnchorUrl made;
  made.origin = url.substr(0, slash);
  if (slash != std::string::npos) made.path = url.substr(slash);
  made.host = made.origin.substr(scheme + 3);
  const bool clean = url.find_first_of(" \t\r\n\"<>#@\\") == std::string::npos;
  const std::size_t port = made.host.rfind(':');
  const bool literal = made.host.starts_with('[');
  std::string bare = made.host;
  if (port != std::string::npos && (!literal || made.host[port - 1] == ']')) {
    bare = made.host.substr(0, port);
  }
  if (literal && bare.size() > 2) bare = bare.substr(1, bare.size() - 2);
  if (!clean || bare.empty()) return std::nullopt;
  if (name != "https" && !(name == "http" && is_this_machine(bare))) return std::nullopt;
  return made;
}

std::unique_ptr<AnchorPlace> make_anchor_webhook(const std::string& url) {
  auto parts = read_anchor_url(url);
  if (!parts) return nullptr;
  if (parts->path.empty()) parts->path = "/";
  return std::make_unique<AnchorWebhook>(std::move(*parts));
}

std::unique_ptr<AnchorPlace> make_anchor_witness(WitnessSettings settings,
                                                 const store::SigningKey& log_key) {
  auto parts = read_anchor_url(settings.url);
  if (!parts) return nullptr;
  if (parts->path.ends_with('/')) parts->path.pop_back();
  return std::make_unique<AnchorWitness>(std::move(settings), std::move(*parts), log_key);
}

}  // namespace bedside::server
