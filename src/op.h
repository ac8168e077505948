// What an element-wise op says about itself: name, formula (code and text), dtypes, and the derivative by each operand.
// Operands are always called a, b, c; the result is y; the incoming gradient is g.
#pragma once
#include "dtype.h"

namespace hadamard {

#define FORMULA(args, ...) [] args { return __VA_ARGS__; }, #args, #__VA_ARGS__

// D(a, g * b): the gradient that flows to operand a. The text is kept to know which operands must be saved.
#define D(operand, ...)                                                                                                \
  ::hadamard::derivative(#operand, #__VA_ARGS__,                                                                       \
                         []([[maybe_unused]] const auto &g, [[maybe_unused]] const auto &a,                            \
                            [[maybe_unused]] const auto &b, [[maybe_unused]] const auto &c,                            \
                            [[maybe_unused]] const auto &y) { return __VA_ARGS__; })

struct None {};

template <class A, class B> constexpr bool same_type = false;
template <class A> constexpr bool same_type<A, A> = true;
template <class A> struct Bare {
  using type = A;
};
template <class A> struct Bare<A &> {
  using type = A;
};
template <class A> using bare = typename Bare<A>::type;

template <class F> struct Derivative {
  const char *operand, *source;
  F formula;
};
template <class F> constexpr Derivative<F> derivative(const char *operand, const char *source, F f) {
  return {operand, source, f};
}

// True where `name` stands in `text` as a whole word.
constexpr bool mentions(const char *text, char name) {
  auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  for (const char *p = text; *p; ++p)
    if (*p == name && !word(p[1]) && (p == text || !word(p[-1]))) return true;
  return false;
}

// Which of a, b, c and y (bits 0…3) a derivative reads.
constexpr unsigned reads(const char *source) {
  return unsigned(mentions(source, 'a')) | unsigned(mentions(source, 'b')) << 1 | unsigned(mentions(source, 'c')) << 2 |
         unsigned(mentions(source, 'y')) << 3;
}

// How the result's dtype follows from the operands'.
enum class Promotes : uint8_t {
  common,  // the common dtype of the operands
  floating // the common dtype, integers and bool to the default float dtype (exp, div, sigmoid)
};

template <int N, class F, class D0 = None, class D1 = None, class D2 = None> struct Op {
  static constexpr int arity = N;
  const char *name;
  F forward;
  const char *args, *source;
  Set dtypes = everything; // dtypes the formula is computed in
  Promotes promotes = Promotes::common;
  bool condition = false; // the first operand is a bool mask and does not take part in promotion
  D0 d0{};
  D1 d1{};
  D2 d2{};

  constexpr Op on(Set s) const {
    Op r = *this;
    r.dtypes = s;
    return r;
  }
  constexpr Op to_float() const {
    Op r = *this;
    r.promotes = Promotes::floating;
    return r;
  }
  constexpr Op with_condition() const {
    Op r = *this;
    r.condition = true;
    return r;
  }
  template <class E0, class E1 = None, class E2 = None>
  constexpr Op<N, F, E0, E1, E2> grad(E0 e0, E1 e1 = {}, E2 e2 = {}) const {
    return {name, forward, args, source, dtypes, promotes, condition, e0, e1, e2};
  }
  // Callable in formulas (on lanes) and in gradients (on tensors): apply() is found with the argument.
  template <class A, class... R> HD_INLINE constexpr auto operator()(const A &a, const R &...r) const {
    return apply(*this, a, r...);
  }
};
// The derivative of an op by the operand of that letter.
template <char letter, class O> constexpr const auto &derivative_by(const O &op) {
  if constexpr (letter == 'a') return op.d0;
  else if constexpr (letter == 'b') return op.d1;
  else return op.d2;
}
template <class F> constexpr auto unary(const char *n, F f, const char *a, const char *s) {
  return Op<1, F>{n, f, a, s};
}
template <class F> constexpr auto binary(const char *n, F f, const char *a, const char *s) {
  return Op<2, F>{n, f, a, s};
}
template <class F> constexpr auto ternary(const char *n, F f, const char *a, const char *s) {
  return Op<3, F>{n, f, a, s};
}

} // namespace hadamard
