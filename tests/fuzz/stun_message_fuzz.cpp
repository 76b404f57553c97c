// Any bytes as a STUN message: read it in every way the server does, answer it, write it again.
#include <array>
#include <cstdlib>
#include <tuple>
#include <vector>

#include "stun/binding.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/message_writer.h"

namespace {

using namespace bedside::stun;

void require(bool holds) {
  if (!holds) std::abort();
}

// What counts in a message, written anew, must be read back the same.
void write_again(const MessageView& message) {
  std::vector<std::uint8_t> buffer(message.bytes().size());
  MessageWriter writer(buffer, message.message_class(), message.method(), message.transaction());
  for (const AttributeView& attribute : message) {
    if (attribute.type == Attribute::fingerprint) {
      writer.add_fingerprint();
    } else {
      writer.add_bytes(attribute.type, attribute.value);
    }
  }
  const auto again = MessageView::parse(writer.finish());
  require(again.has_value());
  auto expected = message.begin();
  for (const AttributeView& attribute : *again) {
    require(expected != message.end() && attribute.type == expected->type);
    require(attribute.type == Attribute::fingerprint ||
            as_text(attribute.value) == as_text(expected->value));
    ++expected;
  }
  require(expected == message.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = MessageView::parse({data, size});
  if (!message) return 0;
  for (const AttributeView& attribute : *message) {
    require(attribute.offset + kAttributeHeaderSize + attribute.value.size() <= size);
    std::ignore = message->u8(attribute.type);
    std::ignore = message->u16(attribute.type);
    std::ignore = message->u32(attribute.type);
    std::ignore = message->decode_xor_address(attribute);
  }
  std::ignore = message->error_code();
  require(message->has_unknown_required() == (message->unknown_required().size > 0));

  const LongTermKey key = LongTermKey::md5("user", "realm", "password");
  require(!verify_integrity(*message, key.bytes()) || message->has(Attribute::message_integrity));
  std::ignore = verify_integrity_sha256(*message, key.bytes());

  std::array<std::uint8_t, kMaxBindingReply> reply{};
  const bool is_binding = message->is(Class::request, Method::binding);
  const Bytes answer = answer_binding(*message, Endpoint{}, reply);
  require(answer.empty() != is_binding);
  write_again(*message);
  return 0;
}
