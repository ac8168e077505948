// Lanes: N numbers computed at once, on the compiler's own vectors. A formula sees only Lanes, Mask and math::.
// Everything sits in an unnamed namespace, so that no level can lend its code to another; nothing comes from std.
#pragma once
#include "../dtype.h"
#if defined(__F16C__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace hadamard::LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int width = 64;
#elif defined(__AVX2__)
constexpr int width = 32;
#else
constexpr int width = 16;
#endif

template <class A, class B> constexpr bool same = false;
template <class A> constexpr bool same<A, A> = true;
template <class T> constexpr bool floating = same<T, float> || same<T, double>;
template <class T> constexpr bool is_complex = false;
template <class T> constexpr bool is_complex<complex<T>> = true;
template <class T> constexpr bool is_signed = T(-1) < T(0);
template <> constexpr bool is_signed<bool> = false;
template <class T>
concept arithmetic = requires(T t) { static_cast<T>(+t); } && !__is_class(T);

template <bool c, class A, class B> struct IfType {
  using type = A;
};
template <class A, class B> struct IfType<false, A, B> {
  using type = B;
};
template <bool c, class A, class B> using If = typename IfType<c, A, B>::type;
template <int bytes> using IntOf = If<bytes == 1, int8_t, If<bytes == 2, int16_t, If<bytes == 4, int32_t, int64_t>>>;
template <int bytes>
using UIntOf = If<bytes == 1, uint8_t, If<bytes == 2, uint16_t, If<bytes == 4, uint32_t, uint64_t>>>;
template <class T> using Int = IntOf<sizeof(T)>;
template <class T> using UInt = UIntOf<sizeof(T)>;

template <int... i> struct Sequence {};
#ifdef __clang__
template <class, int... i> using SequenceOf = Sequence<i...>;
template <int n> using Indices = __make_integer_seq<SequenceOf, int, n>;
#else
template <int n> using Indices = Sequence<__integer_pack(n)...>;
#endif

template <class T, int N> struct VectorOf {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T, int N> using Vector = typename VectorOf<T, N>::type;

// Changes the width by halves, then the kind at equal width: g++ 12 takes larger steps lane by lane.
template <class To, int N, class From> HD_INLINE Vector<To, N> convert(Vector<From, N> v) {
  if constexpr (same<To, From>) return v;
  else if constexpr (floating<To> && floating<From>) return __builtin_convertvector(v, Vector<To, N>);
  else if constexpr (sizeof(To) == sizeof(From)) return __builtin_convertvector(v, Vector<To, N>);
  else if constexpr (floating<From> && sizeof(To) > sizeof(From))
    return convert<To, N, double>(__builtin_convertvector(v, Vector<double, N>));
  else if constexpr (same<From, double> && (sizeof(To) == 4 || (sizeof(To) < 4 && is_signed<To>)))
    return convert<To, N, int32_t>(__builtin_convertvector(v, Vector<int32_t, N>));
  else if constexpr (floating<From>) return convert<To, N, Int<From>>(convert<Int<From>, N, From>(v));
  else if constexpr (floating<To> && sizeof(To) < sizeof(From)) return __builtin_convertvector(v, Vector<To, N>);
  else if constexpr (same<To, double> && same<From, int32_t>) return __builtin_convertvector(v, Vector<To, N>);
  else if constexpr (floating<To>) return convert<To, N, int32_t>(convert<int32_t, N, From>(v));
  else if constexpr (sizeof(To) > sizeof(From)) {
    using Double = If<is_signed<From>, IntOf<2 * sizeof(From)>, UIntOf<2 * sizeof(From)>>;
    return convert<To, N, Double>(__builtin_convertvector(v, Vector<Double, N>));
  } else {
    using Half = IntOf<sizeof(From) / 2>;
    return convert<To, N, Half>(__builtin_convertvector(v, Vector<Half, N>));
  }
}

// Twice as many lanes as a vector has are two vectors, which fill each other's waits in long formulas.
template <int bytes, int N> constexpr bool two = bytes >= 4 && bytes * N == 2 * width;

// All bits of a lane, or none.
template <int bytes, int N> struct Mask {
  using V = Vector<IntOf<bytes>, N>;
  V v;
  friend HD_INLINE Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend HD_INLINE Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  friend HD_INLINE Mask operator^(Mask a, Mask b) { return {a.v ^ b.v}; }
  friend HD_INLINE Mask operator!(Mask a) { return {~a.v}; }
};
template <int bytes, int N>
  requires(two<bytes, N>)
struct Mask<bytes, N> {
  Mask<bytes, N / 2> low, high;
  friend HD_INLINE Mask operator&(Mask a, Mask b) { return {a.low & b.low, a.high & b.high}; }
  friend HD_INLINE Mask operator|(Mask a, Mask b) { return {a.low | b.low, a.high | b.high}; }
  friend HD_INLINE Mask operator^(Mask a, Mask b) { return {a.low ^ b.low, a.high ^ b.high}; }
  friend HD_INLINE Mask operator!(Mask a) { return {!a.low, !a.high}; }
};
template <int to, int bytes, int N> HD_INLINE Mask<to, N> resize(Mask<bytes, N> m) {
  if constexpr (to == bytes) return m;
  else return {convert<IntOf<to>, N, IntOf<bytes>>(m.v)};
}

template <class T, int N> struct Lanes {
  using Element = T;
  using V = Vector<T, N>;
  using M = Mask<sizeof(T), N>;
  static constexpr int lanes = N;
  V v;
  Lanes() = default;
  HD_INLINE Lanes(V v) : v(v) {}
  // So that 0.1 * x is T's 0.1; -0.0 survives the subtraction.
  template <class S>
    requires(arithmetic<S>)
  HD_INLINE Lanes(S s) : v(T(s) - V{}) {}
#define X(o)                                                                                                           \
  friend HD_INLINE Lanes operator o(Lanes a, Lanes b) { return Lanes(V(a.v o b.v)); }
  X(+)
  X(-)
  X(*)
  X(/)
  X(%)
  X(&)
  X(|)
  X(^) X(<<) X(>>)
#undef X
#define X(o)                                                                                                           \
  friend HD_INLINE M operator o(Lanes a, Lanes b) { return {typename M::V(a.v o b.v)}; }
      X(<) X(<=) X(>) X(>=) X(==) X(!=)
#undef X
          friend HD_INLINE Lanes
          operator-(Lanes a) {
    return Lanes(V(-a.v));
  }
  friend HD_INLINE Lanes operator~(Lanes a) { return Lanes(V(~a.v)); }
};

template <class T, int N>
  requires(!is_complex<T> && two<sizeof(T), N>)
struct Lanes<T, N> {
  using Element = T;
  using Half = Lanes<T, N / 2>;
  using M = Mask<sizeof(T), N>;
  static constexpr int lanes = N;
  Half low, high;
  Lanes() = default;
  HD_INLINE Lanes(Half low, Half high) : low(low), high(high) {}
  template <class S>
    requires(arithmetic<S>)
  HD_INLINE Lanes(S s) : low(s), high(s) {}
#define X(o)                                                                                                           \
  friend HD_INLINE Lanes operator o(Lanes a, Lanes b) { return {a.low o b.low, a.high o b.high}; }
  X(+)
  X(-)
  X(*)
  X(/)
  X(%)
  X(&)
  X(|)
  X(^) X(<<) X(>>)
#undef X
#define X(o)                                                                                                           \
  friend HD_INLINE M operator o(Lanes a, Lanes b) { return {a.low o b.low, a.high o b.high}; }
      X(<) X(<=) X(>) X(>=) X(==) X(!=)
#undef X
          friend HD_INLINE Lanes
          operator-(Lanes a) {
    return {-a.low, -a.high};
  }
  friend HD_INLINE Lanes operator~(Lanes a) { return {~a.low, ~a.high}; }
};
template <class L> constexpr bool is_two = false;
template <class T, int N> constexpr bool is_two<Lanes<T, N>> = !is_complex<T> && two<sizeof(T), N>;
template <class L> constexpr bool parts_are_two = false; // of complex numbers
template <class T, int N> constexpr bool parts_are_two<Lanes<complex<T>, N>> = two<sizeof(T), N>;

// Truth values, one byte each, 0 or 1: + is or, * is and, as in torch.
template <int N> struct Lanes<bool, N> {
  using Element = bool;
  using V = Vector<uint8_t, N>;
  using M = Mask<1, N>;
  static constexpr int lanes = N;
  V v;
  Lanes() = default;
  HD_INLINE Lanes(V v) : v(v) {}
  template <class S>
    requires(arithmetic<S>)
  HD_INLINE Lanes(S s) : Lanes(Lanes<uint8_t, N>(bool(s)).v) {}
  HD_INLINE Lanes(M m) : v(V(m.v & 1)) {}
#define X(o, e)                                                                                                        \
  friend HD_INLINE Lanes operator o(Lanes a, Lanes b) { return Lanes(V(a.v e b.v)); }
  X(+, |)
  X(*, &)
  X(&, &)
  X(|, |)
  X(^, ^)
#undef X
#define X(o)                                                                                                           \
  friend HD_INLINE M operator o(Lanes a, Lanes b) { return {typename M::V(a.v o b.v)}; }
  X(<)
  X(<=)
  X(>)
  X(>=)
  X(==)
  X(!=)
#undef X
  friend HD_INLINE Lanes operator~(Lanes a) { return Lanes(V(a.v ^ 1)); }
};

template <class T, int N> HD_INLINE Lanes<T, N> choose(Mask<sizeof(T), N> m, Lanes<T, N> a, Lanes<T, N> b) {
  if constexpr (is_two<Lanes<T, N>>) return {choose(m.low, a.low, b.low), choose(m.high, a.high, b.high)};
  else return typename Lanes<T, N>::V(m.v ? a.v : b.v);
}
template <class To, class T, int N> HD_INLINE Lanes<To, N> bits(Lanes<T, N> x) {
  if constexpr (is_two<Lanes<T, N>>) return Lanes<To, N>(bits<To>(x.low), bits<To>(x.high));
  else return Lanes<To, N>((Vector<To, N>)x.v);
}

// (re, im) pairs, apart. N counts the pairs.
template <class T, int N> struct Lanes<complex<T>, N> {
  using Element = complex<T>;
  using Real = Lanes<T, N>;
  using M = Mask<sizeof(T), N>;
  static constexpr int lanes = N;
  Real re, im;
  Lanes() = default;
  HD_INLINE Lanes(Real re, Real im) : re(re), im(im) {}
  HD_INLINE Lanes(Real re) : re(re), im(0) {}
  template <class S>
    requires(arithmetic<S>)
  HD_INLINE Lanes(S s) : re(s), im(0) {}
  friend HD_INLINE Lanes operator+(Lanes a, Lanes b) { return {a.re + b.re, a.im + b.im}; }
  friend HD_INLINE Lanes operator-(Lanes a, Lanes b) { return {a.re - b.re, a.im - b.im}; }
  friend HD_INLINE Lanes operator*(Lanes a, Lanes b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
  // Scaled by the divisor's larger part, which neither overflows nor underflows where the quotient does not.
  friend HD_INLINE Lanes operator/(Lanes a, Lanes b) {
    Real p = choose(b.re < 0, -b.re, b.re), q = choose(b.im < 0, -b.im, b.im), s = choose(p > q, p, q);
    Real c = b.re / s, d = b.im / s, n = c * c + d * d;
    Real x = a.re / s, y = a.im / s;
    return {choose(s == 0, x, (x * c + y * d) / n), choose(s == 0, y, (y * c - x * d) / n)};
  }
  friend HD_INLINE M operator==(Lanes a, Lanes b) { return (a.re == b.re) & (a.im == b.im); }
  friend HD_INLINE M operator!=(Lanes a, Lanes b) { return (a.re != b.re) | (a.im != b.im); }
  friend HD_INLINE Lanes operator-(Lanes a) { return {-a.re, -a.im}; }
};

template <class X> constexpr bool is_lanes = false;
template <class T, int N> constexpr bool is_lanes<Lanes<T, N>> = true;
template <class A, class B> using LanesOf = If<is_lanes<A>, A, B>;

// where(mask, x, y): x where the mask holds. Literals take the other's type.
template <int bytes, int N, class A, class B> HD_INLINE auto where(Mask<bytes, N> m, const A &a, const B &b) {
  using L = LanesOf<A, B>;
  const L x(a), y(b);
  if constexpr (is_complex<typename L::Element>) {
    auto r = resize<sizeof(typename L::Real::Element)>(m);
    return L(choose(r, x.re, y.re), choose(r, x.im, y.im));
  } else return choose(resize<sizeof(typename L::Element)>(m), x, y);
}
template <int N, class A, class B> HD_INLINE auto where(Lanes<bool, N> c, const A &a, const B &b) {
  return where(c != false, a, b);
}

// Storage: what a dtype computes in, how it is read and written.
template <class T> struct ComputeOf {
  using type = T;
};
template <> struct ComputeOf<f16> {
  using type = float;
};
template <> struct ComputeOf<bf16> {
  using type = float;
};
template <class T> using Compute = typename ComputeOf<T>::type;
template <class T> constexpr int part_size = sizeof(T);
template <class T> constexpr int part_size<complex<T>> = sizeof(T);
// Lanes such that no vector is wider than the machine's.
template <class... T> constexpr int lanes_for() {
  int widest = 1;
  ((widest = part_size<Compute<T>> > widest ? part_size<Compute<T>> : widest), ...);
  return width / widest;
}

template <class T, int N> HD_INLINE Vector<T, N> raw(const void *p) {
  Vector<T, N> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V> HD_INLINE void put(void *p, V v) { __builtin_memcpy(p, &v, sizeof v); }

// Picks lanes i, counted through a then b.
template <class T, int N, int... i> HD_INLINE Vector<T, N> shuffle(Vector<T, N> a, Vector<T, N> b) {
#ifdef __clang__
  return __builtin_shufflevector(a, b, i...);
#else
  return __builtin_shuffle(a, b, Vector<Int<T>, N>{i...});
#endif
}

template <class To, int N, class From> HD_INLINE Lanes<To, N> cast(Lanes<From, N> x) {
  if constexpr (same<To, From>) return x;
  else if constexpr (same<To, bool>) {
    if constexpr (is_complex<From>) return Lanes<bool, N>(resize<1>(x != 0));
    else return Lanes<bool, N>(resize<1>(x != From(0)));
  } else if constexpr (is_complex<To> && is_complex<From>) {
    using T = typename Lanes<To, N>::Real::Element;
    return {cast<T>(x.re), cast<T>(x.im)};
  } else if constexpr (is_complex<To>) return {cast<typename Lanes<To, N>::Real::Element>(x)};
  else if constexpr (is_complex<From>) return cast<To>(x.re);
  else if constexpr (same<From, bool>) return convert<To, N, uint8_t>(x.v);
  else if constexpr (is_two<Lanes<From, N>> && is_two<Lanes<To, N>>)
    return Lanes<To, N>(cast<To>(x.low), cast<To>(x.high));
  else if constexpr (is_two<Lanes<To, N>>) {
    constexpr int half = N / 2;
    return Lanes<To, N>(cast<To>(Lanes<From, half>(raw<From, half>(&x))),
                        cast<To>(Lanes<From, half>(raw<From, half>((const From *)&x + half))));
  } else if constexpr (is_two<Lanes<From, N>>) {
    Vector<To, N> r;
    put(&r, cast<To>(x.low).v);
    put((To *)&r + N / 2, cast<To>(x.high).v);
    return r;
  } else return convert<To, N, From>(x.v);
}

template <class T, int N> HD_INLINE Lanes<Compute<T>, N> load(const void *p) {
  if constexpr (same<T, bool>) return raw<uint8_t, N>(p);
  else if constexpr (parts_are_two<Lanes<T, N>>) {
    auto a = load<T, N / 2>(p), b = load<T, N / 2>((const T *)p + N / 2);
    return {{a.re, b.re}, {a.im, b.im}};
  } else if constexpr (is_complex<T>) {
    using R = decltype(T::re);
    auto a = raw<R, N>(p), b = raw<R, N>((const char *)p + sizeof a);
    return [&]<int... i>(Sequence<i...>) -> Lanes<T, N> {
      return {shuffle<R, N, 2 * i...>(a, b), shuffle<R, N, 2 * i + 1 ...>(a, b)};
    }(Indices<N>{});
  } else if constexpr (same<T, bf16>) return bits<float>(cast<uint32_t>(Lanes<uint16_t, N>(raw<uint16_t, N>(p))) << 16);
  else if constexpr (same<T, f16>) {
#if defined(__AVX512F__)
    if constexpr (N == 16) return (Vector<float, N>)_mm512_cvtph_ps((__m256i)raw<int64_t, 4>(p));
    else
#endif
#if defined(__F16C__)
        if constexpr (N == 8)
      return (Vector<float, N>)_mm256_cvtph_ps((__m128i)raw<int64_t, 2>(p));
    else if constexpr (N == 4) return (Vector<float, N>)_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)p));
    else
#endif
#if defined(__aarch64__)
      return __builtin_convertvector(raw<__fp16, N>(p), Vector<float, N>);
#else
    {
      auto h = cast<uint32_t>(Lanes<uint16_t, N>(raw<uint16_t, N>(p)));
      auto f = bits<uint32_t>(bits<float>((h & 0x7fff) << 13) * 0x1p112f) | (h & 0x8000) << 16;
      return bits<float>(where((h & 0x7c00) == 0x7c00, f | 0x7f800000, f));
    }
#endif
  } else if constexpr (is_two<Lanes<T, N>>) return {load<T, N / 2>(p), load<T, N / 2>((const T *)p + N / 2)};
  else return raw<T, N>(p);
}

template <class T, int N, int bytes> HD_INLINE void store(void *p, Mask<bytes, N> m) {
  put(p, Lanes<bool, N>(resize<1>(m)).v);
}
template <class T, int N> HD_INLINE void store(void *p, Lanes<Compute<T>, N> x) {
  if constexpr (parts_are_two<Lanes<T, N>>) {
    store<T, N / 2>(p, {x.re.low, x.im.low});
    store<T, N / 2>((T *)p + N / 2, {x.re.high, x.im.high});
  } else if constexpr (is_complex<T>) {
    using R = decltype(T::re);
    [&]<int... i>(Sequence<i...>) {
      put(p, shuffle<R, N, i / 2 + i % 2 * N...>(x.re.v, x.im.v));
      put((char *)p + sizeof x.re.v, shuffle<R, N, (N + i) / 2 + (N + i) % 2 * N...>(x.re.v, x.im.v));
    }(Indices<N>{});
  } else if constexpr (same<T, bf16>) { // nearest even; not vcvtneps2bf16, which flushes denormals
    auto u = bits<uint32_t>(x);
    u = where(bits<int32_t>(u & 0x7fffffff) > 0x7f800000, u | 0x400000, u + 0x7fff + ((u >> 16) & 1)) >> 16;
    put(p, cast<uint16_t>(u).v);
  } else if constexpr (same<T, f16>) {
#if defined(__AVX512F__)
    if constexpr (N == 16) return put(p, _mm512_cvtps_ph((__m512)x.v, 0));
    else
#endif
#if defined(__F16C__)
        if constexpr (N == 8)
      return put(p, _mm256_cvtps_ph((__m256)x.v, 0));
    else if constexpr (N == 4) return _mm_storel_epi64((__m128i *)p, _mm_cvtps_ph((__m128)x.v, 0));
    else
#endif
#if defined(__aarch64__)
      put(p, __builtin_convertvector(x.v, Vector<__fp16, N>));
#else
    {
      auto u = bits<uint32_t>(x), a = u & 0x7fffffff;
      auto r = (a + ((a >> 13) & 1) - 0x37fff001u) >> 13;
      r = where(a < 0x38800000, bits<uint32_t>(bits<float>(a) + 0.5f) - 0x3f000000, r);
      r = where(a >= 0x477ff000, 0x7c00, r);
      r = where(a > 0x7f800000, 0x7e00 | ((a >> 13) & 0x3ff), r);
      put(p, cast<uint16_t>(r | ((u >> 16) & 0x8000)).v);
    }
#endif
  } else if constexpr (is_two<Lanes<T, N>>) {
    put(p, x.low.v);
    put((T *)p + N / 2, x.high.v);
  } else put(p, x.v);
}

} // namespace
} // namespace hadamard::LEVEL
