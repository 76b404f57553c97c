// Who may use the API in invite mode (protocol.md 2.1), and the tokens they use.
#include <string>
#include <utility>

#include "server/control_impl.h"
#include "server/public_api.h"

namespace bedside::server {
namespace {

constexpr std::string_view kBearer = "bearer ";

// Empty: no bearer token. RFC 9110 §11.1: the scheme's letters may be of either case.
std::string_view bearer_of(const net::HttpRequest& request) {
  const std::string_view value = request.header("authorization").value_or("");
  if (value.size() <= kBearer.size()) return {};
  for (std::size_t i = 0; i < kBearer.size(); ++i) {
    const char c = value[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kBearer[i]) return {};
  }
  return value.substr(kBearer.size());
}

std::optional<Scope> needed_scope(const signaling::Action& action) {
  if (std::holds_alternative<signaling::CreateRoom>(action)) return Scope::rooms_create;
  if (std::holds_alternative<signaling::GetRoom>(action)) return Scope::rooms_read;
  if (std::holds_alternative<signaling::EndRoom>(action)) return Scope::rooms_end;
  return std::nullopt;  // the hub asks for a link's or a participant's secret
}

}  // namespace

AuditSource Control::Impl::source_of(const LocalUser& user) {
  AuditSource source;
  source.request_id = ++next_request_;
  source.listener = kLocalListener;
  source.local = user;
  return source;
}

tl::expected<void, net::HttpResponse> Control::Impl::check_rights(const signaling::Action& action,
                                                                  const net::HttpRequest& request,
                                                                  const RequestContext& context,
                                                                  signaling::Caller& caller) {
  const auto scope = needed_scope(action);
  if (options_.access == signaling::Access::open || !scope) return {};
  const std::string_view bearer = bearer_of(request);
  if (bearer.empty() && admin_ != nullptr) {
    if (const auto actor = admin_->actor_of(request, context)) {
      name_actor(*actor, caller);
      return {};
    }
  }
  const store::ApiTokenRow* token = bearer.empty() ? nullptr : tokens_.find(bearer, now().wall);
  if (token == nullptr) {
    if (!bearer.empty()) count(Abuse::token_denied, context.client.address);
    net::HttpResponse refused = signaling_refusal(401, "Authentication required");
    refused.set("WWW-Authenticate", "Bearer");
    return tl::unexpected(std::move(refused));
  }
  if (!allows(*token, *scope)) {
    count(Abuse::token_denied, context.client.address);
    return tl::unexpected(signaling_refusal(
        403, "This token does not have the scope " + std::string(name_of(*scope))));
  }
  caller.actor_kind = "api";
  caller.actor_id = token->token_id;
  caller.actor_auth = "token";
  return {};
}

bool Control::Impl::may_enter(const signaling::Action& action, const net::HttpRequest& request,
                              const RequestContext& context, const signaling::Caller& caller) {
  if (!std::holds_alternative<signaling::CreateRoom>(action) &&
      !std::holds_alternative<signaling::JoinRoom>(action)) {
    return true;
  }
  // A records system that lets patients in sends everybody's requests from one address.
  const std::string_view bearer = bearer_of(request);
  const bool known = caller.actor_auth == "session" ||
                     (!bearer.empty() && tokens_.find(bearer, now().wall) != nullptr);
  return known || entries_.admit(context.client.address, now().mono);
}

void Control::Impl::create_token(const ApiTokenWish& wish, const LocalUser& by, TokenMade done) {
  auto made = make_api_token(wish, now().wall);
  if (!made) return done(tl::unexpected(AdminRefusal{400, std::move(made.error())}));
  if (tokens_.full()) {
    return done(tl::unexpected(
        AdminRefusal{409, "there are 256 tokens already; revoke those that are not used"}));
  }
  store::Commit commit =
      seams_.trail.commit(AdminAction{ApiTokenCreated{{made->row}}}, source_of(by));
  commit.receipt = true;
  auto written = [this, made = std::move(*made),
                  done = std::move(done)](const store::CommitResult& result) mutable {
    if (result.status != store::CommitStatus::committed) {
      return done(tl::unexpected(AdminRefusal{503, "this cannot be recorded right now"}));
    }
    tokens_.add(made.row);
    made.receipt = result.receipt;
    done(std::move(made));
  };
  recorder_.record_at(std::move(commit), std::move(written));
}

void Control::Impl::record(const AdminAction& action, const LocalUser& by, Recorded done) {
  store::Commit commit = seams_.trail.commit(action, source_of(by));
  commit.receipt = true;
  recorder_.record_at(
      std::move(commit), [this, action, done = std::move(done)](const store::CommitResult& result) {
        const auto* disabled = std::get_if<UserDisabled>(&action);
        if (result.ok() && disabled != nullptr && admin_ != nullptr) {
          admin_->account_disabled(disabled->change.name);
        }
        if (result.ok()) return done(Written{result.first_seq, result.receipt});
        if (result.status == store::CommitStatus::conflict) {
          return done(tl::unexpected(AdminRefusal{409, "this contradicts what is there"}));
        }
        done(tl::unexpected(AdminRefusal{503, "this cannot be recorded right now"}));
      });
}

void Control::Impl::revoke_token(const std::string& token_id, const LocalUser& by, Ended done) {
  if (!tokens_.contains(token_id)) {
    return done(tl::unexpected(AdminRefusal{404, "there is no token with this id"}));
  }
  store::Commit commit =
      seams_.trail.commit(AdminAction{ApiTokenRevoked{{token_id}}}, source_of(by));
  commit.receipt = true;
  recorder_.record_at(std::move(commit), [this, token_id, done = std::move(done)](
                                             const store::CommitResult& result) {
    if (result.status != store::CommitStatus::committed) {
      return done(tl::unexpected(AdminRefusal{503, "this cannot be recorded right now"}));
    }
    tokens_.remove(token_id);
    done(result.receipt);
  });
}

}  // namespace bedside::server
