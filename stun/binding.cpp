#include "stun/binding.h"

#include "stun/message_writer.h"

namespace bedside::stun {

Bytes answer_binding(const MessageView& request, const Endpoint& source,
                     MutableBytes out) noexcept {
  if (!request.is(Class::request, Method::binding)) return {};
  const bool refused = request.has_unknown_required();
  MessageWriter reply(out, refused ? Class::error : Class::success, Method::binding,
                      request.transaction());
  if (refused) {
    reply.add_error(420).add_unknown_attributes(request.unknown_required().view());
  } else {
    reply.add_xor_address(Attribute::xor_mapped_address, source);
  }
  if (request.has(Attribute::fingerprint)) reply.add_fingerprint();
  return reply.finish();
}

}  // namespace bedside::stun
