#include "server/net/http_reader.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace bedside::net {
namespace {

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_token(std::string_view text) {  // RFC 9110 §5.6.2
  constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alpha(c) || is_digit(c) || kPunctuation.find(c) != std::string_view::npos;
  });
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// A byte that may not stand anywhere in a head; CR and LF are judged by their place.
bool is_forbidden(char c) {
  const auto value = static_cast<unsigned char>(c);
  return (value < 0x20 && c != '\t' && c != '\r' && c != '\n') || value == 0x7f;
}

// Characters that browsers always escape in a request target; "#" starts what they never send.
bool may_be_in_target(char c) {
  constexpr std::string_view kNever = "\"#<>\\";
  return c > 0x20 && c < 0x7f && kNever.find(c) == std::string_view::npos;
}

bool is_host(std::string_view text) {
  constexpr std::string_view kPunctuation = ".-_:[]%~";
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alpha(c) || is_digit(c) || kPunctuation.find(c) != std::string_view::npos;
  });
}

// Path segments "." and "..", and escapes that would become separators: they exist only to make
// two readers disagree.
bool is_plain_path(std::string_view raw, std::string_view decoded) {
  const std::string lower = to_lower(raw);
  if (lower.find("%2f") != std::string::npos || lower.find("%5c") != std::string::npos) {
    return false;
  }
  for (std::string_view rest = decoded; !rest.empty();) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment == "." || segment == "..") return false;
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
  }
  return true;
}

// Fields of which a second one would be read differently by different readers.
bool is_singleton(std::string_view name) {
  constexpr std::array<std::string_view, 11> kSingletons = {"host",
                                                            "content-length",
                                                            "transfer-encoding",
                                                            "content-type",
                                                            "origin",
                                                            "authorization",
                                                            "cookie",
                                                            "expect",
                                                            "range",
                                                            "sec-websocket-key",
                                                            "sec-websocket-version"};
  return std::find(kSingletons.begin(), kSingletons.end(), name) != kSingletons.end();
}

}  // namespace

HttpReader::HttpReader(const HttpLimits& limits) : limits_(limits) {}

std::size_t HttpReader::feed(stun::Bytes bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ == State::head) {
    take_head_byte(static_cast<char>(bytes[taken++]));
  }
  if (state_ == State::body) {
    const std::size_t size = std::min(bytes.size() - taken, body_length_ - request_.body.size());
    if (size > 0) {
      const std::string_view part = stun::as_text(bytes.subspan(taken, size));
      request_.body.append(part);
      taken += size;
      want_continue_ = false;
    }
    if (request_.body.size() == body_length_) state_ = State::complete;
  }
  return taken;
}

bool HttpReader::take_continue() {
  return std::exchange(want_continue_, false) && state_ == State::body;
}

HttpRequest HttpReader::take() {
  assert(state_ == State::complete);
  HttpRequest result = std::move(request_);
  *this = HttpReader(limits_);
  return result;
}

void HttpReader::refuse(int status, std::string_view reason) {
  if (state_ == State::refused) return;
  refusal_ = {status, reason};
  state_ = State::refused;
}

void HttpReader::take_head_byte(char c) {
  const char before = text_.empty() ? '\0' : text_.back();
  if (c == '\n' && before != '\r') return refuse(400, "A line must end with CR LF");
  if (before == '\r' && c != '\n') return refuse(400, "CR must be followed by LF");
  if (is_forbidden(c)) return refuse(400, "Control character in the request head");
  const bool in_request_line = request_.method.empty();
  if (in_request_line && text_.size() >= limits_.target + limits_.method + 16) {
    return refuse(414, "The request target is too long");
  }
  if (text_.size() >= limits_.head) return refuse(431, "The request head is too large");
  text_ += c;
  if (c != '\n') return;

  const std::size_t start = std::exchange(line_start_, text_.size());
  const std::string_view line = std::string_view(text_).substr(start, text_.size() - start - 2);
  if (!in_request_line) {
    if (line.empty()) return finish_head();
    return parse_field(line);
  }
  if (!line.empty()) return parse_request_line(line);
  // One empty line before a request is left over from clients that end bodies with CR LF
  // (RFC 9112 §2.2).
  if (skipped_empty_line_) return refuse(400, "The request line is missing");
  skipped_empty_line_ = true;
  text_.clear();
  line_start_ = 0;
}

void HttpReader::parse_request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refuse(400, "The request line must be method, target and version");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return refuse(400, "The method is not a token");
  if (method.size() > limits_.method) return refuse(501, "The method is not known");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool other = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                       is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
    if (other) return refuse(505, "Only HTTP/1.1 is spoken here");
    return refuse(400, "The HTTP version is malformed");
  }
  if (target.size() > limits_.target) return refuse(414, "The request target is too long");
  request_.method = method;
  request_.keep_alive = version == "HTTP/1.1";
  http_1_0_ = !request_.keep_alive;
  parse_target(target);
}

void HttpReader::parse_target(std::string_view target) {
  if (target.empty() || !std::all_of(target.begin(), target.end(), may_be_in_target)) {
    return refuse(400, "The request target has a character that must be escaped");
  }
  if (target == "*" && request_.method == "OPTIONS") {
    request_.path = request_.target = "*";
    return;
  }
  if (target[0] != '/') {  // absolute-form, RFC 9112 §3.2.2
    const std::string scheme = to_lower(target.substr(0, 8));
    const std::size_t skip = scheme == "https://" ? 8 : (scheme.substr(0, 7) == "http://" ? 7 : 0);
    if (skip == 0) return refuse(400, "The request target must be a path");
    target.remove_prefix(skip);
    const std::size_t authority = std::min(target.find_first_of("/?"), target.size());
    authority_ = to_lower(target.substr(0, authority));
    if (!is_host(authority_))
      return refuse(400, "The authority of the request target is malformed");
    target.remove_prefix(authority);
  }
  const std::string_view path = target.substr(0, target.find('?'));
  if (path.size() < target.size()) request_.query = target.substr(path.size() + 1);
  const auto decoded = percent_decode(path.empty() ? "/" : path);
  if (!decoded || !percent_decode(request_.query)) {
    return refuse(400, "The request target has a malformed or forbidden escape");
  }
  if (!is_plain_path(path, *decoded)) return refuse(400, "The path has a forbidden segment");
  request_.path = *decoded;
  request_.target = path.empty() ? "/" + std::string(target) : std::string(target);
}

void HttpReader::parse_field(std::string_view line) {
  if (line[0] == ' ' || line[0] == '\t') return refuse(400, "Folded header fields are refused");
  if (request_.headers.size() >= limits_.fields) return refuse(431, "Too many header fields");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return refuse(400, "A header field must be a name, a colon and a value");
  }
  std::string name = to_lower(line.substr(0, colon));
  if (is_singleton(name) && request_.header(name)) {
    return refuse(400, "A header field that must be unique is repeated");
  }
  request_.headers.emplace_back(std::move(name), trim(line.substr(colon + 1)));
}

void HttpReader::finish_head() {
  head_complete_ = true;
  const auto host = request_.header("host");
  if (!host && !http_1_0_) return refuse(400, "The Host field is missing");
  if (host && !is_host(*host)) return refuse(400, "The Host field is malformed");
  if (!authority_.empty() && (!host || to_lower(*host) != authority_)) {
    return refuse(400, "The request target and the Host field disagree");
  }
  for (const auto& [name, value] : request_.headers) {
    if (name == "connection" && has_token(value, "close")) request_.keep_alive = false;
  }
  // RFC 9110 §7.8: HTTP/1.0 knows no Upgrade.
  if (http_1_0_)
    std::erase_if(request_.headers, [](const auto& f) { return f.first == "upgrade"; });
  if (!find_body_length()) return;
  if (const auto expect = request_.header("expect")) {
    if (to_lower(*expect) != "100-continue")
      return refuse(417, "Only 100-continue can be expected");
    want_continue_ = body_length_ > 0 && !http_1_0_;
  }
  text_.clear();
  text_.shrink_to_fit();
  state_ = State::body;  // feed() completes it when there is none
}

bool HttpReader::find_body_length() {
  const auto length = request_.header("content-length");
  if (request_.header("transfer-encoding")) {
    // Both together are how requests are smuggled (RFC 9112 §6.1); alone it is merely not offered.
    if (length || http_1_0_) {
      refuse(400, "Transfer-Encoding is refused");
    } else {
      refuse(411, "Transfer-Encoding is refused, send a Content-Length");
    }
    return false;
  }
  if (!length) return true;
  if (length->empty() || !std::all_of(length->begin(), length->end(), is_digit)) {
    refuse(400, "Content-Length must be one number");
    return false;
  }
  for (const char c : *length) {
    body_length_ = body_length_ * 10 + static_cast<std::size_t>(c - '0');
    if (body_length_ > limits_.body) {
      refuse(413, "The request body is too large");
      return false;
    }
  }
  return true;
}

}  // namespace bedside::net
