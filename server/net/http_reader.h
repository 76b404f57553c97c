// The strict HTTP/1.1 request parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/net/http_message.h"
#include "stun/bytes.h"

namespace bedside::net {

struct HttpLimits {
  std::size_t head = std::size_t{16} * 1024;   // request line and fields → 431
  std::size_t target = std::size_t{8} * 1024;  // → 414
  std::size_t method = 32;                     // → 501
  std::size_t fields = 64;                     // → 431
  std::size_t body = std::size_t{64} * 1024;   // → 413
};

struct HttpRefusal {
  int status = 400;
  std::string_view reason;  // a static sentence, for the answer and for tests
};

// Reads HTTP/1.1 requests (RFC 9112) from bytes at any split. Strict, because everything between a
// browser and us that reads the same bytes differently is an attack: no bare LF or CR, no folding,
// no space before the colon, exactly one Host, at most one Content-Length of digits, no
// Transfer-Encoding, no control characters (not even percent-encoded ones), absolute-form only when
// it names the Host. Memory: the limits, nothing more. Sans-IO.
class HttpReader {
 public:
  enum class State : std::uint8_t { head, body, complete, refused };

  explicit HttpReader(const HttpLimits& limits = {});

  // Takes bytes up to the end of the current request and returns how many: the rest belongs to the
  // next request. Takes nothing in `complete` (call take() first) and in `refused` (for good).
  std::size_t feed(stun::Bytes bytes);

  State state() const { return state_; }
  bool started() const { return !text_.empty() || state_ != State::head; }  // mid-request
  // "Expect: 100-continue" and not a byte of the body has come: true once a request.
  bool take_continue();
  const HttpRefusal& refusal() const { return refusal_; }  // in `refused`
  // The request at hand, without its body; null while its head is not complete.
  const HttpRequest* head() const { return head_complete_ ? &request_ : nullptr; }

  // The request in `complete`; the reader is ready for the next one.
  HttpRequest take();

 private:
  void refuse(int status, std::string_view reason);
  void take_head_byte(char c);
  void parse_request_line(std::string_view line);
  void parse_target(std::string_view target);
  void parse_field(std::string_view line);
  void finish_head();
  bool find_body_length();  // false: refused

  HttpLimits limits_;
  State state_ = State::head;
  HttpRefusal refusal_;
  std::string text_;  // the head as it arrives
  std::size_t line_start_ = 0;
  bool skipped_empty_line_ = false;
  bool http_1_0_ = false;
  bool want_continue_ = false;
  bool head_complete_ = false;
  std::string authority_;  // of an absolute-form target
  std::size_t body_length_ = 0;
  HttpRequest request_;
};

}  // namespace bedside::net
