// HTTP requests and responses as values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bedside::net {

// One complete request as HttpReader let it through: every field obeys the RFC 9110/9112 grammar,
// nothing in it contains a control character (tabs inside header values excepted).
struct HttpRequest {
  std::string method;  // a token as sent, case matters: "GET"
  std::string path;    // percent-decoded once, begins with '/' (or is "*" for OPTIONS)
  std::string target;  // as sent, in origin-form: path and query, for redirects
  std::string query;   // as sent, without the '?'; read it with query_value()
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, order kept
  std::string body;
  bool keep_alive = true;  // what the client asked for

  // The first field of that name (`name` in lower case).
  std::optional<std::string_view> header(std::string_view name) const;
  // The first `name=value` of the query, decoded as a form ('+' is a space).
  std::optional<std::string> query_value(std::string_view name) const;
  // The first cookie of that name, as sent.
  std::optional<std::string_view> cookie(std::string_view name) const;
};

// What a handler answers. Content-Length, Date and Connection are written by the server.
struct HttpResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  static HttpResponse json(int status, std::string body);
  static HttpResponse text(int status, std::string body);

  // Replaces the field of that name (compared without case). A name that is no token or a value
  // with a control character is refused (false) and changes nothing: no answer can be split.
  bool set(std::string_view name, std::string_view value);
  // Like set() but keeps earlier fields of that name (Set-Cookie).
  bool add(std::string_view name, std::string_view value);
};

std::string_view reason_phrase(int status);

struct WriteOptions {
  bool close = false;          // "Connection: close"
  bool head_only = false;      // the answer to HEAD: the length of the body but not the body
  long long wall_seconds = 0;  // for Date, Unix time; 0 leaves it out
};

// The response as bytes. 1xx, 204 and 304 get neither a body nor a length.
std::string to_bytes(const HttpResponse& response, const WriteOptions& options);

// Without the spaces and tabs around it (RFC 9110 §5.6.3).
std::string_view trim(std::string_view text);

// %41 → A. Nothing when an escape is malformed or stands for a control character.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

// Whether a comma separated header value has `token`, compared without case (Connection, Upgrade).
bool has_token(std::string_view list, std::string_view token);

}  // namespace bedside::net
