// Packing: panels of A and B one after another in the order in which the micro-kernel reads them.
#pragma once
#include "gemm_micro.h"

namespace hadamard::LEVEL {
namespace {

// Interleaves the first (or last) halves of a and b, pieces of `piece` elements at a time, inside each `span` elements.
template <int N, int span, int piece, bool last> constexpr int zip_index(int i) {
  int in_span = i % span, which = in_span / piece;
  return (which % 2 ? N : 0) + i / span * span + which / 2 * piece + in_span % piece + (last ? span / 2 : 0);
}
template <int span, int piece, bool last, class T, int N, int... I>
HD_INLINE Vector<T, N> zip(Vector<T, N> a, Vector<T, N> b, Indices<I...>) {
#ifdef __clang__
  return __builtin_shufflevector(a, b, zip_index<N, span, piece, last>(I)...);
#else
  using Index = Vector<typename IntOf<sizeof(T)>::type, N>;
  return __builtin_shuffle(a, b, Index{zip_index<N, span, piece, last>(I)...});
#endif
}
template <int span, int piece, int count, int step, class T, int N> HD_INLINE void zip_rows(Vector<T, N> *r) {
  if constexpr (count > 1) {
    using All = typename Counted<N>::type;
#pragma GCC unroll 4
    for (int stage = 1; stage < count; stage *= 2) {
      Vector<T, N> t[count];
#pragma GCC unroll 16
      for (int i = 0; i < count / 2; ++i) {
        t[2 * i] = zip<span, piece, false, T, N>(r[i * step], r[(i + count / 2) * step], All{});
        t[2 * i + 1] = zip<span, piece, true, T, N>(r[i * step], r[(i + count / 2) * step], All{});
      }
#pragma GCC unroll 16
      for (int i = 0; i < count; ++i) r[i * step] = t[i];
    }
  }
}
// N vectors of N: first inside lanes of 16 bytes, then the lanes.
template <class T, int N> HD_INLINE void transpose(Vector<T, N> *r) {
  constexpr int L = 16 / sizeof(T), lanes = N / L;
#pragma GCC unroll 4
  for (int g = 0; g < lanes; ++g) zip_rows<L, 1, L, 1, T, N>(r + g * L);
#pragma GCC unroll 4
  for (int j = 0; j < L; ++j) zip_rows<N, L, lanes, L, T, N>(r + j);
}

// Loads some lanes of a vector wherever it lies; the others are zero and not touched.
#if defined(__AVX512F__)
template <class T> using LaneMask = unsigned;
template <class V, class T> HD_INLINE V load_lanes(const T *p, LaneMask<T> m) {
  if constexpr (sizeof(T) == 4) return (V)_mm512_maskz_loadu_epi32(__mmask16(m), p);
  else return (V)_mm512_maskz_loadu_epi64(__mmask8(m), p);
}
template <class T> HD_INLINE LaneMask<T> lanes_between(int first, int end) { return (1u << end) - (1u << first); }
#elif defined(__AVX2__)
template <class T> using LaneMask = __m256i;
template <class V, class T> HD_INLINE V load_lanes(const T *p, LaneMask<T> m) {
  if constexpr (sizeof(T) == 4) return (V)_mm256_maskload_epi32((const int *)p, m);
  else return (V)_mm256_maskload_epi64((const long long *)p, m);
}
template <class T> HD_INLINE LaneMask<T> lanes_between(int first, int end) {
  if constexpr (sizeof(T) == 4) {
    const Vector<int, 8> lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return (__m256i)((lane >= first) & (lane < end));
  } else {
    const Vector<long long, 4> lane = {0, 1, 2, 3};
    return (__m256i)((lane >= (long long)first) & (lane < (long long)end));
  }
}
#endif

#if defined(__AVX2__)
// A panel whose rows follow each other in a few runs, as the places of an image do: each vector of the panel is put
// together from its runs, `pieces` at most. False where there are too many of them.
template <class E, int W, int vectors, int most_pieces> struct Runs {
  struct Piece {
    const E *base; // as if the run began at lane 0
    LaneMask<E> lanes;
  } piece[vectors][most_pieces];
  int pieces = 1; // of the vector that has most
  bool whole = true;

  template <class S> bool find(const S *const *from, int n) {
    for (int v = 0; v < vectors; ++v) {
      int count = 0;
      for (int r = v * W, end = int(least(n, r + W)); r < end;) {
        const int first = r;
        for (++r; r < end && from[r] == from[r - 1] + 1;) ++r;
        if (count == most_pieces) return false;
        whole &= r - first == W;
        piece[v][count++] = {(const E *)(from[first] - (first - v * W)), lanes_between<E>(first - v * W, r - v * W)};
      }
      pieces = count > pieces ? count : pieces;
      whole &= count == 1;
      for (; count < most_pieces; ++count) piece[v][count] = {(const E *)from[0], lanes_between<E>(0, 0)};
    }
    return true;
  }
  template <int count> HD_INLINE void copy(E *d, const Axis &ks, long k0, long kc) const {
    using V = Vector<E, W>;
    using Bits = Vector<typename IntOf<sizeof(E)>::type, W>;
    for (long k = 0; k < kc; ++k, d += vectors * W) {
      const long o = at(ks, k0 + k);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        V x;
        if constexpr (count == 0) {
          x = load<V>(piece[v][0].base + o);
        } else {
          x = load_lanes<V>(piece[v][0].base + o, piece[v][0].lanes);
#pragma GCC unroll 4
          for (int i = 1; i < count; ++i)
            x = (V)((Bits)x | (Bits)load_lanes<V>(piece[v][i].base + o, piece[v][i].lanes));
        }
        store(d + v * W, x);
      }
    }
  }
};
template <class E, class S, int P> bool pack_runs(E *d, const S *const *from, int n, const Axis &ks, long k0, long kc) {
  if constexpr (sizeof(E) == sizeof(S) && (sizeof(E) == 4 || sizeof(E) == 8) && P % (vector_bytes / sizeof(E)) == 0) {
    constexpr int W = vector_bytes / sizeof(E);
    Runs<E, W, P / W, 3> runs;
    if (!runs.find(from, n)) return false;
    if (runs.whole) runs.template copy<0>(d, ks, k0, kc);
    else if (runs.pieces == 1) runs.template copy<1>(d, ks, k0, kc);
    else if (runs.pieces == 2) runs.template copy<2>(d, ks, k0, kc);
    else runs.template copy<3>(d, ks, k0, kc);
    return true;
  }
  return false;
}
#endif

// Whether n indices from `i` on follow each other in memory.
HD_INLINE bool together(const Axis &x, long i, int n) {
  if (!x.offsets) return x.stride == 1;
  for (int q = 1; q < n; ++q)
    if (x.offsets[i + q] != x.offsets[i] + q) return false;
  return true;
}

// How many of the next indices of k, at most `most`, follow each other in memory.
HD_INLINE int run_of(const Axis &ks, long k, long most) {
  if (!ks.offsets) return ks.stride == 1 ? int(most) : 1;
  int n = 1;
  while (n < most && ks.offsets[k + n] == ks.offsets[k] + n) ++n;
  return n;
}

// A few indices of k of P rows, side by side. Whole vectors of the last rows reach into the next index, which is
// written later, unless this is the `end`.
template <class E, class S, int P, bool whole>
HD_INLINE void pack_turned(E *d, const S *const *from, long o, int run, bool end) {
  constexpr int W = vector_bytes / sizeof(E);
  using V = Vector<E, W>;
#pragma GCC unroll 4
  for (int r = (P - 1) / W * W; r >= 0; r -= W) {
    V v[W];
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if (r + i >= P) v[i] = V{};
      else if constexpr (whole) v[i] = widen_vector<E, S, W>(from[r + i] + o);
      else v[i] = load_part<V>((const E *)from[r + i] + o, run);
    }
    transpose<E, W>(v);
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if (!whole && i >= run) break;
      if (r + W > P && end && i == (whole ? W : run) - 1) store_part(d + i * P + r, v[i], P % W);
      else store(d + i * P + r, v[i]);
    }
  }
}

// A panel of P rows (n of them there, anything below) by kc: d[k][P].
using Pack = void (*)(void *d, const void *s, const Axis &rows, long r0, int n, const Axis &ks, long k0, long kc);
template <class E, class S, int P>
void pack(void *to, const void *s, const Axis &rows, long r0, int n, const Axis &ks, long k0, long kc) {
  const S *from[P];
  const bool together = n == P && LEVEL::together(rows, r0, P);
  for (int r = 0; r < (together ? 1 : n); ++r) from[r] = (const S *)s + at(rows, r0 + r);
  for (int r = n; r < P; ++r) from[r] = from[0];
  if constexpr (sizeof(E) == 16) {
    auto *d = (E *)to;
    for (long k = 0; k < kc; ++k, d += P) {
      long o = at(ks, k0 + k);
      if (together)
        for (int r = 0; r < P; ++r) d[r] = from[0][o + r];
      else
        for (int r = 0; r < P; ++r) d[r] = from[r][o];
    }
  } else {
    constexpr int W = vector_bytes / sizeof(E);
    using V = Vector<E, W>;
    constexpr bool parts = masked && sizeof(E) == sizeof(S) && sizeof(E) >= 4; // of a vector can be loaded
    auto *d = (E *)to;
    long k = 0;
    if (together) {
      for (; k < kc; ++k) {
        const S *p = from[0] + at(ks, k0 + k);
        int r = 0;
#pragma GCC unroll 4
        for (; r + W <= P; r += W) store(d + k * P + r, widen_vector<E, S, W>(p + r));
        if constexpr (parts && P % W != 0) {
          const V v = load_part<V>((const E *)p + r, P % W);
          if (k + 1 < kc) store(d + k * P + r, v);
          else store_part(d + k * P + r, v, P % W);
        } else {
          for (; r < P; ++r) d[k * P + r] = widen<E>(p[r]);
        }
      }
      return;
    }
#if defined(__AVX2__)
    if (!steps(ks, 1) && pack_runs<E, S, P>(d, from, n, ks, k0, kc)) return;
#endif
    constexpr int enough = 4; // indices that are worth a transposition
    const long next = steps(ks, 1) && !rows.offsets ? P * rows.stride : 0;
    while (k < kc) {
      const int run = run_of(ks, k0 + k, least(W, kc - k));
      const long o = at(ks, k0 + k);
      if (run == W) {
        if (next && o * sizeof(S) % 64 < W * sizeof(S)) // the streams are too short for the processor to foresee them
#pragma GCC unroll 16
          for (int r = 0; r < P; ++r) __builtin_prefetch(from[r] + o + next);
        pack_turned<E, S, P, true>(d + k * P, from, o, W, k + W == kc);
        k += W;
        continue;
      }
      if constexpr (parts) {
        if (run >= enough) {
          pack_turned<E, S, P, false>(d + k * P, from, o, run, k + run == kc);
          k += run;
          continue;
        }
      }
      for (int r = 0; r < n; ++r) d[k * P + r] = widen<E>(from[r][o]);
      for (int r = n; r < P; ++r) d[k * P + r] = E{};
      ++k;
    }
  }
}

// Several panels of B, `panel` bytes apart, whose rows lie along memory: row by row, as memory is read fastest.
using PackRows = void (*)(void *to, long panel, long panels, const void *s, const Axis &ks, long k0, long kc);
template <class E, class S, int P>
void pack_rows(void *to, long panel, long panels, const void *s, const Axis &ks, long k0, long kc) {
  constexpr int W = vector_bytes / sizeof(E);
  static_assert(P % W == 0);
  for (long k = 0; k < kc; ++k) {
    const S *from = (const S *)s + at(ks, k0 + k);
    char *d = (char *)to + k * P * sizeof(E);
    for (long q = 0; q < panels; ++q, from += P, d += panel)
#pragma GCC unroll 4
      for (int r = 0; r < P; r += W) store((E *)d + r, widen_vector<E, S, W>(from + r));
  }
}

// n elements along one axis, in compute type, one after another.
template <class T, class S> const T *lift(T *room, const S *s, const Axis &x, long k0, long n) {
  if constexpr (sizeof(S) == sizeof(T) && !is_float<T> == !is_float<S>)
    if (steps(x, 1)) return (const T *)(s + k0);
  if constexpr (is_complex<S>) {
    if (steps(x, 1)) return (const T *)(s + k0);
    for (long i = 0; i < n; ++i) __builtin_memcpy(room + 2 * i, s + at(x, k0 + i), sizeof(S));
  } else {
    long i = 0;
    constexpr int W = vector_bytes / sizeof(T);
    if (steps(x, 1))
      for (; i + W <= n; i += W) store(room + i, widen_vector<T, S, W>(s + k0 + i));
    for (; i < n; ++i) room[i] = widen<T>(s[at(x, k0 + i)]);
  }
  return room;
}

} // namespace
} // namespace hadamard::LEVEL
