// Our certificate and its key, put into an OpenSSL context.
#pragma once

#include <string>
#include <tl/expected.hpp>

struct ssl_ctx_st;

namespace bedside::net {

// Both files in PEM, the certificate first and its chain after it. The error is a sentence that
// names the file, the reason and the user we run as; it never shows contents.
tl::expected<void, std::string> use_certificate(ssl_ctx_st* context,
                                                const std::string& certificate_path,
                                                const std::string& private_key_path);

// The last reason OpenSSL gave, for operators; empties its queue.
std::string openssl_reason();

}  // namespace bedside::net
