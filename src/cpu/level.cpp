// Chooses the level: the best that this machine runs, or the one named by HADAMARD_LEVEL.
#include "level.h"
#include "extras.h"
#include <cstdlib>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hadamard {
// HADAMARD_LEVELS is what the build has, "X(v2) X(v3)", lowest first.
#define X(name)                                                                                                        \
  namespace name {                                                                                                     \
  extern const Level level;                                                                                            \
  }
HADAMARD_LEVELS
#undef X

namespace {

#if defined(__x86_64__)
[[maybe_unused]] bool runs_v2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
[[maybe_unused]] bool runs_v3() {
  return runs_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
[[maybe_unused]] bool runs_v4() {
  return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}
#else
[[maybe_unused]] bool runs_neon() { return true; }
#endif

struct Candidate {
  const Level *level;
  bool (*runs)();
};
constexpr Candidate candidates[] = {
#define X(name) {&name::level, runs_##name},
    HADAMARD_LEVELS
#undef X
};

} // namespace

const Level *find_level(const char *name) {
  for (const auto &c : candidates)
    if (std::strcmp(c.level->name, name) == 0 && c.runs()) return c.level;
  return nullptr;
}

const Extras &extras() {
  static const Extras found = [] {
    Extras e = {};
#if defined(__x86_64__)
    // By number: not every compiler that we build with knows the names.
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) e.avx512_vnni = c >> 11 & 1;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) e.avx_vnni = a >> 4 & 1, e.avx512_bf16 = a >> 5 & 1;
#endif
    return e;
  }();
  return found;
}

const char *available_levels() {
  static const struct Names {
    char text[32] = "";
    Names() {
      for (const auto &c : candidates)
        if (c.runs()) {
          if (*text) std::strcat(text, ", ");
          std::strcat(text, c.level->name);
        }
    }
  } names;
  return names.text;
}

const Level &level() {
  static const Level &chosen = [&]() -> const Level & {
    if (const char *name = std::getenv("HADAMARD_LEVEL"))
      if (const Level *forced = find_level(name)) return *forced;
    const Level *best = candidates[0].level;
    for (const auto &c : candidates)
      if (c.runs()) best = c.level;
    return *best;
  }();
  return chosen;
}

} // namespace hadamard
