// Packing of narrow numbers: several indices of k in one element of a panel.
#pragma once
#include "gemm_pack.h"

namespace hadamard::LEVEL {
namespace {

// W elements from numbers that follow each other.
template <class E, class S, int W> HD_INLINE Vector<uint32_t, W> load_units(const S *p) {
  using Narrow = typename Element<E>::Narrow;
  if constexpr (sizeof(S) == sizeof(Narrow)) return load<Vector<uint32_t, W>>(p);
  else {
    constexpr int N = W * Element<E>::unit;
    return (Vector<uint32_t, W>)__builtin_convertvector(load<Vector<S, N>>(p), Vector<Narrow, N>);
  }
}

// A panel of P rows (n of them there, zeros below) by kc: d[k / unit][P], of B after what the sums start from.
template <class E, class S, int P, bool of_a>
void pack_units(void *to, const void *s, const Axis &rows, long r0, int n, const Axis &ks, long k0, long kc) {
  using Narrow = typename Element<E>::Narrow;
  constexpr int unit = Element<E>::unit, W = vector_bytes / 4, whole = (P + W - 1) / W * W;
  constexpr bool opens = Element<E>::opens;
  using V = Vector<uint32_t, W>;
  auto *d = (uint32_t *)to + (opens && !of_a ? P : 0);
  auto put = [](uint32_t *p, int r, V v) {
    if constexpr (opens && of_a) v ^= 0x80808080;
    if (r + W <= P) store(p + r, v);
    else store_part(p + r, v, P % W);
  };
  const S *from[P];
  bool together = n > 1 || !steps(ks, 1);
  for (int r = 0; r < n; ++r) {
    from[r] = (const S *)s + at(rows, r0 + r);
    together &= from[r] == from[0] + r;
  }
  if (together) {
    // Numbers of the panel's own width need no sign: they are moved as they are.
    using Moved = typename If<sizeof(S) == 1 && sizeof(Narrow) == 1, uint8_t,
                              typename If<sizeof(S) == 2, uint16_t, S>::type>::type;
    constexpr uint32_t mask = sizeof(Narrow) == 1 ? 0xff : 0xffff;
    Moved room[unit][whole] = {};
    for (long k = 0; k < kc; k += unit, d += P) {
      const Moved *line[unit];
#pragma GCC unroll 4
      for (int u = 0; u < unit; ++u) {
        line[u] = room[u];
        if (k + u >= kc) {
          __builtin_memset(room[u], 0, sizeof room[u]);
        } else {
          const S *p = from[0] + at(ks, k0 + k + u);
          if (n == P && P == whole) line[u] = (const Moved *)p;
          else __builtin_memcpy(room[u], p, n * sizeof(S));
        }
      }
#pragma GCC unroll 4
      for (int r = 0; r < P; r += W) {
        V v = {};
#pragma GCC unroll 4
        for (int u = 0; u < unit; ++u)
          v |= (widen_vector<uint32_t, Moved, W>(line[u] + r) & (u + 1 < unit ? mask : ~0u)) << (32 / unit * u);
        put(d, r, v);
      }
    }
  } else {
    constexpr int span = W * unit;
    for (long k = 0; k < kc; k += span, d += W * P) {
      const int some = int(least(span, kc - k));
      const bool run = some == span && run_of(ks, k0 + k, span) == span;
      for (int r = 0; r < P; r += W) {
        V v[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          if (r + i >= n) {
            v[i] = V{};
          } else if (run) {
            v[i] = load_units<E, S, W>(from[r + i] + at(ks, k0 + k));
          } else {
            S room[span] = {};
            for (int q = 0; q < some; ++q) room[q] = from[r + i][at(ks, k0 + k + q)];
            v[i] = load_units<E, S, W>(room);
          }
        }
        transpose<uint32_t, W>(v);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i)
          if (i * unit < some) put(d + i * P, r, v[i]);
      }
    }
  }
  if constexpr (opens && !of_a) { // A is 128 too large
    auto *first = (uint32_t *)to;
    for (int r = 0; r < P; r += W) {
      V sum = {};
      for (long k = 0; k < kc; k += unit)
        sum = Element<E>::multiply_add(sum, 0x80808080 - V{}, load<V>(first + (k / unit + 1) * P + r));
      store(first + r, V{} - sum);
    }
  }
}

} // namespace
} // namespace hadamard::LEVEL
