// Whether this build carries a sanitizer: its own memory grows with what is done, and it takes its
// time. Figures of memory and of the clock are held against their promises where it is not there.
#pragma once

namespace bedside::testing_support {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace bedside::testing_support
