// Views: the same elements under another shape; and what joins or repeats tensors.
#include <algorithm>

#include "ops/all.h"

namespace hadamard {
namespace ops {

namespace {
Dims without(const Dims &d, int64_t at) {
  Dims r = d;
  r.erase(size_t(at));
  return r;
}
} // namespace

std::optional<Error> expand_error(const Tensor &x, const Dims &shape) {
  int64_t lead = int64_t(shape.size()) - x.dim();
  if (lead < 0)
    return Error(
        Raises::runtime,
        text("expand(torch.%s{%s}, size=%s): the number of sizes provided (%zu) must be greater or equal to the "
             "number of dimensions in the tensor (%ld)",
             info(x.dtype()).legacy, brackets(x.shape()).c_str(), brackets(shape).c_str(), shape.size(), long(x.dim())),
        "expand");
  for (int64_t d = x.dim(); d-- > 0;)
    if (int64_t to = shape[lead + d], from = x.shape()[d]; from != 1 && to != from && to != -1)
      return Error(Raises::runtime,
                   text("The expanded size of the tensor (%ld) must match the existing size (%ld) at non-singleton "
                        "dimension %ld.  Target sizes: %s.  Tensor sizes: %s",
                        long(to), long(from), long(lead + d), brackets(shape).c_str(), brackets(x.shape()).c_str()),
                   "expand")
          .at(lead + d);
  return {};
}

Tensor expand(const Tensor &x, const Dims &shape) {
  if (auto e = expand_error(x, shape)) throw e->in("expand").arg("self", x);
  int64_t lead = int64_t(shape.size()) - x.dim();
  Dims to = shape, strides(shape.size(), 0);
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t d = int64_t(i) - lead;
    if (d < 0) {
      HD_CHECK(shape[i] != -1, runtime,
               "The expanded size of the tensor (%ld) isn't allowed in a leading, non-existing dimension %zu",
               long(shape[i]), i);
      HD_CHECK(shape[i] >= 0, runtime, "Trying to create tensor with negative dimension %ld: %s", long(shape[i]),
               brackets(shape).c_str());
      continue;
    }
    if (shape[i] == -1) to[i] = x.shape()[d];
    HD_CHECK(to[i] >= 0, runtime, "invalid shape dimension %ld", long(to[i]));
    strides[i] = x.shape()[d] == to[i] ? x.strides()[d] : 0;
  }
  numel(to);
  Dims from = x.shape();
  return make_view(x, to, strides, x->offset, "ExpandBackward0",
                   [from](const Backward &b) -> TensorList { return {sum_to(b.grad(), from)}; });
}

namespace {
std::optional<Dims> strides_as(const Tensor &x, const Dims &to) {
  if (x.is_contiguous() && x.numel() && (!x.dim() || x.strides().back() == 1)) return contiguous_strides(to);
  return view_strides(x.shape(), x.strides(), to);
}
Tensor view_as_strides(const Tensor &x, const Dims &shape, const Dims &strides, const char *name) {
  Dims from = x.shape();
  return make_view(x, shape, strides, x->offset, name,
                   [from](const Backward &b) -> TensorList { return {reshape(b.grad(), from)}; });
}
} // namespace

Tensor view(const Tensor &x, const Dims &shape) {
  Dims to = infer_shape(shape, x.numel());
  auto strides = strides_as(x, to);
  if (!strides)
    throw Error(Raises::runtime,
                "view size is not compatible with input tensor's size and stride (at least one dimension spans across "
                "two contiguous subspaces). Use .reshape(...) instead.",
                "view")
        .in("view")
        .arg("self", x);
  return view_as_strides(x, to, *strides, "ViewBackward0");
}

Tensor reshape(const Tensor &x, const Dims &shape) {
  Dims to = infer_shape(shape, x.numel());
  if (auto strides = strides_as(x, to)) return view_as_strides(x, to, *strides, "ViewBackward0");
  Tensor flat = contiguous(x);
  return view_as_strides(flat, to, contiguous_strides(to), "UnsafeViewBackward0");
}

Tensor permute(const Tensor &x, const Dims &dims) {
  HD_CHECK(int64_t(dims.size()) == x.dim(), runtime,
           "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
           "ordering of dimensions i.e. input.dim() = %ld is not equal to len(dims) = %zu",
           long(x.dim()), dims.size());
  Dims shape, strides, inverse(dims.size(), 0);
  SmallVec<bool, 8> seen(dims.size(), false);
  for (size_t i = 0; i < dims.size(); ++i) {
    int64_t d = wrap_dim(dims[i], x.dim());
    HD_CHECK(!seen[d], runtime, "permute(): duplicate dims are not allowed.");
    seen[d] = true;
    inverse[d] = int64_t(i);
    shape.push_back(x.shape()[d]);
    strides.push_back(x.strides()[d]);
  }
  return make_view(x, shape, strides, x->offset, "PermuteBackward0",
                   [inverse](const Backward &b) -> TensorList { return {permute(b.grad(), inverse)}; });
}

Tensor transpose(const Tensor &x, int64_t dim0, int64_t dim1) {
  int64_t a = wrap_dim(dim0, x.dim()), b = wrap_dim(dim1, x.dim());
  Dims shape = x.shape(), strides = x.strides();
  if (x.dim()) {
    std::swap(shape[a], shape[b]);
    std::swap(strides[a], strides[b]);
  }
  return make_view(x, shape, strides, x->offset, "TransposeBackward0",
                   [a, b](const Backward &g) -> TensorList { return {transpose(g.grad(), a, b)}; });
}

namespace {
// T of a matrix, named as torch names it.
Tensor t_op(const Tensor &x) {
  HD_CHECK(x.dim() <= 2, runtime, "t() expects a tensor with <= 2 dimensions, but self is %ldD", long(x.dim()));
  Dims shape(x.shape().begin(), x.shape().end()), strides = x.strides();
  if (x.dim() == 2) {
    std::swap(shape[0], shape[1]);
    std::swap(strides[0], strides[1]);
  }
  return make_view(x, shape, strides, x->offset, "TBackward0",
                   [](const Backward &b) -> TensorList { return {t_op(b.grad())}; });
}
} // namespace

Tensor select(const Tensor &x, int64_t dim, int64_t index) {
  HD_CHECK(x.dim(), index, "select() cannot be applied to a 0-dim tensor.");
  int64_t d = wrap_dim(dim, x.dim()), n = x.shape()[d];
  if (index < -n || index >= n)
    throw Error(Raises::index,
                text("select(): index %ld out of range for tensor of size %s at dimension %ld", long(index),
                     brackets(x.shape()).c_str(), long(d)),
                "index")
        .in("select")
        .at(d)
        .arg("self", x);
  int64_t i = index < 0 ? index + n : index;
  Dims from = x.shape();
  return make_view(x, without(x.shape(), d), without(x.strides(), d), x->offset + i * x.strides()[d], "SelectBackward0",
                   [=](const Backward &b) -> TensorList {
                     Tensor g = zeros(from, b.grad().dtype(), b.grad().device());
                     copy_(select(g, d, i), b.grad());
                     return {g};
                   });
}

Tensor slice(const Tensor &x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
  HD_CHECK(x.dim(), runtime, "slice() cannot be applied to a 0-dim tensor.");
  HD_CHECK(step > 0, value, "step must be greater than zero");
  int64_t d = wrap_dim(dim, x.dim()), n = x.shape()[d];
  auto clip = [n](int64_t i) {
    if (i < 0) i = i < -n ? 0 : i + n;
    return std::min(i, n);
  };
  int64_t from = clip(start.value_or(0)), to = std::max(from, clip(end.value_or(n)));
  Dims shape = x.shape(), strides = x.strides(), whole = x.shape();
  shape[d] = (to - from) / step + ((to - from) % step != 0);
  int64_t offset = x->offset + from * strides[d];
  if (__builtin_mul_overflow(strides[d], step, &strides[d])) strides[d] = 1; // at most one element is left
  return make_view(x, shape, strides, offset, "SliceBackward0", [=](const Backward &b) -> TensorList {
    Tensor g = zeros(whole, b.grad().dtype(), b.grad().device());
    copy_(slice(g, d, from, to, step), b.grad());
    return {g};
  });
}

Tensor narrow(const Tensor &x, int64_t dim, int64_t start, int64_t length) {
  HD_CHECK(x.dim() > 0, runtime, "narrow() cannot be applied to a 0-dim tensor.");
  HD_CHECK(length >= 0, runtime, "narrow(): length must be non-negative.");
  int64_t d = wrap_dim(dim, x.dim()), n = x.shape()[d];
  HD_CHECK(start >= -n && start <= n, index, "start out of range (expected to be in range of [%ld, %ld], but got %ld)",
           long(-n), long(n), long(start));
  if (start < 0) start += n;
  HD_CHECK(start <= n - length, runtime, "start (%ld) + length (%ld) exceeds dimension size (%ld).", long(start),
           long(length), long(n));
  return slice(x, d, start, start + length, 1);
}

Tensor unsqueeze(const Tensor &x, int64_t dim) {
  int64_t d = wrap_dim(dim, x.dim() + 1);
  Dims shape = x.shape(), strides = x.strides();
  int64_t step = d < x.dim() ? shape[d] * strides[d] : 1;
  shape.insert(size_t(d), 1);
  strides.insert(size_t(d), step);
  return make_view(x, shape, strides, x->offset, "UnsqueezeBackward0",
                   [d](const Backward &b) -> TensorList { return {squeeze(b.grad(), Dims{d})}; });
}

Tensor squeeze(const Tensor &x, const OptDims &dims) {
  SmallVec<bool, 8> mask(size_t(x.dim()), !dims);
  if (dims)
    for (int64_t d : *dims) {
      d = wrap_dim(d, x.dim());
      if (x.dim()) mask[d] = true;
    }
  Dims shape, strides, from = x.shape();
  for (int64_t d = 0; d < x.dim(); ++d)
    if (!mask[d] || x.shape()[d] != 1) {
      shape.push_back(x.shape()[d]);
      strides.push_back(x.strides()[d]);
    }
  const char *name = !dims ? "SqueezeBackward0" : dims->size() == 1 ? "SqueezeBackward1" : "SqueezeBackward2";
  return make_view(x, shape, strides, x->offset, name,
                   [from](const Backward &b) -> TensorList { return {reshape(b.grad(), from)}; });
}

Tensor diagonal(const Tensor &x, int64_t offset, int64_t dim1, int64_t dim2) {
  int64_t a = wrap_dim(dim1, x.dim()), b = wrap_dim(dim2, x.dim());
  HD_CHECK(a != b, runtime, "diagonal dimensions cannot be identical %ld, %ld", long(dim1), long(dim2));
  int64_t n = offset >= 0 ? std::max<int64_t>(std::min(x.shape()[a], x.shape()[b] - offset), 0)
                          : std::max<int64_t>(std::min(x.shape()[a] + offset, x.shape()[b]), 0);
  int64_t at = x->offset;
  if (n) at += offset >= 0 ? offset * x.strides()[b] : -offset * x.strides()[a];
  Dims shape = x.shape(), strides = x.strides(), from = x.shape();
  int64_t step = strides[a] + strides[b];
  shape.erase(size_t(std::max(a, b)));
  strides.erase(size_t(std::max(a, b)));
  shape.erase(size_t(std::min(a, b)));
  strides.erase(size_t(std::min(a, b)));
  shape.push_back(n);
  strides.push_back(step);
  return make_view(x, shape, strides, at, "DiagonalBackward0", [=](const Backward &g) -> TensorList {
    Tensor r = zeros(from, g.grad().dtype(), g.grad().device());
    copy_(diagonal(r, offset, a, b), g.grad());
    return {r};
  });
}

namespace {
// Views made together: one node for all of them.
template <class F> Tensors views_of(const Tensor &x, const char *name, Tensors views, F gradient) {
  for (auto &v : views) {
    link_base(v, x);
    v->one_of_many = true;
  }
  record_many(views, name, {x}, {}, gradient);
  return views;
}

// The gradients of several results, whose shapes are `shape(i)`: zeros where none arrived.
template <class F> Tensors all_gradients(const Backward &b, F shape) {
  Tensors gs(b.grads.begin(), b.grads.end());
  Tensor some;
  for (auto &g : gs)
    if (g) some = g;
  for (size_t i = 0; i < gs.size(); ++i)
    if (!gs[i]) gs[i] = zeros(shape(i), some.dtype(), some.device());
  return gs;
}

// Gradients that lie in memory as the parts of one tensor do, as attention leaves those of q, k and v, are that tensor:
// along dimension d one after another or, with `stacked`, one in each place. Nothing where they do not.
Tensor side_by_side(const Tensors &gs, int64_t d, bool stacked) {
  if (grad_enabled() || gs.size() < 2) return {};
  Dims shape = gs[0].shape(), strides = gs[0].strides();
  if (stacked) {
    shape.insert(size_t(d), 1);
    strides.insert(size_t(d), gs[1]->offset - gs[0]->offset);
  }
  int64_t n = 0;
  for (const Tensor &g : gs) {
    Dims same = g.shape();
    if (!stacked) same[size_t(d)] = gs[0].shape()[size_t(d)];
    if (g->storage != gs[0]->storage || g.dtype() != gs[0].dtype() || !(same == gs[0].shape()) ||
        !(g.strides() == gs[0].strides()) || g->offset != gs[0]->offset + n * strides[size_t(d)])
      return {};
    n += stacked ? 1 : g.shape()[size_t(d)];
  }
  shape[size_t(d)] = n;
  if (strides[size_t(d)] <= 0 || overlaps_itself(shape, strides)) return {};
  return alias(gs[0], shape, strides, gs[0]->offset);
}
} // namespace

Tensors unbind(const Tensor &x, int64_t dim) {
  HD_CHECK(x.dim(), index, "Dimension specified as %ld but tensor has no dimensions", long(dim));
  int64_t d = wrap_dim(dim, x.dim());
  Tensors r;
  Dims shape = without(x.shape(), d), strides = without(x.strides(), d);
  for (int64_t i = 0; i < x.shape()[d]; ++i) r.push_back(alias(x, shape, strides, x->offset + i * x.strides()[d]));
  return views_of(x, "UnbindBackward0", std::move(r), [d, shape](const Backward &b) -> TensorList {
    Tensors gs = all_gradients(b, [&](size_t) { return shape; });
    Tensor whole = side_by_side(gs, d, true);
    return {whole ? whole : stack(gs, d)};
  });
}

static Tensors split_views(const Tensor &x, const Dims &sizes, int64_t d, const char *name) {
  Tensors r;
  int64_t at = 0;
  for (int64_t s : sizes) {
    Dims shape = x.shape();
    shape[d] = s;
    r.push_back(alias(x, shape, x.strides(), x->offset + at * x.strides()[d]));
    at += s;
  }
  Dims whole = x.shape();
  return views_of(x, name, std::move(r), [=](const Backward &b) -> TensorList {
    auto part = [&](size_t i) {
      Dims shape = whole;
      shape[d] = sizes[i];
      return shape;
    };
    Tensors gs = all_gradients(b, part);
    Tensor together = side_by_side(gs, d, false);
    return {together ? together : cat(gs, d)};
  });
}

Tensors split(const Tensor &x, const Dims &sizes, int64_t dim) {
  HD_CHECK(x.dim(), runtime, "split expects at least a 1-dimensional tensor");
  int64_t d = wrap_dim(dim, x.dim()), total = 0;
  for (int64_t s : sizes) {
    HD_CHECK(s >= 0, runtime,
             "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=%s",
             brackets(sizes).c_str());
    if (__builtin_add_overflow(total, s, &total)) total = -1;
  }
  HD_CHECK(total == x.shape()[d], runtime,
           "split_with_sizes expects split_sizes to sum exactly to %ld (input tensor's size at dimension %ld), but got "
           "split_sizes=%s",
           long(x.shape()[d]), long(d), brackets(sizes).c_str());
  return split_views(x, sizes, d, "SplitWithSizesBackward0");
}

Tensor cat(const Tensors &all_, int64_t dim) {
  HD_CHECK(!all_.empty(), value, "torch.cat(): expected a non-empty list of Tensors");
  Tensors xs; // torch passes over 1-d tensors without elements
  for (auto &x : all_) {
    HD_CHECK(x.dim(), runtime, "zero-dimensional tensor (at position %zu) cannot be concatenated",
             size_t(&x - all_.data()));
    if (!(x.dim() == 1 && x.shape()[0] == 0)) xs.push_back(x);
  }
  DType t = result_type(all_.data(), int(all_.size()));
  if (xs.empty()) xs.push_back(all_[0]);
  Device device = common_device(xs.data(), int(xs.size()), "cat");
  int64_t d = wrap_dim(dim, xs[0].dim()), total = 0;
  for (size_t i = 0; i < xs.size(); ++i) {
    HD_CHECK(xs[i].dim() == xs[0].dim(), runtime, "Tensors must have same number of dimensions: got %ld and %ld",
             long(xs[0].dim()), long(xs[i].dim()));
    for (int64_t k = 0; k < xs[0].dim(); ++k)
      if (k != d && xs[i].shape()[k] != xs[0].shape()[k])
        throw Error(Raises::runtime,
                    text("Sizes of tensors must match except in dimension %ld. Expected size %ld but got size %ld for "
                         "tensor number %zu in the list.",
                         long(d), long(xs[0].shape()[k]), long(xs[i].shape()[k]), i),
                    "cat")
            .in("cat")
            .at(k)
            .arg("tensors[0]", xs[0])
            .arg(("tensors[" + std::to_string(i) + "]").c_str(), xs[i]);
    total += xs[i].shape()[d];
  }
  Dims shape = xs[0].shape();
  shape[d] = total;
  Format format = suggested(xs[0]);
  for (auto &x : xs)
    if (suggested(x) != format) format = Format::contiguous;
  Tensor y = empty(shape, t, device);
  if (format != Format::contiguous) y = like(y, t, device, format);
  int64_t at = 0;
  for (auto &x : xs) {
    Dims part = shape;
    part[d] = x.shape()[d];
    copy_data(alias(y, part, y.strides(), y->offset + at * y.strides()[d]), x);
    at += x.shape()[d];
  }
  if (!needs_grad(all_)) return y;
  std::vector<int64_t> sizes;
  std::vector<DType> types;
  for (auto &x : all_) {
    sizes.push_back(x.dim() == 1 && x.shape()[0] == 0 ? -1 : x.shape()[d]);
    types.push_back(x.dtype());
  }
  record_many({y}, "CatBackward0", all_, {}, [=](const Backward &b) {
    TensorList r(sizes.size());
    int64_t from = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] < 0) {
        if (b.wants(i)) r[i] = zeros({0}, types[i]);
        continue;
      }
      if (b.wants(i)) r[i] = to(slice(b.grad(), d, from, from + sizes[i], 1), types[i]);
      from += sizes[i];
    }
    return r;
  });
  return y;
}

Tensor stack(const Tensors &xs, int64_t dim) {
  HD_CHECK(!xs.empty(), runtime, "stack expects a non-empty TensorList");
  int64_t d = wrap_dim(dim, xs[0].dim() + 1);
  Tensors parts;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (!(xs[i].shape() == xs[0].shape()))
      throw Error(Raises::runtime,
                  text("stack expects each tensor to be equal size, but got %s at entry 0 and %s at entry %zu",
                       brackets(xs[0].shape()).c_str(), brackets(xs[i].shape()).c_str(), i),
                  "stack")
          .in("stack")
          .arg("tensors[0]", xs[0])
          .arg(("tensors[" + std::to_string(i) + "]").c_str(), xs[i]);
  }
  Tensor y;
  {
    NoGrad no;
    for (auto &x : xs) parts.push_back(unsqueeze(x, d));
    y = cat(parts, d);
  }
  if (!needs_grad(xs)) return y;
  std::vector<DType> types;
  for (auto &x : xs) types.push_back(x.dtype());
  record_many({y}, "StackBackward0", xs, {}, [d, types](const Backward &b) {
    TensorList r(types.size());
    for (size_t i = 0; i < types.size(); ++i)
      if (b.wants(i)) r[i] = to(select(b.grad(), d, int64_t(i)), types[i]);
    return r;
  });
  return y;
}

Tensor flip(const Tensor &x, const Dims &dims) {
  SmallVec<bool, 8> mask(size_t(x.dim()), false);
  for (int64_t d : dims) {
    d = wrap_dim(d, x.dim());
    if (!x.dim()) continue;
    HD_CHECK(!mask[d], runtime, "dim %ld appears multiple times in the list of dims", long(d));
    mask[d] = true;
  }
  Tensor y = empty_like(x);
  if (x.numel() && !x.is_meta()) { // write into a window that runs backwards
    Dims strides = y.strides();
    int64_t at = y->offset;
    for (int64_t d = 0; d < x.dim(); ++d)
      if (mask[d]) {
        at += (x.shape()[d] - 1) * strides[d];
        strides[d] = -strides[d];
      }
    copy_data(alias(y, y.shape(), strides, at), x);
  }
  return record(y, "FlipBackward0", {x}, {},
                [dims](const Backward &b) -> TensorList { return {flip(b.grad(), dims)}; });
}

namespace {
Tensor unfold(const Tensor &x, int64_t dimension, int64_t size, int64_t step) {
  int64_t d = wrap_dim(dimension, x.dim());
  int64_t n = x.dim() ? x.shape()[d] : 1;
  HD_CHECK(size >= 0, runtime, "size is %ld but must be >= 0", long(size));
  HD_CHECK(size <= n, runtime, "maximum size for tensor at dimension %ld is %ld but size is %ld", long(d), long(n),
           long(size));
  HD_CHECK(step > 0, runtime, "step is %ld but must be > 0", long(step));
  Dims shape = x.shape(), strides = x.strides(), from = x.shape();
  int64_t stride = x.dim() ? strides[d] : 1;
  if (x.dim()) {
    shape[d] = (n - size) / step + 1;
    strides[d] = stride * step;
  }
  shape.push_back(size);
  strides.push_back(stride);
  return make_view(x, shape, strides, x->offset, "UnfoldBackward0", [=](const Backward &b) -> TensorList {
    const Tensor &g = b.grad();
    if (from.empty()) return {reshape(g, from)};
    // Each place of a window adds to every step-th element of x: one strided addition per place.
    Tensor r = zeros(from, g.dtype(), g.device());
    for (int64_t k = 0; k < size; ++k) {
      Tensor part = slice(r, d, k, k + (g.shape()[d] - 1) * step + 1, step);
      copy_(part, add(part, select(g, -1, k)));
    }
    return {r};
  });
}

// x's memory read as another dtype.
Tensor retyped(const Tensor &x, DType t, const Dims &shape, const Dims &strides, int64_t offset) {
  Tensor y = alias(x, shape, strides, offset);
  y->dtype = t;
  return y;
}

Tensor view_dtype(const Tensor &x, DType t) {
  if (x.dtype() == t) return view(x, x.shape());
  int64_t from = x.itemsize(), to_size = size_of(t);
  Dims shape = x.shape(), strides = x.strides();
  int64_t offset = x->offset;
  if (from != to_size) {
    HD_CHECK(x.dim(), runtime, "self.dim() cannot be 0 to view %s as %s (different element sizes)",
             info(x.dtype()).scalar, info(t).scalar);
    HD_CHECK(strides.back() == 1, runtime,
             "self.stride(-1) must be 1 to view %s as %s (different element sizes), but got %ld",
             info(x.dtype()).scalar, info(t).scalar, long(strides.back()));
    int64_t bytes = shape.back() * from;
    HD_CHECK(bytes % to_size == 0, runtime,
             "self.size(-1) must be divisible by %ld to view %s as %s (different element sizes), but got %ld",
             long(to_size / from), info(x.dtype()).scalar, info(t).scalar, long(shape.back()));
    HD_CHECK(offset * from % to_size == 0, runtime,
             "self.storage_offset() must be divisible by %ld to view %s as %s (different element sizes), but got %ld",
             long(to_size / from), info(x.dtype()).scalar, info(t).scalar, long(offset));
    shape[shape.size() - 1] = bytes / to_size;
    offset = offset * from / to_size;
    for (size_t i = 0; i + 1 < strides.size(); ++i) {
      HD_CHECK(strides[i] * from % to_size == 0, runtime,
               "self.stride(%zu) must be divisible by %ld to view %s as %s (different element sizes), but got %ld", i,
               long(to_size / from), info(x.dtype()).scalar, info(t).scalar, long(strides[i]));
      strides[i] = strides[i] * from / to_size;
    }
  }
  return retyped(x, t, shape, strides, offset);
}
} // namespace

Tensor view_as_real(const Tensor &x) {
  HD_CHECK(x.is_complex(), runtime, "view_as_real is only supported for complex tensors");
  Dims shape = x.shape(), strides = x.strides();
  for (auto &s : strides) s *= 2;
  shape.push_back(2);
  strides.push_back(1);
  Tensor y = retyped(x, real_of(x.dtype()), shape, strides, x->offset * 2);
  link_base(y, x);
  return record(y, "ViewAsRealBackward0", {x}, {}, [](const Backward &b) -> TensorList {
    Tensor g = contiguous(b.grad());
    return {complex(select(g, -1, 0), select(g, -1, 1))};
  });
}
Tensor view_as_complex(const Tensor &x) {
  HD_CHECK(x.dtype() == DType::F32 || x.dtype() == DType::F64, runtime,
           "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: %s",
           info(x.dtype()).scalar);
  HD_CHECK(x.dim() && x.shape().back() == 2, runtime, "Tensor must have a last dimension of size 2");
  HD_CHECK(x.strides().back() == 1, runtime, "Tensor must have a last dimension with stride 1");
  Dims shape = x.shape(), strides = x.strides();
  shape.pop_back();
  strides.pop_back();
  for (auto &s : strides) {
    HD_CHECK(s % 2 == 0, runtime, "Tensor must have a stride divisible by 2 for all but last dimension");
    s /= 2;
  }
  HD_CHECK(x->offset % 2 == 0, runtime, "Tensor must have a storage_offset divisible by 2");
  Tensor y = retyped(x, complex_of(x.dtype()), shape, strides, x->offset / 2);
  link_base(y, x);
  return record(y, "ViewAsComplexBackward0", {x}, {},
                [](const Backward &b) -> TensorList { return {stack({real(b.grad()), imag(b.grad())}, -1)}; });
}

Tensor real_part(const Tensor &x) { return x.is_complex() ? select(view_as_real(x), -1, 0) : x; }
Tensor imag_part(const Tensor &x) {
  HD_CHECK(x.is_complex(), runtime, "imag is not implemented for tensors with non-complex dtypes.");
  return select(view_as_real(x), -1, 1);
}

namespace {
Tensor flatten(const Tensor &x, int64_t start_dim, int64_t end_dim) {
  int64_t a = wrap_dim(start_dim, x.dim()), b = wrap_dim(end_dim, x.dim());
  HD_CHECK(a <= b, runtime, "flatten() has invalid args: start_dim cannot come after end_dim");
  if (!x.dim()) return reshape(x, {1});
  if (a == b) return x;
  Dims shape;
  int64_t n = 1;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d >= a && d <= b) n *= x.shape()[d];
    if (d == b) shape.push_back(n);
    else if (d < a || d > b) shape.push_back(x.shape()[d]);
  }
  return reshape(x, shape);
}
Tensor ravel(const Tensor &x) { return reshape(contiguous(x), {-1}); }
Tensor unflatten(const Tensor &x, int64_t dim, const Dims &sizes) {
  int64_t d = wrap_dim(dim, x.dim());
  HD_CHECK(!sizes.empty(), runtime, "unflatten: sizes must be non-empty");
  int64_t n = x.dim() ? x.shape()[d] : 1, known = 1;
  bool hole = false;
  for (int64_t s : sizes) s == -1 ? void(hole = true) : void(known *= s);
  if (hole ? (known <= 0 || n % known) : known != n)
    throw Error(Raises::runtime,
                text("unflatten: Provided sizes %s don't multiply up to the size of dim %ld (%ld) in the input tensor",
                     brackets(sizes).c_str(), long(d), long(n)));
  Dims part = infer_shape(sizes, n), shape;
  for (int64_t k = 0; k < x.dim(); ++k) {
    if (k != d) shape.push_back(x.shape()[k]);
    else
      for (int64_t s : part) shape.push_back(s);
  }
  return view(x, shape);
}
Tensor view_as(const Tensor &x, const Tensor &other) { return view(x, other.shape()); }
Tensor reshape_as(const Tensor &x, const Tensor &other) { return reshape(x, other.shape()); }
Tensor expand_as(const Tensor &x, const Tensor &other) { return expand(x, other.shape()); }
Tensor expand_op(const Tensor &x, const Dims &size, bool) { return expand(x, size); }
Tensor broadcast_to(const Tensor &x, const Dims &size) { return expand(x, size); }

Tensor movedim(const Tensor &x, const Dims &source, const Dims &destination) {
  HD_CHECK(source.size() == destination.size(), runtime,
           "movedim: Invalid source or destination dims: source (%s dims) should contain the same number of dims as "
           "destination (%s dims)",
           brackets(source).c_str(), brackets(destination).c_str());
  Dims order(size_t(x.dim()), -1);
  SmallVec<bool, 8> used(size_t(x.dim()), false);
  for (size_t i = 0; i < source.size(); ++i) {
    int64_t s = wrap_dim(source[i], x.dim()), d = wrap_dim(destination[i], x.dim());
    HD_CHECK(!used[s], runtime, "movedim: repeated dim in `source` (%s)", brackets(source).c_str());
    HD_CHECK(order[d] < 0, runtime, "movedim: repeated dim in `destination` (%s)", brackets(destination).c_str());
    used[s] = true;
    order[d] = s;
  }
  int64_t next = 0;
  for (auto &o : order)
    if (o < 0) {
      while (used[next]) ++next;
      o = next++;
    }
  return permute(x, order);
}

Tensor repeat(const Tensor &x, const Dims &repeats) {
  HD_CHECK(int64_t(repeats.size()) >= x.dim(), runtime,
           "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
  size_t lead = repeats.size() - x.shape().size();
  Dims padded(repeats.size(), 1), target, strides, paired, pair_strides;
  for (size_t i = 0; i < x.shape().size(); ++i) padded[lead + i] = x.shape()[i];
  for (size_t i = 0; i < repeats.size(); ++i) {
    HD_CHECK(repeats[i] >= 0, runtime, "Trying to create tensor with negative dimension %ld: %s", long(repeats[i]),
             brackets(repeats).c_str());
    int64_t size;
    HD_CHECK(!__builtin_mul_overflow(padded[i], repeats[i], &size), runtime,
             "Storage size calculation overflowed with sizes=%s", brackets(repeats).c_str());
    target.push_back(size);
  }
  Tensor y = empty(target, x.dtype(), x.device());
  for (size_t i = 0; i < repeats.size(); ++i) { // y as (repeat, size) pairs takes x expanded
    paired.push_back(repeats[i]);
    paired.push_back(padded[i]);
    pair_strides.push_back(y.strides()[i] * padded[i]);
    pair_strides.push_back(y.strides()[i]);
  }
  Dims spread(paired.size(), 1), spread_strides(paired.size(), 0);
  for (size_t i = 0; i < x.shape().size(); ++i) {
    spread[2 * (lead + i) + 1] = x.shape()[i];
    spread_strides[2 * (lead + i) + 1] = x.strides()[i];
  }
  if (y.numel() && !y.is_meta())
    copy_data(alias(y, paired, pair_strides, 0), alias(x, spread, spread_strides, x->offset));
  Dims from = x.shape();
  return record(y, "RepeatBackward0", {x}, {}, [=](const Backward &b) -> TensorList {
    Dims reps;
    for (size_t i = 0; i < repeats.size(); ++i) reps.push_back(int64_t(2 * i));
    if (reps.empty()) return {b.grad()};
    return {reshape(sum(reshape(b.grad(), paired), reps, false, std::nullopt), from)};
  });
}
Tensor tile(const Tensor &x, const Dims &dims) {
  Dims r = dims;
  while (int64_t(r.size()) < x.dim()) r.insert(0, 1);
  return repeat(x, r);
}

Tensors split_op(const Tensor &x, int64_t split_size, int64_t dim) {
  HD_CHECK(x.dim(), runtime, "split expects at least a 1-dimensional tensor");
  HD_CHECK(split_size >= 0, runtime, "split expects split_size be non-negative, but got split_size=%ld",
           long(split_size));
  int64_t n = x.size(dim);
  HD_CHECK(split_size > 0 || n == 0, runtime,
           "split_size can only be 0 if dimension size is 0, but got dimension size of %ld", long(n));
  Dims sizes;
  for (int64_t left = n; left > 0; left -= sizes.back()) sizes.push_back(std::min(split_size, left));
  if (sizes.empty()) sizes.push_back(0);
  return split_views(x, sizes, wrap_dim(dim, x.dim()), "SplitBackward0");
}
Tensors chunk(const Tensor &x, int64_t chunks, int64_t dim) {
  HD_CHECK(x.dim(), runtime, "chunk expects at least a 1-dimensional tensor");
  HD_CHECK(chunks > 0, runtime, "chunk expects `chunks` to be greater than 0, got: %ld", long(chunks));
  int64_t n = x.size(dim), size = n / chunks + (n % chunks != 0);
  if (size == 0) return split(x, Dims(size_t(chunks), 0), dim);
  return split_op(x, size, dim);
}
Tensors tensor_split(const Tensor &x, int64_t sections, int64_t dim) {
  HD_CHECK(x.dim(), runtime, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  HD_CHECK(sections > 0, runtime, "number of sections must be larger than 0, got %ld", long(sections));
  int64_t n = x.size(dim);
  HD_CHECK(sections < int64_t(1) << 31, runtime, "tensor_split: %ld sections are too many", long(sections));
  Dims sizes;
  for (int64_t i = 0; i < sections; ++i) sizes.push_back(n / sections + (i < n % sections));
  return split(x, sizes, dim);
}
Tensors tensor_split_at(const Tensor &x, const Dims &indices, int64_t dim) {
  HD_CHECK(x.dim(), runtime, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  Tensors r;
  std::optional<int64_t> at;
  for (int64_t i : indices) {
    r.push_back(slice(x, dim, at, i, 1));
    at = i;
  }
  r.push_back(slice(x, dim, at, std::nullopt, 1));
  return r;
}

Tensors tensor_split_by(const Tensor &x, const Tensor &places, int64_t dim) {
  HD_CHECK(places.dtype() == DType::I64, runtime,
           "tensor_split expected tensor_indices_or_sections to have dtype of long, but got %s",
           info(places.dtype()).scalar);
  HD_CHECK(places.dim() <= 1, runtime,
           "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
           "got a tensor with %ld dims",
           long(places.dim()));
  if (!places.dim()) return tensor_split(x, item(places).i, dim);
  Dims at;
  for (int64_t i = 0; i < places.numel(); ++i) at.push_back(item(select(places, 0, i)).i);
  return tensor_split_at(x, at, dim);
}

Tensors broadcast_tensors(const Tensors &xs) {
  Dims shape;
  for (auto &x : xs) {
    Broadcast b = broadcast(shape, x.shape());
    if (b.clash >= 0) throw clash("broadcast_tensors", shape, x.shape(), b).arg("a", xs[0]).arg("b", x);
    shape = b.shape;
  }
  Tensors r;
  for (auto &x : xs) r.push_back(expand(x, shape));
  return r;
}
Tensor narrow_op(const Tensor &x, int64_t dim, int64_t start, int64_t length) { return narrow(x, dim, start, length); }
Tensor squeeze_all(const Tensor &x) { return squeeze(x, std::nullopt); }
Tensor squeeze_dims(const Tensor &x, const Dims &dims) { return squeeze(x, dims); }
Tensor as_strided_op(const Tensor &x, const Dims &size, const Dims &stride, std::optional<int64_t> offset) {
  return as_strided(x, size, stride, offset);
}
Tensor contiguous_op(const Tensor &x, std::optional<Format> format) {
  return contiguous(x, format.value_or(Format::contiguous));
}
Tensor clone_op(const Tensor &x, std::optional<Format> format) { return clone(x, format.value_or(Format::preserve)); }
Tensor detach_op(const Tensor &x) { return detach(x); }
Tensor adjoint(const Tensor &x) { return conj(transpose(x, -2, -1)); }
} // namespace
} // namespace ops

const OpTable &view_ops() {
  using namespace ops;
  static const OpTable t = {
      def<view>("view", "input, shape", method),
      def<view_dtype>("view", "input, dtype", method),
      def<view_as>("view_as", "input, other", method),
      def<reshape>("reshape", "input, shape"),
      def<reshape_as>("reshape_as", "input, other", method),
      def<expand_op>("expand", "input, size, *, implicit=False", method),
      def<expand_as>("expand_as", "input, other", method),
      def<broadcast_to>("broadcast_to", "input, size"),
      def<permute>("permute", "input, dims"),
      def<transpose>("transpose", "input, dim0, dim1"),
      def<transpose>("swapaxes", "input, axis0, axis1"),
      def<transpose>("swapdims", "input, dim0, dim1"),
      def<t_op>("t", "input"),
      def<adjoint>("adjoint", "input"),
      def<select>("select", "input, dim, index"),
      def<narrow_op>("narrow", "input, dim, start, length"),
      def<unsqueeze>("unsqueeze", "input, dim"),
      def<squeeze_all>("squeeze", "input"),
      def<squeeze_dims>("squeeze", "input, dim"),
      def<diagonal>("diagonal", "input, offset=0, dim1=0, dim2=1"),
      def<unbind>("unbind", "input, dim=0"),
      def<split_op>("split", "tensor, split_size, dim=0"),
      def<split>("split", "tensor, split_size, dim=0"),
      def<split>("split_with_sizes", "input, split_sizes, dim=0"),
      def<chunk>("chunk", "input, chunks, dim=0"),
      def<tensor_split_by>("tensor_split", "input, tensor_indices_or_sections, dim=0"),
      def<tensor_split>("tensor_split", "input, sections, dim=0"),
      def<tensor_split_at>("tensor_split", "input, indices, dim=0"),
      def<cat>("cat", "tensors, dim=0, *, out=None", function),
      def<cat>("concat", "tensors, dim=0, *, out=None", function),
      def<cat>("concatenate", "tensors, dim=0, *, out=None", function),
      def<stack>("stack", "tensors, dim=0, *, out=None", function),
      def<flip>("flip", "input, dims"),
      def<unfold>("unfold", "input, dimension, size, step", method),
      def<view_as_real>("view_as_real", "input", function),
      def<view_as_complex>("view_as_complex", "input", function),
      def<flatten>("flatten", "input, start_dim=0, end_dim=-1"),
      def<ravel>("ravel", "input"),
      def<unflatten>("unflatten", "input, dim, sizes"),
      def<movedim>("movedim", "input, source, destination"),
      def<movedim>("moveaxis", "input, source, destination"),
      def<repeat>("repeat", "input, repeats", method),
      def<tile>("tile", "input, dims"),
      def<broadcast_tensors>("broadcast_tensors", "tensors", function),
      def<as_strided_op>("as_strided", "input, size, stride, storage_offset=None"),
      def<contiguous_op>("contiguous", "input, memory_format=None", method),
      def<clone_op>("clone", "input, *, memory_format=None"),
      def<detach_op>("detach", "input"),
  };
  return t;
}

} // namespace hadamard
