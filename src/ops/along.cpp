// Reading and writing along one dimension: index_select, index_add, index_copy, index_fill, embedding.
#include "ops/index.h"

namespace hadamard {
namespace ops {
namespace {
// The plan of x[:, …, at, …, :] where `at`, a vector (or 0-d), was checked.
Plan plan_along(const Tensor &x, int64_t dim, const Tensor &at) {
  Tensors full(size_t(x.dim()));
  full[size_t(dim)] = at;
  return make_plan(x, full);
}
Tensor read_along(const Tensor &x, int64_t dim, const Tensor &at) {
  Tensor from = at_least_1d(x), i = at_least_1d(at);
  Dims shape = from.shape();
  shape[dim] = i.numel();
  Tensor y = empty(shape, x.dtype(), x.device());
  if (y.is_meta() || !y.numel()) return y;
  Plan p = plan_along(from, dim, i);
  Tensor table;
  Window w = window_of(from, p, y.strides(), table);
  by_size(x.itemsize(), [&]<class T>(Type<T>) { each(w, from.data<T>(), y.data<T>(), Get{}); });
  return y;
}
} // namespace

Tensor index_select(const Tensor &x, int64_t dim, const Tensor &at) {
  check_together("index_select", x, {at});
  HD_CHECK(at.dim() <= 1, index, "index_select(): Index is supposed to be a vector");
  HD_CHECK(is_index(at.dtype()), runtime, "index_select(): Expected dtype int32 or int64 for index");
  HD_CHECK(x.dim() || at.numel() == 1, runtime,
           "index_select(): Index to scalar can have only 1 value, got %ld value(s)", long(at.numel()));
  dim = wrap_dim(dim, x.dim());
  if (!at.is_meta() && outside(at, 0, x.dim() ? x.shape()[dim] : 1))
    throw Error(Raises::index, "index out of range in self", "index").in("index_select").arg("self", x).at(dim);
  Tensor y = read_along(x, dim, at);
  if (!x.dim()) y = alias(y, {}, {}, 0);
  Dims shape = x.shape();
  return record(y, "IndexSelectBackward0", {x}, {Keep{at}}, [shape, dim](const Backward &b) -> TensorList {
    return {index_add(zeros(shape, b.grad().dtype(), b.grad().device()), dim, b.saved(0), b.grad(), Scalar(1))};
  });
}

namespace {
// x[:, …, at, …] gets `source`, by F.
template <class F> void write_along(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, F f) {
  Tensor y = at_least_1d(x);
  Plan p = plan_along(y, dim, at_least_1d(at));
  if (!numel(p.shape)) return;
  Tensor from = apart(source, x), table;
  Window w = window_of(y, p, expanded_strides(from.shape(), from.strides(), p.shape), table);
  visit(x.dtype(), [&]<class T>(Type<T>) { each(w, y.data<T>(), from.data<T>(), f); });
}

Tensor index_add_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, const Scalar &alpha,
                    bool inplace) {
  HD_CHECK(at.dim() <= 1, index,
           "index_add_(): Index is supposed to be a vector, but got dim: %ld with type: %s and size: %s",
           long(at.dim()), scalar_name(at), brackets(at.shape()).c_str());
  HD_CHECK(is_index(at.dtype()), runtime, "index_add_(): Expected dtype int32/int64 for index but got: %s",
           scalar_name(at));
  HD_CHECK(x.dtype() == source.dtype(), runtime,
           "index_add_(): self (%s) and source (%s) must have the same scalar type", scalar_name(x),
           scalar_name(source));
  dim = wrap_dim(dim, x.dim());
  int64_t n = at.numel(), there = source.dim() ? source.size(dim) : x.dim() ? source.size(dim) : 1;
  HD_CHECK(n == there, runtime,
           "index_add_(): Number of indices (%ld) should be equal to source.size(dim): (%ld), for dim: %ld", long(n),
           long(there), long(dim));
  bool fits = x.dim() == source.dim();
  for (int64_t d = 0; fits && d < x.dim(); ++d) fits = d == dim || x.shape()[d] == source.shape()[d];
  if (!fits)
    throw Error(
        Raises::runtime,
        text("source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape "
             "= %s source.shape = %s",
             brackets(x.shape()).c_str(), brackets(source.shape()).c_str()),
        "index")
        .in("index_add_")
        .arg("self", x)
        .arg("source", source);
  check_places(at, dim, x.dim() ? x.shape()[dim] : 1);
  bool scaled = !(alpha.kind <= Scalar::integer && alpha.i == 1);
  return write_into(
      x, inplace, "IndexAddBackward0", {source}, {Keep{at}},
      [&](const Tensor &y) {
        write_along(y, dim, at, scaled ? source * scalar(alpha, source.dtype()) : source, Add{});
      },
      [=, shape = source.shape()](const Backward &b) -> TensorList {
        TensorList r(2);
        r[0] = b.grad();
        if (b.wants(1)) {
          r[1] = reshape(index_select(b.grad(), dim, b.saved(0)), shape);
          if (scaled) r[1] = r[1] * number(alpha);
        }
        return r;
      });
}

Tensor index_fill_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &value, bool inplace);

Tensor index_copy_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, bool inplace) {
  dim = wrap_dim(dim, x.dim());
  HD_CHECK(at.dim() < 2, index, "index_copy_(): Index should have dimension 1 or 0 (got %ld)", long(at.dim()));
  int64_t n = at.numel();
  HD_CHECK(source.dim() || n == 1, index,
           "index_copy_(): When source is scalar, index should have one element (got %ld)", long(n));
  HD_CHECK(source.dim() == x.dim() || !source.dim() || !x.dim(), index,
           "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
           "dimensionality (%ld), destination dimensionality (%ld)",
           long(source.dim()), long(x.dim()));
  HD_CHECK(at.dtype() == DType::I64, runtime, "index_copy_(): Expected a long tensor for index, but got %s",
           scalar_name(at));
  HD_CHECK(x.dtype() == source.dtype(), runtime,
           "index_copy_(): self and source expected to have the same dtype, but got (self) %s and (source) %s",
           scalar_name(x), scalar_name(source));
  Dims here = x.shape(), there = source.shape();
  if (x.dim()) here.erase(size_t(dim));
  if (source.dim()) there.erase(size_t(x.dim() ? dim : 0));
  if (!(here == there)) {
    std::string line = "index_copy_(): Source/destination tensor must have same slice shapes. ";
    auto join = [](const Dims &d) {
      std::string s = brackets(d);
      return s.substr(1, s.size() - 2);
    };
    line += text("Destination slice shape: %s at dimension %ld and source slice shape: %s at dimension 0.",
                 join(here).c_str(), long(dim), join(there).c_str());
    throw Error(Raises::runtime, line, "index").in("index_copy_").arg("self", x).arg("source", source);
  }
  int64_t rows = source.dim() ? source.shape()[x.dim() ? dim : 0] : 1;
  HD_CHECK(n == rows, index, "index_copy_(): Number of indices (%ld) should be equal to source.size(dim) (%ld)",
           long(n), long(rows));
  int64_t size = x.dim() ? x.shape()[dim] : 1;
  if (!at.is_meta())
    if (auto bad = outside(at, 0, size))
      throw Error(Raises::index,
                  text("index_copy_(): index %ld is out of bounds for dimension %ld with size %ld", long(*bad),
                       long(dim), long(size)),
                  "index");
  return write_into(
      x, inplace, "IndexCopyBackward0", {source}, {Keep{at}},
      [&](const Tensor &y) { write_along(y, dim, at, source, Put{}); },
      [dim, shape = source.shape()](const Backward &b) -> TensorList {
        TensorList r(2);
        Tensor at = b.saved(0);
        if (b.wants(0)) r[0] = index_fill_of(b.grad(), dim, at, number(Scalar(0)), false);
        if (b.wants(1)) r[1] = reshape(index_select(b.grad(), dim, at), shape);
        return r;
      });
}

Tensor index_fill_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &value, bool inplace) {
  check_together("index_fill", x, {value});
  HD_CHECK(value.dim() == 0, runtime,
           "index_fill_ only supports a 0-dimensional value tensor, but got tensor with %ld dimension(s).",
           long(value.dim()));
  dim = wrap_dim(dim, x.dim());
  HD_CHECK(at.dtype() == DType::I64, index, "index_fill_(): Expected dtype int64 for index.");
  HD_CHECK(at.dim() <= 1, runtime, "Index has to be a vector/scalar");
  HD_CHECK(!value.is_complex() || x.is_complex(), runtime,
           "index_fill_(): Converting complex Scalar to non-complex type is not supported");
  int64_t size = x.dim() ? x.shape()[dim] : 1;
  if (!at.is_meta())
    if (auto bad = outside(at, -size, size)) throw_bounds(*bad, dim, size);
  bool number_given = value->wrapped;
  DType t = value.dtype();
  return write_into(
      x, inplace, number_given ? "IndexFillBackward0" : "IndexFillBackward1", number_given ? Tensors{} : Tensors{value},
      {Keep{at}},
      [&](const Tensor &y) {
        Tensor v = scalar(load(value.raw(), value.dtype()), x.dtype());
        write_along(y, dim, at, v, Put{});
      },
      [dim, number_given, t](const Backward &b) -> TensorList {
        Tensor at = b.saved(0), g = b.grad();
        TensorList r{index_fill_of(g, dim, at, number(Scalar(0)), false)};
        if (!number_given) { // each place once, however often it was named
          Tensor here = index_fill_of(zeros(g.shape(), DType::Bool, g.device()), dim, at, number(Scalar(true)), false);
          r.push_back(reduce_grad(where(here, g, scalar(Scalar(0), g.dtype())), {}, t));
        }
        return r;
      });
}
} // namespace

Tensor index_add(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, const Scalar &alpha) {
  return index_add_of(x, dim, at, source, alpha, false);
}
namespace {
Tensor index_add_(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, const Scalar &alpha) {
  return index_add_of(x, dim, at, source, alpha, true);
}
Tensor index_copy(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source) {
  return index_copy_of(x, dim, at, source, false);
}
Tensor index_copy_(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source) {
  return index_copy_of(x, dim, at, source, true);
}
Tensor index_fill(const Tensor &x, int64_t dim, const Tensor &at, const Operand &value) {
  return index_fill_of(x, dim, at, value, false);
}
Tensor index_fill_(const Tensor &x, int64_t dim, const Tensor &at, const Operand &value) {
  return index_fill_of(x, dim, at, value, true);
}

Tensor embedding(const Tensor &weight, const Tensor &indices, int64_t padding, bool by_frequency, bool sparse) {
  HD_CHECK(!sparse || !needs_grad(weight), not_implemented,
           "embedding(): sparse gradients are not supported: use sparse=False, which gives the same numbers");
  check_together("embedding", weight, {indices});
  HD_CHECK(weight.dim() == 2, runtime, "'weight' must be 2-D");
  if (!is_index(indices.dtype()))
    throw Error(
        Raises::runtime,
        text("Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but "
             "got %s instead (while checking arguments for embedding)",
             indices.dtype() == DType::Bool ? "CPUBoolType"
                                            : (std::string("torch.") + info(indices.dtype()).legacy).c_str()),
        "dtype")
        .in("embedding")
        .arg("weight", weight)
        .arg("indices", indices);
  int64_t rows = weight.shape()[0];
  if (!indices.is_meta() && outside(indices, 0, rows))
    throw Error(Raises::index, "index out of range in self", "index")
        .in("embedding")
        .arg("weight", weight)
        .arg("indices", indices);
  Dims shape = indices.shape();
  shape.push_back(weight.shape()[1]);
  Tensor flat;
  {
    NoGrad no;
    flat = reshape(indices, {indices.numel()});
  }
  Tensor y = read_along(weight, 0, flat);
  y = with_shape(y, shape);
  int64_t skip = padding < 0 ? -1 : padding;
  return record(y, "EmbeddingBackward0", {weight}, {Keep{indices}}, [=](const Backward &b) -> TensorList {
    Tensor at = reshape(b.saved(0), {-1});
    Tensor g = reshape(b.grad(), {-1, shape.back()});
    if (by_frequency && at.numel()) {
      Tensor count = zeros({rows}, DType::I64);
      index_add_(count, 0, at, full({at.numel()}, Scalar(1), DType::I64), Scalar(1));
      g = g / unsqueeze(to(index_select(count, 0, at), g.dtype()), 1);
    }
    if (skip >= 0) g = masked_fill(g, unsqueeze(at == skip, 1), number(Scalar(0)));
    return {index_add(zeros({rows, shape.back()}, g.dtype(), g.device()), 0, at, g, Scalar(1))};
  });
}
} // namespace
} // namespace ops

const OpTable &along_ops() {
  using namespace ops;
  static const OpTable t = {
      def<index_select>("index_select", "input, dim, index, *, out=None"),
      def<index_add>("index_add", "input, dim, index, source, *, alpha=1, out=None"),
      def<index_add_>("index_add_", "input, dim, index, source, *, alpha=1", method),
      def<index_copy>("index_copy", "input, dim, index, source, *, out=None"),
      def<index_copy_>("index_copy_", "input, dim, index, source", method),
      def<index_fill>("index_fill", "input, dim, index, value"),
      def<index_fill_>("index_fill_", "input, dim, index, value", method),
      def<embedding>("embedding", "weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False", function),
  };
  return t;
}

} // namespace hadamard
