// Conversions between all dtypes, and copies.
#include "loops.h"

namespace hadamard::LEVEL {
namespace {

template <class To, class From> void convert_loop(char *const *at, const long *step, long vectors) {
  constexpr int N = lanes_for<To, From>();
  char *to = at[0];
  const char *from = at[1];
  for (const long out = step[0], in = step[1]; vectors > 0; --vectors, to += out, from += in)
    store<To, N>(to, cast<Compute<To>>(load<From, N>(from)));
}
// Bits, whatever they mean: a NaN keeps its payload.
void copy_loop(char *const *at, const long *step, long vectors) {
  char *to = at[0];
  const char *from = at[1];
  for (const long out = step[0], in = step[1]; vectors > 0; --vectors, to += out, from += in)
    put(to, raw<int64_t, width / 8>(from));
}
template <class From, class To> constexpr Loop loop_for() {
  if constexpr (same<From, To>) return {copy_loop, width / sizeof(To), 2, {sizeof(To), sizeof(To)}, dtype_of<To>, true};
  else return {convert_loop<To, From>, lanes_for<To, From>(), 2, {sizeof(To), sizeof(From)}, dtype_of<To>};
}
template <class From> constexpr Row row() {
  return {{
#define X(e, T, ...) loop_for<From, T>(),
      HD_DTYPES(X)
#undef X
  }};
}

} // namespace

extern constinit const Row rows_cast[dtype_count] = {
#define X(e, T, ...) row<T>(),
    HD_DTYPES(X)
#undef X
};

} // namespace hadamard::LEVEL
