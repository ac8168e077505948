// Chains of cheap steps, by the formulas of the single ops.
#include "chain.h"

#include "elementwise.h"

namespace hadamard::LEVEL {
namespace {

template <class T, int many> HD_INLINE void run(const Link *begin, const Link *end, long first) {
  using L = Lanes<T, width / int(sizeof(T))>;
  [&]<int... i>(Sequence<i...>) {
    L x[many];
    for (const Link *k = begin; k != end; ++k) {
      char *at = k->at + first * k->step;
      auto read = [&](int v) { return load<T, L::lanes>(at + v * long(sizeof(L))); };
      switch (k->kind) {
      case Linked::none: __builtin_unreachable();
      case Linked::load: ((x[i] = read(i)), ...); break;
      case Linked::store:
        (store<T, L::lanes>(at + i * sizeof(L), x[i]), ...);
        break;
#define X(op)                                                                                                          \
  case Linked::op: ((x[i] = ops::op(x[i])), ...); break;
        CHAIN_UNARY(X)
#undef X
#define X(op)                                                                                                          \
  case Linked::op: ((x[i] = ops::op(x[i], read(i))), ...); break;                                                      \
  case Linked::op##_second: ((x[i] = ops::op(read(i), x[i])), ...); break;
        CHAIN_BINARY(X)
#undef X
#define X(op)                                                                                                          \
  case Linked::op##_slope:                                                                                             \
    static_assert(reads(ops::op.d0.source) == 8);                                                                      \
    ((x[i] = ops::op.d0.formula(x[i], 0, 0, 0, read(i))), ...);                                                        \
    break;
        CHAIN_SLOPES(X)
#undef X
      }
    }
  }(Indices<many>{});
}

template <class T> void chain(const Link *begin, const Link *end, long vectors) {
  long i = 0;
  for (; i + chain_vectors <= vectors; i += chain_vectors) run<T, chain_vectors>(begin, end, i);
  for (; i < vectors; ++i) run<T, 1>(begin, end, i);
}

} // namespace

void chain_single(const Link *begin, const Link *end, long vectors) { chain<float>(begin, end, vectors); }
void chain_real(const Link *begin, const Link *end, long vectors) { chain<double>(begin, end, vectors); }

} // namespace hadamard::LEVEL
