// gather, scatter and their relatives: one index for each element, along one dimension.
#include "ops/index.h"

#include <atomic>

namespace hadamard {
namespace ops {
namespace {
// Visits every element of `at`: f(x's element at that place along dim, the element of `other` at the same index). The
// order along dim is kept. Where x is only read, what is out of bounds is passed over and false is returned; where it
// is written, places were checked before.
template <class T, class F>
bool along_places(const Tensor &x, int64_t dim, const Tensor &at, T *other, const Dims &o_strides, F f) {
  const Dims &shape = at.shape();
  int64_t nd = at.dim(), total = at.numel(), stride = x.strides()[dim], size = x.shape()[dim];
  if (!total) return true;
  std::atomic<bool> all_good{true};
  Dims xs = x.strides();
  xs[dim] = 0;
  auto run = [&](Dims shape, T *x, const int64_t *i, T *o) {
    int64_t n = shape.back(), x_step = xs[nd - 1], i_step = at.strides()[nd - 1], o_step = o_strides[nd - 1];
    shape.pop_back();
    int64_t lines = numel(shape);
    Walk<3> w(shape, {&xs, &at.strides(), &o_strides});
    bool good = true;
    auto inside = [&](int64_t i) {
      if (F::writes || uint64_t(i) < uint64_t(size)) return true;
      return good = false;
    };
    for (int64_t l = 0; l < lines; ++l, w.next()) {
      T *xp = x + w.offset[0], *op = o + w.offset[2];
      const int64_t *ip = i + w.offset[1];
      if (i_step == 0 && x_step == 1 && o_step == 1) { // one index for a whole row
        if (!inside(*ip)) continue;
        T *row = xp + *ip * stride;
        if constexpr (requires { F::block(row, op, n); }) F::block(row, op, n);
        else
          for (int64_t j = 0; j < n; ++j) f(row[j], op[j]);
      } else {
        for (int64_t j = 0; j < n; ++j) {
          int64_t i = ip[j * i_step];
          if (inside(i)) f(xp[j * x_step + i * stride], op[j * o_step]);
        }
      }
    }
    if (!good) all_good.store(false, std::memory_order_relaxed);
  };
  LongWork unlocked(total);
  int64_t split = -1;
  for (int64_t d = 0; d < nd; ++d)
    if ((d != dim || !F::writes) && (split < 0 || shape[d] > 4 * shape[split])) split = d;
  if (total < 2 * grain || split < 0 || num_threads() == 1) {
    run(shape, x.data<T>(), at.data<int64_t>(), other);
    return all_good;
  }
  parallel_for(shape[split], share(total, shape[split]), [&](long begin, long end) {
    Dims part = shape;
    part[split] = end - begin;
    run(part, x.data<T>() + begin * xs[split], at.data<int64_t>() + begin * at.strides()[split],
        other + begin * o_strides[split]);
  });
  return all_good;
}
template <class T, class F>
bool along(const Tensor &x, int64_t dim, const Tensor &at, T *other, const Dims &o_strides, F f) {
  NoGrad no;
  return along_places<T>(x, dim, to(at, DType::I64), other, o_strides, f);
}
} // namespace

Tensor gather(const Tensor &x, int64_t dim, const Tensor &at) {
  dim = wrap_dim(dim, x.dim());
  check_together("gather", x, {at});
  HD_CHECK(is_index(at.dtype()) || !at.numel(), runtime, "gather(): Expected dtype int32/int64 for index");
  if (at.numel()) {
    HD_CHECK(std::max<int64_t>(1, x.dim()) == std::max<int64_t>(1, at.dim()), runtime,
             "Index tensor must have the same number of dimensions as input tensor");
    for (int64_t d = 0; d < at.dim() && x.dim(); ++d)
      if (d != dim && at.shape()[d] > x.shape()[d])
        throw Error(
            Raises::runtime,
            text("Size does not match at dimension %ld expected index %s to be no larger than self %s apart from "
                 "dimension %ld",
                 long(d), brackets(at.shape()).c_str(), brackets(x.shape()).c_str(), long(dim)),
            "index")
            .in("gather")
            .at(d)
            .arg("input", x)
            .arg("index", at);
  }
  Tensor y = empty(at.shape(), x.dtype(), x.device());
  if (!y.is_meta() && y.numel()) {
    Tensor from = at_least_1d(x), to = at_least_1d(y);
    bool good = by_size(x.itemsize(), [&]<class T>(Type<T>) {
      return along(from, dim, at_least_1d(at), to.data<T>(), to.strides(), Get{});
    });
    if (!good) check_places(at, dim, from.shape()[dim]);
  }
  Dims shape = x.shape();
  return record(y, "GatherBackward0", {x}, {Keep{at}}, [shape, dim](const Backward &b) -> TensorList {
    return {scatter_add(zeros(shape, b.grad().dtype(), b.grad().device()), dim, b.saved(0), b.grad())};
  });
}

namespace {
// The checks that scatter and its relatives share; src undefined for a number.
int64_t check_scatter(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src) {
  dim = wrap_dim(dim, x.dim());
  HD_CHECK(is_index(at.dtype()) || !at.numel(), runtime, "scatter(): Expected dtype int32/int64 for index");
  HD_CHECK(!src || x.dtype() == src.dtype(), runtime, "scatter(): Expected self.dtype to be equal to src.dtype");
  if (!at.numel()) return dim;
  HD_CHECK(std::max<int64_t>(1, x.dim()) == std::max<int64_t>(1, at.dim()), runtime,
           "Index tensor must have the same number of dimensions as self tensor");
  HD_CHECK(!src || std::max<int64_t>(1, src.dim()) == std::max<int64_t>(1, at.dim()), runtime,
           "Index tensor must have the same number of dimensions as src tensor");
  bool fits = true;
  for (int64_t d = 0; d < at.dim(); ++d) {
    if (d != dim) fits &= at.shape()[d] <= (x.dim() ? x.shape()[d] : 1);
    if (src) fits &= at.shape()[d] <= (src.dim() ? src.shape()[d] : 1);
  }
  if (!fits) {
    std::string line = text("Expected index %s to be no larger than self %s apart from dimension %ld",
                            brackets(at.shape()).c_str(), brackets(x.shape()).c_str(), long(dim));
    if (src) line += " and to be no larger size than src " + brackets(src.shape());
    throw Error(Raises::runtime, line, "index").in("scatter").arg("self", x).arg("index", at).arg("src", src);
  }
  check_places(at, dim, x.dim() ? x.shape()[dim] : 1);
  return dim;
}
// x[at] gets src (one element where src is 0-d and at is not), by F.
template <class F> void scatter_data(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src, F f) {
  if (!at.numel()) return;
  Tensor y = at_least_1d(x), i = at_least_1d(apart(at, x)), from = apart(src, x);
  Dims strides(i.shape().size(), 0);
  if (from.dim()) strides = from.strides();
  visit(x.dtype(), [&]<class T>(Type<T>) { along(y, dim, i, from.data<T>(), strides, f); });
}
} // namespace

Tensor pad_to(const Tensor &g, const Dims &shape) {
  if (g.shape() == shape) return g;
  Tensor r = zeros(shape, g.dtype(), g.device()), part = r;
  for (size_t d = 0; d < shape.size(); ++d) part = narrow(part, int64_t(d), 0, g.shape()[d]);
  copy_(part, g);
  return r;
}

namespace {
Tensor scatter_add_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src, bool inplace) {
  dim = check_scatter(x, dim, at, src);
  return write_into(
      x, inplace, "ScatterAddBackward0", {src}, {Keep{at}},
      [&](const Tensor &y) { scatter_data(y, dim, at, src, Add{}); },
      [dim, shape = src.shape()](const Backward &b) -> TensorList {
        TensorList r{b.grad(), Tensor()};
        if (b.wants(1)) r[1] = pad_to(gather(b.grad(), dim, b.saved(0)), shape);
        return r;
      });
}
} // namespace

Tensor scatter_add(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src) {
  return scatter_add_of(x, dim, at, src, false);
}

namespace {
Tensor scatter_value(const Tensor &x, int64_t dim, const Tensor &at, const Scalar &value, bool inplace) {
  dim = check_scatter(x, dim, at, {});
  return write_into(
      x, inplace, "ScatterBackward1", {}, {Keep{at}},
      [&](const Tensor &y) { scatter_data(y, dim, at, scalar(value, y.dtype()), Put{}); },
      [dim](const Backward &b) -> TensorList { return {scatter_value(b.grad(), dim, b.saved(0), Scalar(0), false)}; });
}
Tensor scatter_source(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src, bool inplace) {
  dim = check_scatter(x, dim, at, src);
  return write_into(
      x, inplace, "ScatterBackward0", {src}, {Keep{at}}, [&](const Tensor &y) { scatter_data(y, dim, at, src, Put{}); },
      [dim, shape = src.shape()](const Backward &b) -> TensorList {
        TensorList r(2);
        if (b.wants(0)) r[0] = scatter_value(b.grad(), dim, b.saved(0), Scalar(0), false);
        if (b.wants(1)) r[1] = pad_to(gather(b.grad(), dim, b.saved(0)), shape);
        return r;
      });
}

enum class Combine : uint8_t { sum, prod, mean, amax, amin };

struct Multiply {
  static constexpr bool writes = true;
  template <class T> void operator()(T &x, T &o) const { x = times(x, o); }
};
template <bool largest> struct Extreme { // NaN wins
  static constexpr bool writes = true;
  template <class T> void operator()(T &x, T &o) const {
    if constexpr (is_real_element<T>)
      if (is_nan(o) || (largest ? wide(o) > wide(x) : wide(o) < wide(x))) x = o;
  }
};
// What a combination starts from, as an element of dtype t.
Tensor identity(Combine how, DType t) {
  if (how == Combine::sum || how == Combine::mean) return scalar(Scalar(0), t);
  if (how == Combine::prod) return scalar(Scalar(1), t);
  bool low = how == Combine::amax;
  return visit(t, [&]<class T>(Type<T>) -> Tensor {
    if constexpr (std::is_same_v<T, bool>) return scalar(Scalar(!low), t);
    else if constexpr (std::is_integral_v<T>)
      return scalar(Scalar(int64_t(low ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max())), t);
    else return scalar(Scalar(low ? -INFINITY : INFINITY), t);
  });
}
void combine_data(const Tensor &y, int64_t dim, const Tensor &at, const Tensor &src, Combine how, bool include_self) {
  HD_CHECK(how < Combine::amax || !y.is_complex(), not_implemented,
           "\"scatter_gather_tensor_cpu_reduce_%s\" not implemented for '%s'", how == Combine::amax ? "amax" : "amin",
           scalar_name(y));
  HD_CHECK(how != Combine::mean || y.dtype() != DType::Bool, not_implemented,
           "\"scatter_gather_tensor_cpu_reduce_mean\" not implemented for 'Bool'");
  if (!include_self) scatter_data(y, dim, at, identity(how, y.dtype()), Put{});
  switch (how) {
  case Combine::prod: return scatter_data(y, dim, at, src, Multiply{});
  case Combine::amax: return scatter_data(y, dim, at, src, Extreme<true>{});
  case Combine::amin: return scatter_data(y, dim, at, src, Extreme<false>{});
  default: scatter_data(y, dim, at, src, Add{});
  }
  if (how == Combine::sum) return;
  Tensor count = full(y.shape(), Scalar(include_self ? 1 : 0), DType::I64);
  scatter_data(count, dim, at, scalar(Scalar(1), DType::I64), Add{});
  count = maximum(count, number(Scalar(1)));
  if (dtype_in(y.dtype(), integers | boolean)) copy_data(y, floor_divide(y, count));
  else copy_data(y, y / to(count, y.dtype()));
}

Tensor scatter_reduce_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src, Combine how,
                         bool include_self, bool inplace) {
  dim = check_scatter(x, dim, at, src);
  bool reads = how >= Combine::amax || how == Combine::prod; // the gradient needs self, src and the result
  std::vector<Kept> keep{{at}};
  if (reads) {
    Tensor before = x;
    if (inplace && needs_grad(x, src)) {
      {
        NoGrad no;
        before = clone(x);
      }
      share_history(before, x);
    }
    keep.insert(keep.end(), {Keep{before}, Keep{src}, Keep{Tensor(), true}});
  }
  return write_into(
      x, inplace, "ScatterReduceBackward0", {src}, keep,
      [&](const Tensor &y) { combine_data(y, dim, at, src, how, include_self); },
      [dim, how, include_self, shape = src.shape()](const Backward &b) -> TensorList {
        const Tensor &g = b.grad();
        Tensor at = b.saved(0);
        TensorList r(2);
        auto zero = [&](DType t) { return zeros(g.shape(), t, g.device()); };
        if (how == Combine::sum) {
          r[0] = g;
          if (b.wants(1)) r[1] = gather(g, dim, at);
        } else if (how == Combine::mean) {
          Tensor one = full(at.shape(), Scalar(1), g.dtype(), g.device());
          Tensor count =
              scatter_add(full(g.shape(), Scalar(include_self ? 1 : 0), g.dtype(), g.device()), dim, at, one);
          Tensor part = g / masked_fill(count, count == 0, number(Scalar(1)));
          r[0] = part;
          if (b.wants(1)) r[1] = gather(part, dim, at);
        } else {
          Tensor self = b.saved(1), src = b.saved(2), y = b.saved(3);
          for (int64_t d = 0; d < at.dim(); ++d) src = narrow(src, d, 0, at.shape()[d]);
          if (how == Combine::prod) {
            // Zeros are taken out: a place with one zero passes the product of the others to it alone.
            Tensor none = number(Scalar(1)), is_zero = src == 0, self_zero = self == 0;
            Tensor rest =
                scatter_reduce_of(masked_fill(self, self_zero, none), dim, at, src, Combine::prod, include_self, false);
            r[0] = g * rest / masked_fill(self, self_zero, none);
            if (b.wants(1)) {
              Tensor count = gather(scatter_add(zero(g.dtype()), dim, at, to(is_zero, g.dtype())), dim, at);
              Tensor single = is_zero & (count == 1), filled = masked_fill(src, is_zero, none);
              Tensor others =
                  scatter_reduce_of(self, dim, at, masked_fill(src, single, none), Combine::prod, include_self, false);
              r[1] = where(single, gather(g * others, dim, at), gather(g * y, dim, at) / filled);
            }
          } else {
            Tensor value = gather(y, dim, at), self_is = to(self == y, g.dtype()), src_is = to(src == value, g.dtype());
            Tensor count = scatter_add(self_is, dim, at, src_is), part = g / count;
            r[0] = self_is * part;
            if (b.wants(1)) r[1] = src_is * gather(part, dim, at);
            if (!include_self) { // self took no part where something came
              Tensor only = scatter_add(scatter_value(self_is, dim, at, Scalar(0), false), dim, at, src_is);
              part = g / only;
              r[0] = self_is * part;
              if (b.wants(1)) r[1] = src_is * gather(part, dim, at);
            }
          }
        }
        if (!include_self) r[0] = scatter_value(r[0], dim, at, Scalar(0), false);
        if (r[1]) r[1] = pad_to(r[1], shape);
        return r;
      });
}
Combine combine_from(const std::string &reduce) {
  static constexpr const char *names[] = {"sum", "prod", "mean", "amax", "amin"};
  for (int k = 0; k < 5; ++k)
    if (reduce == names[k]) return Combine(k);
  throw Error(Raises::runtime, "reduce argument must be either sum, prod, mean, amax or amin, got " + reduce,
              "arguments");
}
template <bool inplace>
Tensor scatter_reduce(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src, const std::string &reduce,
                      bool include_self) {
  return scatter_reduce_of(x, dim, at, src, combine_from(reduce), include_self, inplace);
}

// reduce= of scatter: torch has no derivative there; ours is that of the sum or product it stands for.
Combine scatter_mode(const std::string &reduce) {
  HD_CHECK(reduce == "add" || reduce == "multiply", runtime, "reduce argument must be either add or multiply.");
  return reduce == "add" ? Combine::sum : Combine::prod;
}
template <bool inplace>
Tensor scatter_src(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src,
                   std::optional<std::string> reduce) {
  if (!reduce) return scatter_source(x, dim, at, src, inplace);
  return scatter_reduce_of(x, dim, at, src, scatter_mode(*reduce), true, inplace);
}
template <bool inplace>
Tensor scatter_number(const Tensor &x, int64_t dim, const Tensor &at, const Scalar &value,
                      std::optional<std::string> reduce) {
  if (!reduce) return scatter_value(x, dim, at, value, inplace);
  Tensor src = full(at.shape(), value, x.dtype(), x.device());
  return scatter_reduce_of(x, dim, at, src, scatter_mode(*reduce), true, inplace);
}
Tensor gather_op(const Tensor &x, int64_t dim, const Tensor &at, bool) { return gather(x, dim, at); }
Tensor scatter_add_(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src) {
  return scatter_add_of(x, dim, at, src, true);
}

template <bool inplace>
Tensor index_reduce(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, const std::string &reduce,
                    bool include_self) {
  HD_CHECK(reduce == "prod" || reduce == "mean" || reduce == "amax" || reduce == "amin", runtime,
           "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got %s.", reduce.c_str());
  HD_CHECK(at.dim() <= 1, index,
           "index_reduce_(): Index is supposed to be a vector, but got dim: %ld with type: %s and size: %s",
           long(at.dim()), scalar_name(at), brackets(at.shape()).c_str());
  dim = wrap_dim(dim, x.dim());
  HD_CHECK(source.dim() == x.dim(), runtime,
           "index_reduce_(): Source and self must have the same number of dimensions");
  HD_CHECK(at.numel() == (x.dim() ? source.shape()[dim] : 1), runtime,
           "index_reduce_(): Number of indices (%ld) should be equal to source.size(dim): (%ld), for dim: %ld",
           long(at.numel()), long(x.dim() ? source.shape()[dim] : 1), long(dim));
  HD_CHECK(dtype_in(x.dtype(), reals) || !at.numel(), not_implemented, "\"%s\" not implemented for '%s'",
           include_self ? "index_func_" : "index_reduce_func_exclude_input_init", scalar_name(x));
  Tensor i = x.dim() ? at : reshape(at, {});
  if (x.dim()) {
    Dims shape(source.shape().size(), 1);
    shape[dim] = at.numel();
    i = expand(reshape(at, shape), source.shape());
  }
  return scatter_reduce_of(x, dim, i, source, combine_from(reduce), include_self, inplace);
}

Tensor take_along_dim(const Tensor &x, const Tensor &at, std::optional<int64_t> dim) {
  if (!dim) return gather(reshape(x, {-1}), 0, reshape(at, {-1}));
  HD_CHECK(
      x.dim() == at.dim(), runtime,
      "torch.take_along_dim(): input and indices should have the same number of dimensions, but got %ld dimensions "
      "for input, and %ld dimensions for indices",
      long(x.dim()), long(at.dim()));
  int64_t d = wrap_dim(*dim, x.dim());
  if (!x.dim()) return gather(x, d, at);
  Dims a = x.shape(), b = at.shape();
  a[d] = b[d] = 1;
  Broadcast all = broadcast(a, b);
  if (all.clash >= 0) throw clash("take_along_dim", a, b, all).arg("input", x).arg("indices", at);
  Dims xs = all.shape, is = all.shape;
  xs[d] = x.shape()[d];
  is[d] = at.shape()[d];
  return gather(expand(x, xs), d, expand(at, is));
}
} // namespace
} // namespace ops

const OpTable &scatter_ops() {
  using namespace ops;
  static const OpTable t = {
      def<index_reduce<false>>("index_reduce", "input, dim, index, source, reduce, *, include_self=True, out=None"),
      def<index_reduce<true>>("index_reduce_", "input, dim, index, source, reduce, *, include_self=True", method),
      def<gather_op>("gather", "input, dim, index, *, sparse_grad=False, out=None"),
      def<scatter_src<false>>("scatter", "input, dim, index, src, *, reduce=None, out=None"),
      def<scatter_number<false>>("scatter", "input, dim, index, value, *, reduce=None, out=None"),
      def<scatter_src<true>>("scatter_", "input, dim, index, src, *, reduce=None", method),
      def<scatter_number<true>>("scatter_", "input, dim, index, value, *, reduce=None", method),
      def<scatter_add>("scatter_add", "input, dim, index, src, *, out=None"),
      def<scatter_add_>("scatter_add_", "input, dim, index, src", method),
      def<scatter_reduce<false>>("scatter_reduce", "input, dim, index, src, reduce, *, include_self=True, out=None"),
      def<scatter_reduce<true>>("scatter_reduce_", "input, dim, index, src, reduce, *, include_self=True", method),
      def<take_along_dim>("take_along_dim", "input, indices, dim=None, *, out=None"),
  };
  return t;
}

} // namespace hadamard
