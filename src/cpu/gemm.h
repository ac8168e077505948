// Products of matrices: one loop nest over packed panels and one micro-kernel, for every dtype and any strides.
//
// A tile of C lives in registers while k runs over one block; blocks of k are summed in memory. The blocks follow from
// k and the dtype alone, and inside a block every element is summed in order of k, so direct, packed, skinny and tall
// give the same bits whatever m, n, the batch and the number of threads.
#pragma once
#include "level.h"
#include "threads.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hadamard::LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif
constexpr bool masked = vector_bytes > 16; // loads of part of a vector
#if defined(__x86_64__)
constexpr bool paired = true; // pmaddwd: two products of int16 in one int32
#else
constexpr bool paired = false;
#endif

template <class A, class B> constexpr bool same = false;
template <class A> constexpr bool same<A, A> = true;
template <class T> constexpr bool is_complex = same<T, c64> || same<T, c128>;
template <class T> constexpr bool is_float = same<T, float> || same<T, double>;
constexpr long least(long a, long b) { return a < b ? a : b; }
constexpr long most(long a, long b) { return a > b ? a : b; }
constexpr long ceil_div(long a, long b) { return (a + b - 1) / b; }

template <class T, int N> struct VectorOf {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T, int N> using Vector = typename VectorOf<T, N>::type;
template <int bytes> struct IntOf {
  using type = int;
};
template <> struct IntOf<8> {
  using type = long;
};
template <bool which, class A, class B> struct If {
  using type = A;
};
template <class A, class B> struct If<false, A, B> {
  using type = B;
};
template <int N> struct Constant {
  static constexpr int value = N;
};
template <class V, class T> HD_INLINE V load(const T *p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class T> HD_INLINE void store(T *p, V v) { __builtin_memcpy(p, &v, sizeof v); }

// What a row of the table computes in. Integers are summed modulo 2^32 or 2^64, which is exact modulo any narrower
// width.
template <class S> struct ComputeOf {
  using type = uint32_t;
};
template <> struct ComputeOf<int64_t> {
  using type = uint64_t;
};
template <> struct ComputeOf<float> {
  using type = float;
};
template <> struct ComputeOf<f16> {
  using type = float;
};
template <> struct ComputeOf<bf16> {
  using type = float;
};
template <> struct ComputeOf<c64> {
  using type = float;
};
template <> struct ComputeOf<double> {
  using type = double;
};
template <> struct ComputeOf<c128> {
  using type = double;
};
template <class S> using Compute = typename ComputeOf<S>::type;

HD_INLINE float from_bits(uint32_t u) {
  float f;
  __builtin_memcpy(&f, &u, 4);
  return f;
}
HD_INLINE uint32_t to_bits(float f) {
  uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  return u;
}

// One number from storage to compute type and back (round to nearest even).
template <class T, class S> HD_INLINE T widen(S s) {
  if constexpr (same<S, bf16>) return from_bits(uint32_t(s.bits) << 16);
  else if constexpr (same<S, f16>) {
    uint32_t h = s.bits, f = to_bits(from_bits((h & 0x7fff) << 13) * 0x1p112f) | (h & 0x8000) << 16;
    return from_bits((h & 0x7c00) == 0x7c00 ? f | 0x7f800000 : f);
  } else return T(s);
}
template <class D, class T> HD_INLINE D narrow(T x) {
  if constexpr (same<D, bf16>) {
    uint32_t u = to_bits(x);
    bool nan = (u & 0x7fffffff) > 0x7f800000;
    return {uint16_t((nan ? u | 0x400000 : u + 0x7fff + ((u >> 16) & 1)) >> 16)};
  } else if constexpr (same<D, f16>) {
    uint32_t u = to_bits(x), a = u & 0x7fffffff;
    uint32_t r = (a + ((a >> 13) & 1) - 0x37fff001u) >> 13;
    r = a < 0x38800000 ? to_bits(from_bits(a) + 0.5f) - 0x3f000000 : r;
    r = a >= 0x477ff000 ? 0x7c00 : r;
    r = a > 0x7f800000 ? 0x7e00 | ((a >> 13) & 0x3ff) : r;
    return {uint16_t(r | ((u >> 16) & 0x8000))};
  } else return D(x);
}

template <class T> struct Wider;
template <> struct Wider<int8_t> {
  using type = int16_t;
};
template <> struct Wider<uint8_t> {
  using type = uint16_t;
};
template <> struct Wider<int16_t> {
  using type = int32_t;
};
template <> struct Wider<uint16_t> {
  using type = uint32_t;
};
template <class T, class S, int N> HD_INLINE Vector<T, N> widen_vector(const S *p) {
  if constexpr (same<S, bf16>) {
    return (Vector<T, N>)(__builtin_convertvector(load<Vector<uint16_t, N>>(p), Vector<uint32_t, N>) << 16);
  } else if constexpr (same<S, f16>) {
#if defined(__AVX512F__)
    if constexpr (N == 16) return (Vector<T, N>)_mm512_maskz_cvtph_ps(__mmask16(-1), load<__m256i>(p));
    else
#endif
#if defined(__F16C__)
        if constexpr (N == 8)
      return (Vector<T, N>)_mm256_cvtph_ps(load<__m128i>(p));
    else
#endif
#if defined(__aarch64__)
      return __builtin_convertvector(load<Vector<__fp16, N>>(p), Vector<float, N>);
#else
    {
      auto h = __builtin_convertvector(load<Vector<uint16_t, N>>(p), Vector<uint32_t, N>);
      auto f = (Vector<uint32_t, N>)((Vector<float, N>)((h & 0x7fff) << 13) * 0x1p112f) | (h & 0x8000) << 16;
      auto special = (Vector<uint32_t, N>)((h & 0x7c00) == 0x7c00);
      return (Vector<T, N>)(f | (special & 0x7f800000));
    }
#endif
  } else if constexpr (sizeof(S) == sizeof(T)) {
    return load<Vector<T, N>>(p);
  } else if constexpr (sizeof(S) == 1) { // a step of one width at a time: g++ takes larger ones lane by lane
    using Half = typename Wider<S>::type;
    auto half = __builtin_convertvector(load<Vector<S, N>>(p), Vector<Half, N>);
    return (Vector<T, N>)__builtin_convertvector(half, Vector<typename Wider<Half>::type, N>);
  } else {
    return (Vector<T, N>)__builtin_convertvector(load<Vector<S, N>>(p), Vector<typename Wider<S>::type, N>);
  }
}

HD_INLINE long at(const Axis &x, long i) { return x.offsets ? x.offsets[i] : i * x.stride; }
HD_INLINE bool steps(const Axis &x, long stride) { return !x.offsets && x.stride == stride; }

// ---- the micro-kernel
// ------------------------------------------------------------------------------------------------

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
  { // not vmaskmov: a masked store is microcoded on several machines
    constexpr int N = sizeof(V) / sizeof(T);
    T all[N];
    __builtin_memcpy(all, &v, sizeof v);
    int i = 0;
    if constexpr (N > 4)
      if (n & 4) __builtin_memcpy(p, all, 4 * sizeof(T)), i = 4;
    if (n & 2) __builtin_memcpy(p + i, all + i, 2 * sizeof(T)), i += 2;
    if (n & 1) p[i] = all[i];
  }
}

// Two int16 in one element: c += a.low * b.low + a.high * b.high.
struct Pair {
  uint32_t bits;
};
template <class E> struct SumOf {
  using type = E;
};
template <> struct SumOf<Pair> {
  using type = uint32_t;
};

template <class E, class V> HD_INLINE void multiply_add(V &c, V a, V b) {
#if defined(__x86_64__)
  if constexpr (same<E, Pair>) {
#if defined(__AVX512BW__)
    if constexpr (sizeof(V) == 64) c += (V)_mm512_madd_epi16((__m512i)a, (__m512i)b);
    else
#endif
#if defined(__AVX2__)
        if constexpr (sizeof(V) == 32)
      c += (V)_mm256_madd_epi16((__m256i)a, (__m256i)b);
    else
#endif
      c += (V)_mm_madd_epi16((__m128i)a, (__m128i)b);
  } else
#endif
    c += a * b;
}

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

// c[R][n] (+)= a[R][k] b[k][n]; strides in elements; b and c have unit stride along n. `tail` lanes of the last vector.
using Micro = void (*)(long k, const void *a, long a_row, long a_k, const void *b, long b_k, void *c, long c_row,
                       int tail, bool add);
template <class E, int R, int NV, bool part>
void micro(long k, const void *a, long a_row, long a_k, const void *b, long b_k, void *c, long c_row, int tail,
           bool add) {
  using T = typename SumOf<E>::type;
  constexpr int W = Tile<E>::lanes, groups = (R + 3) / 4;
  using V = Vector<T, W>;
  V sum[R][NV];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) sum[i][j] = V{};
  const T *row[groups], *q = (const T *)b; // four rows hang on one pointer
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g) row[g] = (const T *)a + 4 * g * a_row;
  T *out = (T *)c;
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int j = 0; j * W * sizeof(T) < NV * W * sizeof(T); j += 64 / int(W * sizeof(T)))
      __builtin_prefetch(out + i * c_row + j * W, 1, 3);
  for (; k > 0; --k) {
    V y[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      if (part && j == NV - 1) y[j] = load_part<V>(q + j * W, tail);
      else y[j] = load<V>(q + j * W);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      V x = row[i / 4][i % 4 * a_row] - V{};
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) multiply_add<E>(sum[i][j], x, y[j]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) row[g] += a_k;
    q += b_k;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      T *p = out + i * c_row + j * W;
      if (part && j == NV - 1) store_part(p, add ? load_part<V>(p, tail) + sum[i][j] : sum[i][j], tail);
      else store(p, add ? load<V>(p) + sum[i][j] : sum[i][j]);
    }
}

// [vectors - 1][part][rows - 1]
template <class E> struct Micros {
  static constexpr int R = Tile<E>::rows, NV = Tile<E>::vectors;
  Micro at[NV][2][R];
  template <int v, int r> constexpr void fill() {
    at[v - 1][0][r - 1] = micro<E, r, v, false>;
    at[v - 1][1][r - 1] = masked ? micro<E, r, v, masked> : nullptr;
    if constexpr (r > 1) fill<v, r - 1>();
    else if constexpr (v > 1) fill<v - 1, R>();
  }
  constexpr Micros() : at() { fill<NV, R>(); }
};
template <class E> constexpr Micros<E> micros{};

// ---- packing
// ---------------------------------------------------------------------------------------------------------

template <int... I> struct Indices {};
template <int N, int... I> struct Counted : Counted<N - 1, N - 1, I...> {};
template <int... I> struct Counted<0, I...> {
  using type = Indices<I...>;
};

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

// A panel of P rows (n of them there, zeros below) by kc: d[k][P], pairs of k in one element where E is Pair.
using Pack = void (*)(void *d, const void *s, const Axis &rows, long r0, int n, const Axis &ks, long k0, long kc);
template <class E, class S, int P>
void pack(void *to, const void *s, const Axis &rows, long r0, int n, const Axis &ks, long k0, long kc) {
  const S *from[P];
  bool together = n == P;
  for (int r = 0; r < n; ++r) {
    from[r] = (const S *)s + at(rows, r0 + r);
    together &= from[r] == from[0] + r;
  }
  if constexpr (same<E, Pair>) {
    auto *d = (uint32_t *)to;
    for (long k = 0; k < kc; k += 2, d += P) {
      long low = at(ks, k0 + k), high = k + 1 < kc ? at(ks, k0 + k + 1) : low;
      uint32_t keep = k + 1 < kc ? 0xffffffff : 0;
      if (together) {
        const S *p = from[0] + low, *q = from[0] + high;
        for (int r = 0; r < P; ++r) d[r] = uint16_t(p[r]) | (keep & uint32_t(q[r]) << 16);
      } else {
        for (int r = 0; r < n; ++r) d[r] = uint16_t(from[r][low]) | (keep & uint32_t(from[r][high]) << 16);
        for (int r = n; r < P; ++r) d[r] = 0;
      }
    }
  } else if constexpr (sizeof(E) == 16) {
    auto *d = (E *)to;
    for (long k = 0; k < kc; ++k, d += P) {
      long o = at(ks, k0 + k);
      for (int r = 0; r < n; ++r) d[r] = from[r][o];
      for (int r = n; r < P; ++r) d[r] = E{};
    }
  } else {
    constexpr int W = vector_bytes / sizeof(E);
    using V = Vector<E, W>;
    auto *d = (E *)to;
    long k = 0;
    if (together) {
      for (; k < kc; ++k) {
        const S *p = from[0] + at(ks, k0 + k);
        int r = 0;
#pragma GCC unroll 4
        for (; r + W <= P; r += W) store(d + k * P + r, widen_vector<E, S, W>(p + r));
        for (; r < P; ++r) d[k * P + r] = widen<E>(p[r]);
      }
      return;
    }
    if (steps(ks, 1))
      for (; k + W <= kc; k += W)
        for (int r = 0; r < P; r += W) {
          V v[W];
#pragma GCC unroll 16
          for (int i = 0; i < W; ++i) v[i] = r + i < n ? widen_vector<E, S, W>(from[r + i] + k0 + k) : V{};
          transpose<E, W>(v);
#pragma GCC unroll 16
          for (int i = 0; i < W; ++i) {
            if (r + W <= P) store(d + (k + i) * P + r, v[i]);
            else store_part(d + (k + i) * P + r, v[i], P % W);
          }
        }
    for (; k < kc; ++k) {
      long o = at(ks, k0 + k);
      for (int r = 0; r < n; ++r) d[k * P + r] = widen<E>(from[r][o]);
      for (int r = n; r < P; ++r) d[k * P + r] = E{};
    }
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

// ---- the end of a tile
// -----------------------------------------------------------------------------------------------

// One matrix of the batch.
struct Job {
  const Gemm &g;
  const char *a, *b, *bias;
  char *c;
};

template <class T> HD_INLINE T activate(Activation f, T x) {
  if (f == Activation::relu) return x < T(0) ? T(0) : x;
  if constexpr (is_float<T>) {
    if (f == Activation::tanh) return T(__builtin_tanh(x));
    if (f == Activation::sigmoid) return T(1 / (1 + __builtin_exp(-double(x))));
    if (f == Activation::gelu) return T(0.5 * double(x) * (1 + __builtin_erf(double(x) * 0.70710678118654752440)));
  }
  return x;
}

// Numbers in pairs (re, im): neighbours change places.
template <class T, int N, int... I> HD_INLINE Vector<T, N> swap_pairs(Vector<T, N> v, Indices<I...>) {
#ifdef __clang__
  return __builtin_shufflevector(v, v, (I ^ 1)...);
#else
  using Index = Vector<typename IntOf<sizeof(T)>::type, N>;
  return __builtin_shuffle(v, Index{(I ^ 1)...});
#endif
}
// u + i w for pairs (re, im).
template <class T, int N> HD_INLINE Vector<T, N> add_subtract(Vector<T, N> u, Vector<T, N> w) {
  Vector<T, N> swapped = swap_pairs<T, N>(w, typename Counted<N>::type{});
  using Bits = Vector<typename IntOf<sizeof(T)>::type, N>;
  constexpr auto top = typename IntOf<sizeof(T)>::type(1) << (8 * sizeof(T) - 1);
  Bits sign = {};
#pragma GCC unroll 16
  for (int i = 0; i < N; i += 2) sign[i] = top;
  return u + (Vector<T, N>)((Bits)swapped ^ sign);
}

// What most tiles end with: rows that follow in memory, a bias along them or none, no function or relu.
template <class T>
void finish_vectors(const Job &job, const T *tile, long row, long i0, long rows, long j0, long columns, bool add,
                    bool last) {
  const Gemm &g = job.g;
  constexpr int W = vector_bytes / sizeof(T);
  using V = Vector<T, W>;
  const bool bias = last && job.bias, along = g.bias_n.stride != 0, relu = last && g.activation == Activation::relu;
  for (long i = 0; i < rows; ++i) {
    const T *t = tile + i * row, *b = bias ? (const T *)job.bias + at(g.bias_m, i0 + i) : nullptr;
    T *c = (T *)job.c + at(g.c_m, i0 + i) + j0;
    for (long j = 0; j < columns; j += W) {
      const int n = int(least(W, columns - j));
      auto get = [n](const T *p) { return n == W ? load<V>(p) : load_part<V>(p, n); };
      V x = get(t + j);
      if (add) x += get(c + j);
      if (b) x += along ? get(b + j0 + j) : *b - V{};
      if (relu) x = x < V{} ? V{} : x;
      if (n == W) store(c + j, x);
      else store_part(c + j, x, n);
    }
  }
}

// C[i0.., j0..] = activation(tile + C if `add` + bias if `last`). For a complex D the tile holds, one above the other,
// the products with the real and with the imaginary part of A.
using Finish = void (*)(const Job &job, const void *tile, long row, long i0, long rows, long j0, long columns, bool add,
                        bool last);
template <class T, class D>
void finish(const Job &job, const void *tile, long row, long i0, long rows, long j0, long columns, bool add,
            bool last) {
  const Gemm &g = job.g;
  if constexpr (is_float<T> && same<T, D>)
    if (steps(g.c_n, 1) && (!last || ((g.activation == Activation::none || g.activation == Activation::relu) &&
                                      (!job.bias || steps(g.bias_n, 0) || steps(g.bias_n, 1)))))
      return finish_vectors<T>(job, (const T *)tile, row, i0, rows, j0, columns, add, last);
  constexpr int most_columns = 64, parts = is_complex<D> ? 2 : 1;
  for (long i = 0; i < rows; ++i) {
    const T *t = (const T *)tile + i * parts * row;
    D *c = (D *)job.c + at(g.c_m, i0 + i);
    for (long j1 = 0; j1 < columns; j1 += most_columns) {
      T x[parts * most_columns];
      int n = int(least(most_columns, columns - j1));
      long j = j0 + j1;
      if constexpr (is_complex<D>) {
        const T *u = t + 2 * j1, *w = u + row;
        constexpr int W = vector_bytes / sizeof(T);
        int q = 0;
        for (; 2 * q + W <= 2 * n; q += W / 2)
          store(x + 2 * q, add_subtract<T, W>(load<Vector<T, W>>(u + 2 * q), load<Vector<T, W>>(w + 2 * q)));
        for (; q < n; ++q) {
          x[2 * q] = u[2 * q] - w[2 * q + 1];
          x[2 * q + 1] = u[2 * q + 1] + w[2 * q];
        }
      } else {
        for (int q = 0; q < n; ++q) x[q] = t[j1 + q];
      }
      auto plus = [&](const D *p, const Axis &axis) {
        if constexpr (is_complex<D>) {
          if (steps(axis, 1)) {
            const T *v = (const T *)(p + j);
            for (int q = 0; q < 2 * n; ++q) x[q] += v[q];
            return;
          }
          for (int q = 0; q < n; ++q) {
            const D &v = p[at(axis, j + q)];
            x[2 * q] += v.re;
            x[2 * q + 1] += v.im;
          }
        } else if (steps(axis, 1)) {
          for (int q = 0; q < n; ++q) x[q] += widen<T>(p[j + q]);
        } else if (steps(axis, 0)) {
          T v = widen<T>(*p);
          for (int q = 0; q < n; ++q) x[q] += v;
        } else {
          for (int q = 0; q < n; ++q) x[q] += widen<T>(p[at(axis, j + q)]);
        }
      };
      if (add) plus(c, g.c_n);
      if (last && job.bias) plus((const D *)job.bias + at(g.bias_m, i0 + i), g.bias_n);
      if constexpr (!is_complex<D>) {
        if (last && g.activation == Activation::relu) {
          if constexpr (is_float<T>)
            for (int q = 0; q < n; ++q) x[q] = x[q] < T(0) ? T(0) : x[q];
          else if constexpr (D(-1) < D(0))
            for (int q = 0; q < n; ++q) x[q] = D(x[q]) < 0 ? T(0) : x[q];
        } else if (last && g.activation != Activation::none) {
          for (int q = 0; q < n; ++q) x[q] = activate(g.activation, x[q]);
        }
        if (steps(g.c_n, 1))
          for (int q = 0; q < n; ++q) c[j + q] = narrow<D>(x[q]);
        else
          for (int q = 0; q < n; ++q) c[at(g.c_n, j + q)] = narrow<D>(x[q]);
      } else {
        if (steps(g.c_n, 1)) __builtin_memcpy(c + j, x, n * sizeof(D));
        else
          for (int q = 0; q < n; ++q) c[at(g.c_n, j + q)] = D{x[2 * q], x[2 * q + 1]};
      }
    }
  }
}

// ---- products with a vector
// ------------------------------------------------------------------------------------------

template <class T, int N> HD_INLINE T total(Vector<T, N> v) {
  for (int half = N / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) v[i] += v[i + half];
  return v[0];
}
// R rows of S, k contiguous, times one vector in compute type: sums[r] (complex: re, im). Each row is summed in the
// same order whatever R. Blocks are added up in `Sum`.
constexpr long dot_block = 4096;
template <class T> struct WideOf {
  using type = T;
};
template <> struct WideOf<float> {
  using type = double;
};
template <class T> using Sum = typename WideOf<T>::type;
template <class T, class S, int R> HD_INLINE void dots(const S *const *rows, const T *v, long n, Sum<T> *sums) {
  constexpr int W = vector_bytes / sizeof(T), parts = is_complex<S> ? 2 : 1, U = 2;
  using V = Vector<T, W>;
  using Part = typename If<is_complex<S>, T, S>::type;
  long reals = n * parts, i = 0;
  V s[R][U] = {}, t[R][U] = {};
  for (; i + U * W <= reals; i += U * W)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      V x = load<V>(v + i + u * W);
      V y = is_complex<S> ? swap_pairs<T, W>(x, typename Counted<W>::type{}) : x;
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        V m = widen_vector<T, Part, W>((const Part *)rows[r] + i + u * W);
        s[r][u] += m * x;
        if constexpr (is_complex<S>) t[r][u] += m * y;
      }
    }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    const Part *m = (const Part *)rows[r];
    if constexpr (is_complex<S>) {
      V one = s[r][0] + s[r][1];
      T re = 0, im = total<T, W>(t[r][0] + t[r][1]);
      for (int l = 0; l < W; l += 2) re += one[l] - one[l + 1];
      for (long q = i; q < reals; q += 2) {
        re += m[q] * v[q] - m[q + 1] * v[q + 1];
        im += m[q] * v[q + 1] + m[q + 1] * v[q];
      }
      sums[2 * r] += re;
      sums[2 * r + 1] += im;
    } else {
      T sum = total<T, W>(s[r][0] + s[r][1]);
      for (long q = i; q < reals; ++q) sum += widen<T>(m[q]) * v[q];
      sums[r] += sum;
    }
  }
}

// A matrix (rows r, summed k) times a vector. `finish` sees the result as one row.
struct Vectors {
  const char *matrix, *vector;
  Axis r, k, v;
  long rows, depth;
};
HD_INLINE Vectors vectors_of(const Job &job) {
  const Gemm &g = job.g;
  if (g.n == 1) return {job.a, job.b, g.a_m, g.a_k, g.b_k, g.m, g.k};
  return {job.b, job.a, g.b_n, g.b_k, g.a_k, g.n, g.k};
}
// Row `i` of C to `finish`, whichever of m and n it runs along.
template <class T, class D> void finish_row(const Job &job, const T *re, long row, long i0, long n) {
  if (job.g.n == 1 && job.g.m > 1) {
    Gemm g = job.g;
    Axis c = g.c_m, bias = g.bias_m;
    g.c_m = g.c_n, g.c_n = c, g.bias_m = g.bias_n, g.bias_n = bias;
    finish<T, D>({g, job.a, job.b, job.bias, job.c}, re, row, 0, 1, i0, n, g.accumulate, true);
  } else {
    finish<T, D>(job, re, row, 0, 1, i0, n, job.g.accumulate, true);
  }
}

using Gemv = void (*)(const Job &job, long begin, long end);
// Rows contiguous along k: a dot product each, four at a time.
template <class T, class S, class D> void gemv_dots(const Job &job, long begin, long end) {
  constexpr int parts = is_complex<S> ? 2 : 1, chunk = 32;
  Vectors p = vectors_of(job);
  const S *matrix = (const S *)p.matrix;
  T *room = (T *)workspace(2, dot_block * parts * long(sizeof(T)));
  for (long r0 = begin; r0 < end; r0 += chunk) {
    long n = least(chunk, end - r0);
    Sum<T> sums[chunk * parts] = {};
    for (long k = 0; k < p.depth; k += dot_block) {
      long depth = least(dot_block, p.depth - k);
      const T *v = lift<T, S>(room, (const S *)p.vector, p.v, k, depth);
      const S *rows[4];
      long r = 0;
      for (; r + 4 <= n; r += 4) {
        for (int q = 0; q < 4; ++q) rows[q] = matrix + at(p.r, r0 + r + q) + k;
        dots<T, S, 4>(rows, v, depth, sums + r * parts);
      }
      for (; r < n; ++r) {
        rows[0] = matrix + at(p.r, r0 + r) + k;
        dots<T, S, 1>(rows, v, depth, sums + r * parts);
      }
    }
    T out[2 * parts * chunk] = {}; // the second half is the row of imaginary factors: folded in already
    for (long i = 0; i < n * parts; ++i) out[i] = T(sums[i]);
    finish_row<T, D>(job, out, parts * chunk, r0, n);
  }
}
// One row, any strides.
template <class T, class S, class D> void dot(const Job &job, long, long) {
  const Gemm &g = job.g;
  constexpr int parts = is_complex<S> ? 2 : 1;
  using Lifted = typename If<is_complex<S>, S, T>::type;
  T *room = (T *)workspace(2, 2 * dot_block * parts * long(sizeof(T)));
  Sum<T> sums[parts] = {};
  for (long k = 0; k < g.k; k += dot_block) {
    long depth = least(dot_block, g.k - k);
    const T *v = lift<T, S>(room, (const S *)job.b, g.b_k, k, depth);
    const Lifted *row = (const Lifted *)lift<T, S>(room + dot_block * parts, (const S *)job.a, g.a_k, k, depth);
    dots<T, Lifted, 1>(&row, v, depth, sums);
  }
  T out[2 * parts] = {};
  for (int i = 0; i < parts; ++i) out[i] = T(sums[i]);
  finish<T, D>(job, out, parts, 0, 1, 0, 1, g.accumulate, true);
}
// Columns contiguous along the result: y += v[k] * column k, four at a time, over a stretch of y that stays in cache.
template <class T, class S, class D> void gemv_sums(const Job &job, long begin, long end) {
  constexpr int W = vector_bytes / sizeof(T), parts = is_complex<S> ? 2 : 1, block = 256;
  constexpr long chunk = 8192 / (sizeof(T) * parts);
  using V = Vector<T, W>;
  using Part = typename If<is_complex<S>, T, S>::type;
  Vectors p = vectors_of(job);
  T room[block * parts];
  alignas(64) T y[2][parts][chunk * parts]; // the sum of a block, the sum of all
  for (long r0 = begin; r0 < end; r0 += chunk) {
    long n = least(chunk, end - r0) * parts;
    const Part *matrix = (const Part *)((const S *)p.matrix + at(p.r, r0));
    for (long k0 = 0; k0 == 0 || k0 < p.depth; k0 += block) {
      long depth = least(block, p.depth - k0);
      const T *v = lift<T, S>(room, (const S *)p.vector, p.v, k0, depth);
      for (int q = 0; q < parts; ++q)
        for (long i = 0; i < n; ++i) y[0][q][i] = 0;
      auto add = [&](auto count, long k) {
        constexpr int U = decltype(count)::value;
        const Part *m[U];
        V f[U][parts];
        for (int u = 0; u < U; ++u) {
          m[u] = matrix + at(p.k, k0 + k + u) * parts;
          for (int q = 0; q < parts; ++q) f[u][q] = v[(k + u) * parts + q] - V{};
        }
        long i = 0;
        for (; i + W <= n; i += W)
#pragma GCC unroll 2
          for (int q = 0; q < parts; ++q) {
            V s = load<V>(y[0][q] + i);
#pragma GCC unroll 8
            for (int u = 0; u < U; ++u) s += widen_vector<T, Part, W>(m[u] + i) * f[u][q];
            store(y[0][q] + i, s);
          }
        for (; i < n; ++i)
          for (int q = 0; q < parts; ++q)
            for (int u = 0; u < U; ++u) y[0][q][i] += widen<T>(m[u][i]) * v[(k + u) * parts + q];
      };
      long k = 0;
      for (; k + 8 <= depth; k += 8) add(Constant<8>{}, k);
      for (; k < depth; ++k) add(Constant<1>{}, k);
      for (int q = 0; q < parts; ++q)
        for (long i = 0; i < n; ++i) y[1][q][i] = k0 ? y[1][q][i] + y[0][q][i] : y[0][q][i];
    }
    finish_row<T, D>(job, y[1][0], chunk * parts, r0, n / parts);
  }
}

// ---- the plain version
// -----------------------------------------------------------------------------------------------

using Reference = void (*)(const Job &job);
template <class T, class S, class D> void reference(const Job &job) {
  const Gemm &g = job.g;
  for (long i = 0; i < g.m; ++i)
    for (long j = 0; j < g.n; ++j) {
      T sum[4] = {};
      for (long k = 0; k < g.k; ++k) {
        const S &x = ((const S *)job.a)[at(g.a_m, i) + at(g.a_k, k)],
                &y = ((const S *)job.b)[at(g.b_k, k) + at(g.b_n, j)];
        if constexpr (is_complex<S>) {
          sum[0] += x.re * y.re - x.im * y.im;
          sum[1] += x.re * y.im + x.im * y.re;
        } else {
          sum[0] += widen<T>(x) * widen<T>(y);
        }
      }
      finish<T, D>(job, sum, 2, i, 1, j, 1, g.accumulate, true);
    }
}

// ---- the loop nest
// ---------------------------------------------------------------------------------------------------

// What the loop nest needs to know of a dtype.
struct Kind {
  int rows, columns; // of a tile, in elements of C
  int reals;         // numbers in an element: 2 where complex
  int unit;          // indices of k in a packed element
  int packed;        // bytes of a packed element of A or B
  int real;          // bytes of a number in a tile
  int lanes;
  int source, result; // bytes of an element of A and B, and of C
  bool in_place;      // the micro-kernel can read A and B where they lie
  bool straight;      // and write C
  bool rounds;        // C is narrower than the sum: keep partial sums apart
  long k_block;
  const Micro *micros;
  int micro_rows;
  Pack pack_a, pack_b;
  Finish finish;
  Gemv dot, gemv_dots, gemv_sums;
  Reference reference;
};

template <class S, class D> constexpr Kind make_kind() {
  using T = Compute<S>;
  using E = typename If<paired && sizeof(S) <= 2 && same<T, uint32_t>, Pair, T>::type;
  using Tl = Tile<E>;
  constexpr int reals = is_complex<S> ? 2 : 1, unit = same<E, Pair> ? 2 : 1;
  Kind k = {};
  k.rows = Tl::rows / reals, k.columns = Tl::columns / reals;
  k.reals = reals, k.unit = unit;
  k.packed = int(sizeof(E)) * reals, k.real = int(sizeof(T)), k.lanes = Tl::lanes;
  k.source = int(sizeof(S)), k.result = int(sizeof(D));
  k.in_place = sizeof(S) == sizeof(T) && unit == 1;
  k.straight = sizeof(D) == sizeof(T);
  k.rounds = is_float<T> && sizeof(D) < sizeof(T);
  k.k_block = (sizeof(E) == 8 ? 256 : 384) * unit;
  k.micros = &micros<E>.at[0][0][0];
  k.micro_rows = Tl::rows;
  if constexpr (same<S, c64>) {
    k.pack_a = pack<double, double, Tl::rows / 2>;
    k.pack_b = pack<double, double, Tl::columns / 2>;
  } else if constexpr (same<S, c128>) {
    k.pack_a = pack<c128, c128, Tl::rows / 2>;
    k.pack_b = pack<c128, c128, Tl::columns / 2>;
  } else {
    k.pack_a = pack<E, S, Tl::rows>;
    k.pack_b = pack<E, S, Tl::columns>;
  }
  k.finish = finish<T, D>;
  k.dot = dot<T, S, D>;
  k.gemv_dots = gemv_dots<T, S, D>;
  k.gemv_sums = gemv_sums<T, S, D>;
  k.reference = reference<T, S, D>;
  return k;
}

constexpr long l2_share = 192 << 10, l3_share = 6 << 20;

// Equal blocks of k, a function of k alone.
HD_INLINE long block_of(const Kind &kind, long k) {
  long blocks = ceil_div(k, kind.k_block);
  return blocks <= 1 ? k : (ceil_div(k, blocks) + 7) / 8 * 8;
}

// Where the operands of one tile are, strides in numbers.
struct Operand {
  const char *at;
  long row, k;
};
struct Sums {
  char *at;
  long row;
};
HD_INLINE void tile(const Kind &kind, const Job &job, Operand a, Operand b, bool b_packed, long depth, long i, int rows,
                    long j, int columns, bool first, bool last, Sums sums) {
  const Gemm &g = job.g;
  int n = columns * kind.reals, tail = n % kind.lanes;
  const Micro *table =
      kind.micros + ((n + kind.lanes - 1) / kind.lanes - 1) * 2 * kind.micro_rows + rows * kind.reals - 1;
  if (kind.straight && steps(g.c_n, 1) && !g.c_m.offsets && (!tail || masked)) {
    char *c = job.c + (i * g.c_m.stride + j) * kind.result;
    table[tail ? kind.micro_rows : 0](depth, a.at, a.row, a.k, b.at, b.k, c, g.c_m.stride, tail,
                                      !first || g.accumulate);
    if (last && (job.bias || g.activation != Activation::none))
      kind.finish(job, c, g.c_m.stride, i, rows, j, columns, false, true);
    return;
  }
  alignas(64) char room[2048];
  bool apart = !sums.at;
  if (apart) sums = {room, kind.columns * kind.reals};
  table[tail && !b_packed ? kind.micro_rows : 0](depth, a.at, a.row, a.k, b.at, b.k, sums.at, sums.row, tail,
                                                 !apart && !first);
  if (apart || last) kind.finish(job, sums.at, sums.row, i, rows, j, columns, (apart && !first) || g.accumulate, last);
}

HD_INLINE bool a_in_place(const Kind &kind, const Gemm &g) { return kind.in_place && !g.a_m.offsets && !g.a_k.offsets; }
HD_INLINE bool b_in_place(const Kind &kind, const Gemm &g) {
  return kind.in_place && steps(g.b_n, 1) && !g.b_k.offsets && (masked || g.n % kind.columns == 0);
}

template <class F> void tasks(long n, int threads, const F &f) {
  if (threads <= 1 || n <= 1) {
    for (long i = 0; i < n; ++i) {
      f(i);
      if (n > 1) poll();
    }
  } else {
    parallel(n, [](void *p, long i) { (*(const F *)p)(i); }, (void *)&f);
  }
}

// Nothing packed: for matrices that fit the cache as they are.
void direct(const Kind &kind, const Job &job) {
  const Gemm &g = job.g;
  long block = block_of(kind, g.k), panels = ceil_div(g.m, kind.rows), rows = ceil_div(g.m, panels);
  for (long k = 0; k < g.k; k += block) {
    long depth = least(block, g.k - k);
    for (long j = 0; j < g.n; j += kind.columns)
      for (long i = 0; i < g.m; i += rows)
        tile(kind, job, {job.a + (i * g.a_m.stride + k * g.a_k.stride) * kind.source, g.a_m.stride, g.a_k.stride},
             {job.b + (k * g.b_k.stride + j) * kind.source, 0, g.b_k.stride}, false, depth, i,
             int(least(rows, g.m - i)), j, int(least(kind.columns, g.n - j)), k == 0, k + depth == g.k, {});
  }
}

// Blocks of A that stay in the second cache against panels of B shared by all threads.
void packed(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  const long block = block_of(kind, g.k), deep = ceil_div(block, kind.unit);
  const bool keep = kind.rounds && block < g.k;
  const long wide = keep ? 1024 : most(kind.columns, l3_share / (deep * kind.packed)) / kind.columns * kind.columns;
  const long tall = keep ? 1020 / kind.rows * kind.rows : g.m;
  const long a_panel = deep * kind.rows * kind.packed, b_panel = deep * kind.columns * kind.packed;
  char *packed_b = (char *)workspace(0, least(ceil_div(g.n, kind.columns), ceil_div(wide, kind.columns)) * b_panel);
  Sums sums = {};
  if (keep) {
    sums.row = (least(wide, g.n) + kind.columns - 1) / kind.columns * kind.columns;
    sums.at = (char *)workspace(3, (least(tall, g.m) + kind.rows) * sums.row * kind.real);
  }
  for (long m0 = 0; m0 < g.m; m0 += tall)
    for (long n0 = 0; n0 < g.n; n0 += wide) {
      long m = least(tall, g.m - m0), n = least(wide, g.n - n0);
      long m_panels = ceil_div(m, kind.rows), n_panels = ceil_div(n, kind.columns);
      long per_block = most(1, l2_share / a_panel);
      long blocks = ceil_div(m_panels, per_block);
      if (threads > 1 && blocks >= threads) blocks = (blocks + threads - 1) / threads * threads;
      per_block = ceil_div(m_panels, blocks), blocks = ceil_div(m_panels, per_block);
      long slices = threads > 1 && blocks < 2 * threads ? least(n_panels, ceil_div(2 * threads, blocks)) : 1;
      for (long k = 0; k < g.k; k += block) {
        if (k | m0 | n0) poll();
        long depth = least(block, g.k - k), packed_depth = ceil_div(depth, kind.unit);
        tasks(n_panels, threads, [&](long p) {
          long j = n0 + p * kind.columns;
          kind.pack_b(packed_b + p * b_panel, job.b, g.b_n, j, int(least(kind.columns, g.n - j)), g.b_k, k, depth);
        });
        tasks(blocks * slices, threads, [&](long t) {
          long first = t / slices * per_block, end = least(m_panels, first + per_block), slice = t % slices;
          char *packed_a = (char *)workspace(1, per_block * a_panel);
          for (long p = first; p < end; ++p) {
            long i = m0 + p * kind.rows;
            kind.pack_a(packed_a + (p - first) * a_panel, job.a, g.a_m, i, int(least(kind.rows, g.m - i)), g.a_k, k,
                        depth);
          }
          for (long q = n_panels * slice / slices; q < n_panels * (slice + 1) / slices; ++q)
            for (long p = first; p < end; ++p) {
              long i = m0 + p * kind.rows, j = n0 + q * kind.columns;
              Sums s = sums;
              if (s.at) s.at += ((i - m0) * s.row + (j - n0)) * kind.real;
              tile(kind, job, {packed_a + (p - first) * a_panel, 1, kind.rows * kind.reals},
                   {packed_b + q * b_panel, 0, kind.columns * kind.reals}, true, packed_depth, i,
                   int(least(kind.rows, least(g.m, m0 + m) - i)), j, int(least(kind.columns, g.n - j)), k == 0,
                   k + depth == g.k, s);
            }
        });
      }
    }
}

// Few rows: A packed whole, each panel of B packed just before its use (and the mirror image, few columns).
template <bool few_rows> void thin(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  const long block = block_of(kind, g.k), deep = ceil_div(block, kind.unit), blocks = ceil_div(g.k, block);
  const int small = few_rows ? kind.rows : kind.columns, large = few_rows ? kind.columns : kind.rows;
  const long small_n = few_rows ? g.m : g.n, large_n = few_rows ? g.n : g.m;
  const long small_panels = ceil_div(small_n, small), large_panels = ceil_div(large_n, large);
  const long small_panel = deep * small * kind.packed, large_panel = deep * large * kind.packed;
  const bool here = !few_rows && a_in_place(kind, g) && (g.a_m.stride * kind.source) % 2048 != 0;
  char *kept = (char *)workspace(0, blocks * small_panels * small_panel);
  tasks(blocks * small_panels, threads, [&](long t) {
    long k = t / small_panels * block, i = t % small_panels * small;
    (few_rows ? kind.pack_a : kind.pack_b)(kept + t * small_panel, few_rows ? job.a : job.b, few_rows ? g.a_m : g.b_n,
                                           i, int(least(small, small_n - i)), few_rows ? g.a_k : g.b_k, k,
                                           least(block, g.k - k));
  });
  const long groups = threads > 1 ? least(large_panels, 8 * threads) : 1;
  const bool keep = kind.rounds && blocks > 1;
  tasks(groups, threads, [&](long t) {
    char *other = (char *)workspace(1, large_panel);
    const long sums_panel = long(kind.rows) * kind.columns * kind.real;
    char *sums = keep ? (char *)workspace(3, small_panels * sums_panel) : nullptr;
    for (long q = large_panels * t / groups; q < large_panels * (t + 1) / groups; ++q) {
      if (q % 64 == 63) poll();
      long l = q * large;
      int l_count = int(least(large, large_n - l));
      for (long b = 0; b < blocks; ++b) {
        long k = b * block, depth = least(block, g.k - k);
        if (!here)
          (few_rows ? kind.pack_b : kind.pack_a)(other, few_rows ? job.b : job.a, few_rows ? g.b_n : g.a_m, l, l_count,
                                                 few_rows ? g.b_k : g.a_k, k, depth);
        for (long p = 0; p < small_panels; ++p) {
          long s = p * small;
          int s_count = int(least(small, small_n - s));
          const char *mine = kept + (b * small_panels + p) * small_panel;
          Operand in_a = {few_rows ? mine : other, 1, kind.rows * kind.reals};
          Operand in_b = {few_rows ? other : mine, 0, kind.columns * kind.reals};
          if (here) in_a = {job.a + (l * g.a_m.stride + k * g.a_k.stride) * kind.source, g.a_m.stride, g.a_k.stride};
          tile(kind, job, in_a, in_b, true, ceil_div(depth, kind.unit), few_rows ? s : l, few_rows ? s_count : l_count,
               few_rows ? l : s, few_rows ? l_count : s_count, b == 0, b + 1 == blocks,
               {sums ? sums + p * sums_panel : nullptr, kind.columns});
        }
      }
    }
  });
}

void gemv(const Kind &kind, const Job &job, int threads) {
  Vectors p = vectors_of(job);
  bool dots = steps(p.k, 1);
  long grain = dots ? 32 : 512, pieces = threads > 1 ? least(ceil_div(p.rows, grain), 4 * threads) : 1;
  long chunk = ceil_div(ceil_div(p.rows, pieces), grain) * grain;
  tasks(ceil_div(p.rows, chunk), threads,
        [&](long t) { (dots ? kind.gemv_dots : kind.gemv_sums)(job, t * chunk, least(p.rows, (t + 1) * chunk)); });
}

// One matrix. A route that does not fit the operands gives way to one that takes any.
void one(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  Route route = g.route;
  if (g.k == 0) route = Route::reference;
  if (route == Route::dot || route == Route::gemv) {
    Vectors p = vectors_of(job);
    if (g.m == 1 && g.n == 1) return kind.dot(job, 0, 1);
    if ((g.m == 1 || g.n == 1) && (steps(p.k, 1) || steps(p.r, 1))) return gemv(kind, job, threads);
    route = g.m <= g.n ? Route::skinny : Route::tall;
  }
  if (route == Route::direct) {
    if (kind.reals == 1 && a_in_place(kind, g) && b_in_place(kind, g) && (!kind.rounds || g.k <= kind.k_block))
      return direct(kind, job);
    route = g.m <= g.n ? Route::skinny : Route::tall;
  }
  if (route == Route::reference) kind.reference(job);
  else if (route == Route::skinny) thin<true>(kind, job, threads);
  else if (route == Route::tall) thin<false>(kind, job, threads);
  else packed(kind, job, threads);
}

void run(const Kind &kind, const Gemm &g) {
  auto each = [&](long i, int threads) {
    Job job = {g, g.a + at(g.a_batch, i) * kind.source, g.b + at(g.b_batch, i) * kind.source,
               g.bias ? g.bias + at(g.bias_batch, i) * kind.result : nullptr, g.c + at(g.c_batch, i) * kind.result};
    one(kind, job, threads);
  };
  if (g.threads > 1 && g.batch >= 2 * g.threads) {
    long pieces = least(g.batch, 32 * g.threads);
    tasks(pieces, g.threads, [&](long p) {
      for (long i = g.batch * p / pieces; i < g.batch * (p + 1) / pieces; ++i) each(i, 1);
    });
  } else {
    for (long i = 0; i < g.batch; ++i) each(i, g.threads);
  }
}

} // namespace
} // namespace hadamard::LEVEL
