// The loops of the derivatives of ELEMENTWISE_SLOPES.
#include "elementwise.h"

namespace hadamard::LEVEL {
namespace {

struct Unread {};
template <bool wanted, class T, int N> HD_INLINE auto load_if(const char *p) {
  if constexpr (wanted) return load<T, N>(p);
  else return Unread{};
}

// Operands: the incoming gradient, then those of a, b, c and y that the formula reads.
template <const auto &op, char letter, class T, int N> void slope(char *const *at, const long *step, long vectors) {
  constexpr const auto &d = derivative_by<letter>(op);
  static_assert(d.operand[0] == letter);
  constexpr unsigned read = reads(d.source);
  const char *in[5] = {};
  long move[5] = {};
  char *out = at[0];
  const long out_step = step[0];
  for (int i = 0, k = 1; i < 5; ++i)
    if (i == 0 || read >> (i - 1) & 1) in[i] = at[k], move[i] = step[k], ++k;
  for (; vectors > 0; --vectors) {
    store<T, N>(out,
                d.formula(load<T, N>(in[0]), load_if<bool(read & 1), T, N>(in[1]), load_if<bool(read & 2), T, N>(in[2]),
                          load_if<bool(read & 4), T, N>(in[3]), load_if<bool(read & 8), T, N>(in[4])));
    out += out_step;
    for (int i = 0; i < 5; ++i) in[i] += move[i];
  }
}

template <const auto &op, char letter, class T> constexpr Loop slope_for() {
  if constexpr (sizeof(T) < 4 || !dtype_in(dtype_of<T>, floats)) {
    return {};
  } else {
    constexpr int N = lanes_for<T>();
    constexpr unsigned read = reads(derivative_by<letter>(op).source);
    constexpr int operands = 2 + int(read & 1) + int(read >> 1 & 1) + int(read >> 2 & 1) + int(read >> 3);
    static_assert(operands <= max_operands);
    Loop r = {slope<op, letter, T, N>, N, operands, {}, dtype_of<T>};
    for (int i = 0; i < operands; ++i) r.size[i] = sizeof(T);
    return r;
  }
}

template <const auto &op, char letter> constexpr Row slope_row() {
  return {{
#define X(e, T, ...) slope_for<op, letter, T>(),
      HD_DTYPES(X)
#undef X
  }};
}

} // namespace

extern constinit const Row rows_slopes[] = {
#define X(op, operand) slope_row<ops::op, #operand[0]>(),
    ELEMENTWISE_SLOPES(X)
#undef X
};

} // namespace hadamard::LEVEL
