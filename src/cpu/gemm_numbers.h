// What products compute in: vectors of a level, and numbers on their way from storage and back.
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

template <int... I> struct Indices {};
template <int N, int... I> struct Counted : Counted<N - 1, N - 1, I...> {};
template <int... I> struct Counted<0, I...> {
  using type = Indices<I...>;
};

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

} // namespace
} // namespace hadamard::LEVEL
