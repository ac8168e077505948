// How an op is known to the outside: name, torch-like signature, and a call on untyped values. The Python functions,
// Tensor methods, in-place forms, out=, stubs and docs are all made from these entries.
#pragma once
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "call.h"
#include "random.h"

namespace hadamard {

// An argument that may be a tensor or a number (made a weak 0-d tensor).
struct Operand {
  Tensor t;
  operator const Tensor &() const { return t; }
};
struct Ignored {}; // accepted for torch's sake and of no effect: layout=, pin_memory=, memory_format=

enum class Kind : uint8_t {
  tensor,
  operand,
  tensors,
  integer,
  floating,
  boolean,
  scalar,
  dims,
  dtype,
  device,
  string,
  generator,
  ignored,
};
using Value = std::variant<std::monostate, Tensor, Tensors, int64_t, double, bool, Scalar, Dims, DType, Device,
                           std::string, Generator *>;

struct Param {
  Kind kind;
  bool optional; // std::optional in C++: None stays None
};
using Invoke = Value (*)(Value *args);

constexpr unsigned function = 1, method = 2, both = 3; // where the op appears
constexpr unsigned inplace = 4;                        // `name_` too, by assign()

struct OpDef {
  const char *name;
  const char *signature; // "input, dim=None, keepdim=False, *, dtype=None -> (values, indices)"
  unsigned where;
  Invoke invoke;
  const Param *params;
  int count;
  bool returns_nothing;
};

namespace detail {
template <class T> struct ParamOf;
#define HD_PARAM(T, k)                                                                                                 \
  template <> struct ParamOf<T> {                                                                                      \
    static constexpr Param value{Kind::k, false};                                                                      \
  };                                                                                                                   \
  template <> struct ParamOf<std::optional<T>> {                                                                       \
    static constexpr Param value{Kind::k, true};                                                                       \
  };
HD_PARAM(Tensor, tensor)
HD_PARAM(Operand, operand)
HD_PARAM(Tensors, tensors)
HD_PARAM(int64_t, integer)
HD_PARAM(double, floating)
HD_PARAM(bool, boolean)
HD_PARAM(Scalar, scalar)
HD_PARAM(Dims, dims)
HD_PARAM(DType, dtype)
HD_PARAM(Device, device)
HD_PARAM(std::string, string)
HD_PARAM(Generator *, generator) // None: the default generator
HD_PARAM(Ignored, ignored)
#undef HD_PARAM

template <class T> struct Unpack {
  static T get(Value &v) { return std::get<T>(std::move(v)); }
};
template <> struct Unpack<Tensor> {
  static Tensor get(Value &v) { return v.index() ? std::get<Tensor>(std::move(v)) : Tensor(); }
};
template <> struct Unpack<Operand> {
  static Operand get(Value &v) { return {Unpack<Tensor>::get(v)}; }
};
template <> struct Unpack<Generator *> {
  static Generator *get(Value &v) { return v.index() ? std::get<Generator *>(v) : &default_generator(); }
};
template <> struct Unpack<Ignored> {
  static Ignored get(Value &) { return {}; }
};
template <class T> struct Unpack<std::optional<T>> {
  static std::optional<T> get(Value &v) {
    if (!v.index()) return std::nullopt;
    return Unpack<T>::get(v);
  }
};

template <class R> Value pack(R &&r) {
  using T = std::decay_t<R>;
  if constexpr (requires { std::tuple_size<T>::value; })
    return std::apply([](auto &&...t) { return Value(Tensors{t...}); }, std::forward<R>(r));
  else return Value(std::forward<R>(r));
}

template <class F> struct Function;
template <class R, class... A> struct Function<R (*)(A...)> {
  static constexpr int count = sizeof...(A);
  static constexpr bool nothing = std::is_void_v<R>;
  static inline constexpr Param params[sizeof...(A) + 1] = {ParamOf<std::decay_t<A>>::value..., Param{}};
  template <R (*f)(A...)> static Value invoke(Value *v) {
    return [&]<size_t... i>(std::index_sequence<i...>) {
      if constexpr (nothing) {
        f(Unpack<std::decay_t<A>>::get(v[i])...);
        return Value();
      } else {
        return pack(f(Unpack<std::decay_t<A>>::get(v[i])...));
      }
    }(std::index_sequence_for<A...>{});
  }
};
} // namespace detail

// def<sum>("sum", "input, dim=None, keepdim=False, *, dtype=None", both)
// - The signature names every parameter of the C++ function, in order, with Python defaults.
// - "*, out=None" at the end is enough to get out=: where the C++ function has no such parameter, the result is
//   computed and then put there.
// - where | inplace adds `name_`, which computes and then assigns to self.
// - "-> (values, indices)" makes the result a named tuple torch.return_types.<name>.
// - Several entries with one name are overloads, tried in order.
template <auto f> constexpr OpDef def(const char *name, const char *signature, unsigned where = both) {
  using F = detail::Function<decltype(f)>;
  return {name, signature, where, &F::template invoke<f>, F::params, F::count, F::nothing};
}
using OpTable = std::vector<OpDef>;

} // namespace hadamard
