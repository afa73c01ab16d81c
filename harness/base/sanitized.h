/* Whether this is a build with the address sanitizer, under which memory cannot
 * be limited: gcc and clang say it in different ways. */
#ifndef POWERCUT_SANITIZED_H
#define POWERCUT_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
