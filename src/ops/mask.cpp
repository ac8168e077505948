// Masks and what they select: masked_fill, masked_select, masked_scatter, nonzero.
#include "ops/index.h"

namespace hadamard {
namespace ops {
namespace {
void check_fill(const Tensor &value, DType t) {
  // The name C++ gives the type, as torch's message has it.
  static constexpr const char *names[] = {"bool",
                                          "uint8_t",
                                          "int8_t",
                                          "short",
                                          "int",
                                          "int64_t",
                                          "c10::Half",
                                          "c10::BFloat16",
                                          "float",
                                          "double",
                                          "c10::complex<float>",
                                          "c10::complex<double>"};
  if (value.is_meta()) return;
  Scalar v = load(value.raw(), value.dtype());
  auto within = [&](double low, double high) { return !(v.re < low || v.re > high) && v.im == 0; };
  bool fits = visit(t, [&]<class T>(Type<T>) {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, c128>) return true;
    else if constexpr (std::is_same_v<T, c64>) return true;
    else if constexpr (std::is_integral_v<T>) {
      if (v.kind <= Scalar::integer)
        return (std::is_unsigned_v<T> ? v.i >= -int64_t(std::numeric_limits<T>::max())
                                      : v.i >= int64_t(std::numeric_limits<T>::min())) &&
               v.i <= int64_t(std::numeric_limits<T>::max());
      return v.re == v.re && within(double(std::numeric_limits<T>::min()), double(std::numeric_limits<T>::max()));
    } else {
      double limit = std::is_same_v<T, f16>     ? 65504.0
                     : std::is_same_v<T, bf16>  ? 3.38953138925153547590470800371487866880e+38
                     : std::is_same_v<T, float> ? double(std::numeric_limits<float>::max())
                                                : std::numeric_limits<double>::max();
      return v.im == 0 && (std::isinf(v.re) || within(-limit, limit));
    }
  });
  HD_CHECK(fits, runtime, "value cannot be converted to type %s without overflow", names[int(t)]);
}

Tensor masked_fill_of(const Tensor &x, const Tensor &mask, const Tensor &value, bool inplace) {
  HD_CHECK(value.dim() == 0, runtime,
           "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with %ld dimension(s).",
           long(value.dim()));
  static constexpr const char *names[] = {"bool",  "unsigned char", "signed char",         "short",
                                          "int",   "long",          "c10::Half",           "c10::BFloat16",
                                          "float", "double",        "c10::complex<float>", "c10::complex<double>"};
  HD_CHECK(mask.dtype() == DType::Bool, runtime, "masked_fill_ only supports boolean masks, but got mask with dtype %s",
           names[int(mask.dtype())]);
  check_together("masked_fill", x, {mask, value});
  check_fill(value, x.dtype());
  bool number_given = value->wrapped;
  Dims shape = x.shape();
  DType t = value.dtype(), own = x.dtype();
  Tensor v = value;
  if (!value.is_meta()) v = scalar(load(value.raw(), value.dtype()), own);
  auto gradients = [=](const Backward &b) -> TensorList {
    const Tensor &g = b.grad();
    Tensor mask = b.saved(0);
    TensorList r(number_given ? 1 : 2);
    if (b.wants(0)) r[0] = sum_to(masked_fill_of(g, mask, number(Scalar(0)), false), shape);
    if (b.wants(1)) r[1] = reduce_grad(where(mask, g, scalar(Scalar(0), g.dtype())), {}, t);
    return r;
  };
  const char *name = number_given ? "MaskedFillBackward0" : "MaskedFillBackward1";
  Tensors others;
  if (!number_given) others.push_back(value);
  const Tensor in[] = {mask, v, x};
  if (!inplace) {
    Tensor y = run(about(where), in, 3);
    Tensors inputs{x};
    if (!number_given) inputs.push_back(value);
    record_many({y}, name, inputs, {Keep{mask}}, gradients);
    return y;
  }
  Broadcast all = broadcast(x.shape(), mask.shape());
  if (all.clash < 0 && !(all.shape == x.shape()))
    throw Error(Raises::runtime,
                text("output with shape %s doesn't match the broadcast shape %s", brackets(x.shape()).c_str(),
                     brackets(all.shape).c_str()),
                "inplace_shape")
        .in("masked_fill_")
        .arg("self", x)
        .arg("mask", mask);
  return write_into(
      x, true, name, others, {Keep{mask}}, [&](const Tensor &y) { run(about(where), in, 3, y); }, gradients);
}
} // namespace

Tensor masked_fill(const Tensor &x, const Tensor &mask, const Tensor &value) {
  return masked_fill_of(x, mask, value, false);
}

// ---- nonzero

namespace {
// Calls f(j) for every j of a row of n elements that is not zero. Where is which is found without a branch.
template <class T, class F> void each_nonzero(const T *p, int64_t step, int64_t n, F f) {
  uint16_t found[256];
  for (int64_t from = 0; from < n; from += 256) {
    int64_t m = std::min<int64_t>(256, n - from), count = 0;
    for (int64_t j = 0; j < m; ++j) {
      found[count] = uint16_t(j);
      count += !is_zero(p[(from + j) * step]);
    }
    for (int64_t k = 0; k < count; ++k) f(from + found[k]);
  }
}
// Calls f(walk over the other dimensions, j) for every element that is not zero, in order; x has dimensions.
template <class T, int N, class F>
void each_nonzero(const Tensor &x, const Dims &shape, std::array<const Dims *, N> strides, F f) {
  int64_t n = shape.back(), step = (*strides[0]).back();
  Dims outer(shape.begin(), shape.end() - 1);
  int64_t rows = numel(outer);
  Walk<N> w(outer, strides);
  for (int64_t r = 0; r < rows; ++r, w.next())
    each_nonzero(x.data<T>() + w.offset[0], step, n, [&](int64_t j) { f(w, j); });
}
template <class T> void positions(const Tensor &x, int64_t *to, int64_t n) {
  int64_t last = x.dim() - 1;
  const int64_t *end = to + n; // x may change under us: never more than was counted
  each_nonzero<T, 1>(x, x.shape(), {&x.strides()}, [&](auto &w, int64_t j) {
    if (to == end) return;
    for (int64_t d = 0; d < last; ++d) to[d * n] = w.at()[d];
    to[last * n] = j;
    ++to;
  });
}
template <class T> int64_t count_of(const Tensor &x) {
  const T *p = x.data<T>();
  int64_t n = x.numel(), found = 0;
  if (x.is_contiguous()) {
    for (int64_t k = 0; k < n; ++k) found += !is_zero(p[k]);
    return found;
  }
  Walk<1> w(x.shape(), {&x.strides()});
  for (int64_t k = 0; k < n; ++k, w.next()) found += !is_zero(p[w.offset[0]]);
  return found;
}
} // namespace

Tensor nonzero(const Tensor &x) {
  check_numbers("nonzero", {x});
  LongWork unlocked(x.numel());
  int64_t n = x.numel() ? visit(x.dtype(), [&]<class T>(Type<T>) { return count_of<T>(x); }) : 0;
  // One column after another, as torch lays it out: its columns are the indices.
  Tensor y = empty_strided({n, x.dim()}, {1, std::max<int64_t>(0, n)}, DType::I64);
  if (n && x.dim()) visit(x.dtype(), [&]<class T>(Type<T>) { positions<T>(x, y.data<int64_t>(), n); });
  return y;
}

namespace {
Value nonzero_op(const Tensor &x, bool as_tuple) {
  if (!as_tuple) return nonzero(x);
  Tensor found = nonzero(at_least_1d(x));
  Tensors r;
  for (int64_t d = 0; d < found.size(1); ++d) r.push_back(select(found, 1, d));
  return r;
}
Value where_true(const Tensor &condition) { return nonzero_op(condition, true); }
Tensor count_nonzero(const Tensor &x, const OptDims &dims) {
  return sum(x != number(Scalar(0)), dims, false, std::nullopt);
}

Tensor masked_fill_op(const Tensor &x, const Tensor &mask, const Operand &value) {
  return masked_fill_of(x, mask, value, false);
}
Tensor masked_fill_inplace(const Tensor &x, const Tensor &mask, const Operand &value) {
  return masked_fill_of(x, mask, value, true);
}

Dims broadcast_with(const Tensor &a, const Tensor &b, const char *name) {
  Broadcast all = broadcast(a.shape(), b.shape());
  if (all.clash >= 0) throw clash(name, a.shape(), b.shape(), all).arg("a", a).arg("b", b);
  return all.shape;
}
// Calls f(offset in x) for every true element of the mask, in order; both are read as if they had `shape`.
template <class F> void each_true(const Dims &shape, const Dims &x_strides, const Tensor &mask, F f) {
  Dims ms = expanded_strides(mask.shape(), mask.strides(), shape);
  if (shape.empty()) {
    if (*mask.data<bool>()) f(0);
    return;
  }
  int64_t step = x_strides.back();
  each_nonzero<bool, 2>(mask, shape, {&ms, &x_strides}, [&](auto &w, int64_t j) { f(w.offset[1] + j * step); });
}
Tensor masked_scatter_of(const Tensor &x, const Tensor &mask, const Tensor &source, bool inplace);

Tensor masked_select(const Tensor &x, const Tensor &mask) {
  HD_CHECK(mask.dtype() == DType::Bool, runtime, "masked_select: expected BoolTensor for mask");
  check_numbers("masked_select", {x, mask});
  Dims shape = broadcast_with(mask, x, "masked_select");
  Dims xs = expanded_strides(x.shape(), x.strides(), shape);
  Tensor y;
  {
    LongWork unlocked(numel(shape));
    int64_t n = 0;
    if (mask.shape() == shape) n = count_of<bool>(mask);
    else each_true(shape, xs, mask, [&](int64_t) { ++n; });
    y = empty({n}, x.dtype());
    by_size(x.itemsize(), [&]<class T>(Type<T>) {
      const T *from = x.data<T>();
      T *to = y.data<T>(), *end = to + n;
      each_true(shape, xs, mask, [&](int64_t at) {
        if (to != end) *to++ = from[at];
      });
    });
  }
  Dims own = x.shape();
  return record(y, "MaskedSelectBackward0", {x}, {Keep{mask}}, [own, shape](const Backward &b) -> TensorList {
    return {sum_to(masked_scatter_of(zeros(shape, b.grad().dtype()), b.saved(0), b.grad(), false), own)};
  });
}

Tensor masked_scatter_of(const Tensor &given, const Tensor &mask, const Tensor &source, bool inplace) {
  HD_CHECK(given.dtype() == source.dtype(), runtime,
           "masked_scatter: expected self and source to have same dtypes but got%s and %s", scalar_name(given),
           scalar_name(source));
  HD_CHECK(mask.dtype() == DType::Bool, runtime,
           "masked_scatter_ only supports boolean masks, but got mask with dtype %s", scalar_name(mask));
  Dims shape = broadcast_with(mask, given, "masked_scatter");
  HD_CHECK(
      !inplace || mask.dim() <= given.dim(), runtime,
      "expand(CPUBoolType{%s}, size=%s): the number of sizes provided (%ld) must be greater or equal to the number "
      "of dimensions in the tensor (%ld)",
      brackets(mask.shape()).c_str(), brackets(given.shape()).c_str(), long(given.dim()), long(mask.dim()));
  HD_CHECK(!inplace || shape == given.shape(), runtime, "output with shape %s doesn't match the broadcast shape %s",
           brackets(given.shape()).c_str(), brackets(shape).c_str());
  Tensor x = shape == given.shape() ? given : expand(given, shape);
  if (!inplace) x = contiguous(x);
  return write_into(
      x, inplace, "MaskedScatterBackward0", {source}, {Keep{mask}},
      [&](const Tensor &y) {
        int64_t n = 0;
        each_true(shape, y.strides(), mask, [&](int64_t) { ++n; });
        HD_CHECK(n <= source.numel(), runtime, "Number of elements of source < number of ones in mask");
        Tensor from = flattened(apart(source, y));
        by_size(y.itemsize(), [&]<class T>(Type<T>) {
          const T *next = from.data<T>(), *end = next + from.numel();
          T *to = y.data<T>();
          each_true(shape, y.strides(), mask, [&](int64_t at) {
            if (next != end) to[at] = *next++;
          });
        });
      },
      [shape = source.shape()](const Backward &b) -> TensorList {
        TensorList r(2);
        Tensor mask = b.saved(0);
        if (b.wants(0)) r[0] = masked_fill(b.grad(), mask, number(Scalar(0)));
        if (b.wants(1)) {
          Tensor got = masked_select(b.grad(), mask);
          r[1] = reshape(pad_to(got, {numel(shape)}), shape);
        }
        return r;
      });
}
template <bool inplace> Tensor masked_scatter(const Tensor &x, const Tensor &mask, const Tensor &source) {
  return masked_scatter_of(x, mask, source, inplace);
}
} // namespace
} // namespace ops

const OpTable &mask_ops() {
  using namespace ops;
  static const OpTable t = {
      def<masked_fill_op>("masked_fill", "input, mask, value"),
      def<masked_fill_inplace>("masked_fill_", "input, mask, value", method),
      def<masked_select>("masked_select", "input, mask, *, out=None"),
      def<masked_scatter<false>>("masked_scatter", "input, mask, source"),
      def<masked_scatter<true>>("masked_scatter_", "input, mask, source", method),
      def<nonzero_op>("nonzero", "input, *, as_tuple=False, out=None"),
      def<nonzero>("argwhere", "input"),
      def<where_true>("where", "condition", function),
      def<count_nonzero>("count_nonzero", "input, dim=None"),
  };
  return t;
}

} // namespace hadamard
