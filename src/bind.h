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
struct Ignored {}; // accepted for torch's sake and of no effect: layout=, pin_memory=
enum class Format : uint8_t { preserve, contiguous, channels_last, channels_last_3d }; // memory_format=

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
  format,
  ignored,
};
// At most eleven: beyond that the library's visit() calls through a table.
using Value =
    std::variant<std::monostate, Tensor, Tensors, int64_t, double, bool, Scalar, Dims, DType, Device, std::string>;

struct Param {
  Kind kind;
  bool optional; // std::optional in C++: None stays None
};

// One argument of a call: an object of the host language, or nothing, which stands for the default.
struct Argument {
  void *given;
  const Value *otherwise;
};
// Whether a host object can be such a value; `only` is true where no other overload waits. The binding defines them.
bool read(void *o, bool only, const Tensor *&to);
bool read(void *o, bool only, Operand &to);
bool read(void *o, bool only, Tensors &to);
bool read(void *o, bool only, int64_t &to);
bool read(void *o, bool only, double &to);
bool read(void *o, bool only, bool &to);
bool read(void *o, bool only, Scalar &to);
bool read(void *o, bool only, Dims &to);
bool read(void *o, bool only, DType &to);
bool read(void *o, bool only, Device &to);
bool read(void *o, bool only, std::string &to);
bool read(void *o, bool only, Generator *&to);
bool read(void *o, bool only, Format &to);
// False where an argument does not fit its parameter; nothing was done then.
using Invoke = bool (*)(const Argument *args, bool only, Value &result);

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
HD_PARAM(Format, format)
HD_PARAM(Ignored, ignored)
#undef HD_PARAM

// Where an argument is read to, and what the function then takes from there.
template <class T> struct Slot {
  T value{};
  bool take(const Argument &a, bool only) {
    if (a.given) return read(a.given, only, value);
    value = std::get<T>(*a.otherwise);
    return true;
  }
  T &get() { return value; }
};
template <> struct Slot<Tensor> { // borrowed: the caller holds it
  const Tensor *value;
  bool take(const Argument &a, bool only) {
    static const Tensor none;
    if (a.given) return read(a.given, only, value);
    value = a.otherwise->index() ? &std::get<Tensor>(*a.otherwise) : &none;
    return true;
  }
  const Tensor &get() { return *value; }
};
template <> struct Slot<Operand> {
  Operand value;
  bool take(const Argument &a, bool only) {
    if (a.given) return read(a.given, only, value);
    if (a.otherwise->index()) value.t = std::get<Tensor>(*a.otherwise);
    return true;
  }
  const Operand &get() { return value; }
};
template <> struct Slot<Generator *> {
  Generator *value;
  bool take(const Argument &a, bool only) {
    if (a.given) return read(a.given, only, value);
    value = &default_generator();
    return true;
  }
  Generator *get() { return value; }
};
template <> struct Slot<Format> { // has no default but None
  Format value;
  bool take(const Argument &a, bool only) { return read(a.given, only, value); }
  Format get() { return value; }
};
template <> struct Slot<Ignored> {
  bool take(const Argument &, bool) { return true; }
  Ignored get() { return {}; }
};
template <class T> struct Slot<std::optional<T>> {
  std::optional<T> value;
  bool take(const Argument &a, bool only) {
    if (!a.given && !a.otherwise->index()) return true;
    Slot<T> inner;
    if (!inner.take(a, only)) return false;
    value = std::move(inner.get());
    return true;
  }
  std::optional<T> &get() { return value; }
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
  template <R (*f)(A...)> static bool invoke(const Argument *a, bool only, Value &y) {
    return [&]<size_t... i>(std::index_sequence<i...>) {
      std::tuple<Slot<std::decay_t<A>>...> s;
      if (!(std::get<i>(s).take(a[i], only) && ...)) return false;
      if constexpr (nothing) f(std::get<i>(s).get()...);
      else if constexpr (std::is_same_v<R, Tensor>) y.template emplace<Tensor>(f(std::get<i>(s).get()...));
      else y = pack(f(std::get<i>(s).get()...));
      return true;
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
