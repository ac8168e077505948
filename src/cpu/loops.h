// The loop of an op on a dtype, and the table of such loops.
#pragma once
#include "../op.h"
#include "level.h"
#include "math_complex.h"
#include "table.h"

namespace hadamard::LEVEL {
namespace {

// The storage type of a formula's result: bool for a mask, the operands' own where the formula stayed in what they
// compute in.
template <class R, class T> struct ResultOf;
template <int bytes, int N, class T> struct ResultOf<Mask<bytes, N>, T> {
  using type = bool;
};
template <class E, int N, class T> struct ResultOf<Lanes<E, N>, T> {
  using type = If<same<E, Compute<T>>, T, E>;
};

// Whether two vectors at once take less time than one after the other.
template <const auto &op> constexpr bool in_pairs = false;

// Whole vectors only; step is the way to the next vector in bytes, 0 where one vector repeats.
template <const auto &op, int N, class Out, class... In> void loop(char *const *at, const long *step, long vectors) {
  [&]<int... i>(Sequence<i...>) {
    char *out = at[0];
    const long out_step = step[0];
    const char *in[] = {at[i + 1]...};
    const long move[] = {step[i + 1]...};
    if constexpr (in_pairs<op> && (floating<In> && ...))
      if (((move[i] == N * sizeof(In)) && ...))
        for (; vectors > 1; vectors -= 2) {
          store<Out, 2 * N>(out, op(load<In, 2 * N>(in[i])...));
          out += 2 * out_step;
          ((in[i] += 2 * move[i]), ...);
        }
    for (; vectors > 0; --vectors) {
      store<Out, N>(out, op(load<In, N>(in[i])...));
      out += out_step;
      ((in[i] += move[i]), ...);
    }
  }(Indices<sizeof...(In)>{});
}

template <const auto &op, class Last, class... In> constexpr Loop loop_of() {
  constexpr int N = lanes_for<Last>();
  using Out = typename ResultOf<decltype(op(load<In, N>(nullptr)...)), Last>::type;
  return {loop<op, N, Out, In...>, N, 1 + sizeof...(In), {sizeof(Out), sizeof(In)...}, dtype_of<Out>};
}
template <const auto &op, class T> constexpr Loop loop_for() {
  if constexpr (!dtype_in(dtype_of<T>, op.dtypes)) return {};
  else if constexpr (op.condition) return loop_of<op, T, bool, T, T>();
  else if constexpr (op.arity == 1) return loop_of<op, T, T>();
  else if constexpr (op.arity == 2) return loop_of<op, T, T, T>();
  else return loop_of<op, T, T, T, T>();
}

template <const auto &op> constexpr Row row() {
  return {{
#define X(e, T, ...) loop_for<op, T>(),
      HD_DTYPES(X)
#undef X
  }};
}

} // namespace
} // namespace hadamard::LEVEL
