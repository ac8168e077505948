// Single elements for host loops that compute one at a time: conversions, arithmetic, order; and walks over strides.
#pragma once
#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>

#include "half.h"
#include "tensor.h"

namespace hadamard {

// ---- numbers

// An element as what it is computed in: float for halves, std::complex for complex, itself otherwise.
template <class T> inline T wide(T x) { return x; }
inline float wide(bf16 x) { return to_float(x); }
inline float wide(f16 x) { return to_float(x); }
inline std::complex<float> wide(c64 x) { return {x.re, x.im}; }
inline std::complex<double> wide(c128 x) { return {x.re, x.im}; }
template <class T> using Wide = decltype(wide(T()));

template <class T, class W> inline T narrow(W w) {
  if constexpr (std::is_same_v<T, bf16>) {
    return to_bf16(float(w));
  } else if constexpr (std::is_same_v<T, f16>) {
    return to_f16(float(w));
  } else if constexpr (std::is_same_v<T, c64> || std::is_same_v<T, c128>) {
    std::complex<double> c(w);
    return {decltype(T::re)(c.real()), decltype(T::im)(c.imag())};
  } else {
    return T(w);
  }
}

template <class T> constexpr bool is_real_element = !std::is_same_v<T, c64> && !std::is_same_v<T, c128>;
template <class T> inline bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<Wide<T>>) return wide(x) != wide(x);
  else return false;
}
template <class T> inline bool is_zero(T x) { return wide(x) == Wide<T>(0); }

// Integers wrap as torch's do; halves round once.
template <class T> inline T plus(T a, T b) {
  if constexpr (std::is_same_v<T, bool>) return a || b;
  else if constexpr (std::is_integral_v<T>) return T(uint64_t(a) + uint64_t(b));
  else return narrow<T>(wide(a) + wide(b));
}
template <class T> inline T times(T a, T b) {
  if constexpr (std::is_same_v<T, bool>) return a && b;
  else if constexpr (std::is_integral_v<T>) return T(uint64_t(a) * uint64_t(b));
  else return narrow<T>(wide(a) * wide(b));
}
// The order of a sort: NaN is larger than every number.
template <class T> inline bool before(T a, T b) {
  auto x = wide(a), y = wide(b);
  if constexpr (std::is_floating_point_v<Wide<T>>) return x < y || (y != y && x == x);
  else return x < y;
}

// A type of n bytes that is only copied.
struct Bytes16 {
  uint64_t a, b;
};
template <class F> decltype(auto) by_size(int64_t bytes, F &&f) {
  switch (bytes) {
  case 1: return f(Type<uint8_t>{});
  case 2: return f(Type<uint16_t>{});
  case 4: return f(Type<uint32_t>{});
  case 8: return f(Type<uint64_t>{});
  default: return f(Type<Bytes16>{});
  }
}

// ---- walks

// Goes over all indices of a shape, the last dimension fastest, and keeps the offset of N operands (in elements).
template <int N> class Walk {
  const Dims &shape_;
  std::array<const Dims *, N> strides_;
  Dims at_;

public:
  std::array<int64_t, N> offset{};
  Walk(const Dims &shape, std::array<const Dims *, N> strides, int64_t start = 0)
      : shape_(shape), strides_(strides), at_(shape.size(), 0) {
    for (size_t d = shape.size(); d-- > 0 && start;) {
      at_[d] = start % shape[d];
      start /= shape[d];
      for (int k = 0; k < N; ++k) offset[k] += at_[d] * (*strides_[k])[d];
    }
  }
  void next() {
    for (size_t d = shape_.size(); d-- > 0;) {
      for (int k = 0; k < N; ++k) offset[k] += (*strides_[k])[d];
      if (++at_[d] < shape_[d]) return;
      for (int k = 0; k < N; ++k) offset[k] -= (*strides_[k])[d] * shape_[d];
      at_[d] = 0;
    }
  }
  const Dims &at() const { return at_; }
};

// Views without history.
inline Tensor at_least_1d(const Tensor &t) { return t.dim() ? t : alias(t, {1}, {1}, t->offset); }
inline Tensor with_shape(const Tensor &t, const Dims &shape) { // of a contiguous tensor
  return alias(t, shape, contiguous_strides(shape), t->offset);
}

// Throws where an argument has no data although x has. Undefined tensors are passed over.
inline void check_together(const char *op, const Tensor &x, std::initializer_list<Tensor> others) {
  for (auto &t : others)
    if (t && t.is_meta() && !x.is_meta())
      throw Error(Raises::runtime, "Tensor on device meta is not on the expected device cpu!", "device")
          .in(op)
          .arg("self", x)
          .arg("other", t);
}
// Throws where the shape of the result would depend on numbers that a meta tensor does not have.
inline void check_numbers(const char *op, std::initializer_list<Tensor> tensors) {
  for (auto &t : tensors)
    HD_CHECK(!t || !t.is_meta(), not_implemented,
             "%s: the result depends on the numbers themselves, which a meta tensor does not have", op);
}

} // namespace hadamard
