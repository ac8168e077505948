// The micro-kernel: a tile of C in registers while k runs over one block.
#pragma once
#include "gemm_numbers.h"

namespace hadamard::LEVEL {
namespace {

// The first n lanes of p; the others zero.
template <class V, class T> HD_INLINE V load_part(const T *p, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4) return (V)_mm512_maskz_loadu_epi32(__mmask16((1u << n) - 1), p);
  else if constexpr (sizeof(V) == 64) return (V)_mm512_maskz_loadu_epi64(__mmask8((1u << n) - 1), p);
  else
#elif defined(__AVX2__)
  if constexpr (sizeof(V) == 32 && sizeof(T) == 4)
    return (V)_mm256_maskload_epi32((const int *)p, (__m256i)(Vector<int, 8>{0, 1, 2, 3, 4, 5, 6, 7} < n));
  else if constexpr (sizeof(V) == 32)
    return (V)_mm256_maskload_epi64((const long long *)p, (__m256i)(Vector<long long, 4>{0, 1, 2, 3} < (long long)n));
  else
#endif
  {
    V v = {};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
  }
}
template <class V, class T> HD_INLINE void store_part(T *p, V v, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4) _mm512_mask_storeu_epi32(p, __mmask16((1u << n) - 1), (__m512i)v);
  else if constexpr (sizeof(V) == 64) _mm512_mask_storeu_epi64(p, __mmask8((1u << n) - 1), (__m512i)v);
  else
#endif
#if defined(__AVX2__)
      if constexpr (sizeof(V) == 32) { // not vmaskmov: a masked store is microcoded on several machines
    auto low = _mm256_castsi256_si128((__m256i)v);
    if (sizeof(T) == 4 ? n & 4 : n & 2) {
      _mm_storeu_si128((__m128i *)p, low);
      low = _mm256_extracti128_si256((__m256i)v, 1);
      p += 16 / sizeof(T);
    }
    if constexpr (sizeof(T) == 4) {
      if (n & 2) {
        _mm_storel_epi64((__m128i *)p, low);
        low = _mm_unpackhi_epi64(low, low);
        p += 2;
      }
      if (n & 1) _mm_storeu_si32(p, low);
    } else if (n & 1) {
      _mm_storel_epi64((__m128i *)p, low);
    }
  } else
#endif
  {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
}

// What stands in a panel: a number, or several narrow ones along k in 32 bits, whose products are summed at once.
template <class E> struct Element {
  using Sum = E;
  using Bits = E;                      // as it is loaded
  static constexpr int unit = 1;       // indices of k in it
  static constexpr bool opens = false; // a panel of B opens with what the sums start from
  template <class V> static HD_INLINE V multiply_add(V c, V a, V b) { return c + a * b; }
};
// Two int16.
struct Pair {
  uint32_t bits;
};
template <> struct Element<Pair> {
  using Sum = uint32_t;
  using Bits = uint32_t;
  using Narrow = int16_t;
  static constexpr int unit = 2;
  static constexpr bool opens = false;
  template <class V> static HD_INLINE V multiply_add(V c, V a, V b) {
#if defined(__AVX512BW__)
    return c + (V)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return c + (V)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return c + (V)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    using I = Vector<int, sizeof(V) / 4>;
    return c + (V)(((I)(a << 16) >> 16) * ((I)(b << 16) >> 16) + ((I)a >> 16) * ((I)b >> 16));
#endif
  }
};

// The tile of a level, in rows and vectors.
template <class E> struct Tile {
#if defined(__AVX512F__)
  static constexpr int rows = sizeof(E) == 8 ? 8 : 14, vectors = sizeof(E) == 8 ? 3 : 2;
#elif defined(__AVX2__)
  static constexpr int rows = 6, vectors = 2;
#elif defined(__aarch64__)
  static constexpr int rows = 8, vectors = 2;
#else
  static constexpr int rows = 4, vectors = 2;
#endif
  static constexpr int lanes = vector_bytes / sizeof(E), columns = vectors * lanes;
};

// Where a tile goes, and what is added on its way there: what C holds, or a bias.
struct Target {
  char *c;
  long row;         // stride in numbers
  const char *from; // nullptr: nothing is added
  long from_row;
  bool repeats; // one number for each row
  bool relu;    // of floats
};

// c[R][n] = a[R][k] b[k][n]; strides in numbers; b and c have unit stride along n. `tail` lanes of the last vector.
// With `pairs` the numbers are the parts of complex ones: two rows of sums, by the real and by the imaginary part of A,
// end as one row of C. With `panels` A and B are packed, R rows and NV vectors wide.
using Micro = void (*)(long k, const void *a, long a_row, long a_k, const void *b, long b_k, const Target &to,
                       int tail);
template <class E, int R, int NV, bool part, bool pairs, bool panels = false>
void micro(long k, const void *a, long a_row, long a_k, const void *b, long b_k, const Target &to, int tail) {
  using T = typename Element<E>::Sum;
  using B = typename Element<E>::Bits;
  constexpr int W = Tile<E>::lanes, groups = (R + 3) / 4, rows = pairs ? R / 2 : R;
  using V = Vector<T, W>;
  using In = Vector<B, W>;
  V sum[R][NV];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) sum[i][j] = V{};
  const B *row[groups], *q = (const B *)b; // four rows hang on one pointer
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) row[g] = (const B *)a + 4 * g * a_row;
  if constexpr (Element<E>::opens) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) sum[i][j] = load<V>(q + j * W);
    q += b_k;
  }
  T *out = (T *)to.c;
  const long c_row = to.row;
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j * W * sizeof(T) < NV * W * sizeof(T); j += 64 / int(W * sizeof(T)))
      __builtin_prefetch(out + i * c_row + j * W, 1, 3);
  // One index of k.
  auto step = [&](auto at, const B *from) {
    In y[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      if (part && j == NV - 1) y[j] = load_part<In>(from + j * W, tail);
      else y[j] = load<In>(from + j * W);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      In x = at(i) - In{};
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) sum[i][j] = Element<E>::multiply_add(sum[i][j], x, y[j]);
    }
  };
  if constexpr (panels) {
    // Known strides, and no counting between two indices: fewer instructions besides the multiplications, which counts
    // where two threads share a core.
    const B *p = row[0];
    for (; k > 1; k -= 2, p += 2 * R, q += 2 * NV * W)
#pragma GCC unroll 2
      for (int u = 0; u < 2; ++u) {
        step([&](int i) { return p[u * R + i]; }, q + u * NV * W);
        __asm__("" : "+r"(p), "+r"(q)); // the loads of the next index stay behind: there are no registers for them
      }
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) row[g] = p + 4 * g;
    a_row = 1;
  }
  for (; k > 0; --k) {
    step([&](int i) { return row[i / 4][i % 4 * a_row]; }, q);
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) row[g] += a_k;
    q += b_k;
  }
  if constexpr (pairs) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) sum[i][j] = add_subtract<T, W>(sum[2 * i][j], sum[2 * i + 1][j]);
  }
  if (const T *from = (const T *)to.from) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        const T *p = from + i * to.from_row + j * W;
        if (to.repeats) sum[i][j] += from[i * to.from_row] - V{};
        else if (part && j == NV - 1) sum[i][j] += load_part<V>(p, tail);
        else sum[i][j] += load<V>(p);
      }
  }
  if constexpr (is_float<T>)
    if (to.relu) {
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[i][j] = sum[i][j] < V{} ? V{} : sum[i][j];
    }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      T *p = out + i * c_row + j * W;
      if (part && j == NV - 1) store_part(p, sum[i][j], tail);
      else store(p, sum[i][j]);
    }
}

// [vectors - 1][0: whole vectors, 1: a part of the last one, 2: whole vectors of packed panels][rows - 1]
template <class E, bool pairs> struct Micros {
  static constexpr int step = pairs ? 2 : 1, R = Tile<E>::rows / step, NV = Tile<E>::vectors;
  Micro at[NV][3][R];
  template <int v, int r> constexpr void fill() {
    at[v - 1][0][r - 1] = micro<E, r * step, v, false, pairs>;
    at[v - 1][1][r - 1] = masked ? micro<E, r * step, v, masked, pairs> : nullptr;
    at[v - 1][2][r - 1] = micro<E, r * step, v, false, pairs, (is_float<E> && v == NV && r == R)>;
    if constexpr (r > 1) fill<v, r - 1>();
    else if constexpr (v > 1) fill<v - 1, R>();
  }
  constexpr Micros() : at() { fill<NV, R>(); }
};
template <class E, bool pairs> constexpr Micros<E, pairs> micros{};

} // namespace
} // namespace hadamard::LEVEL
