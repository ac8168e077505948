// x[tensors] and its assignment, and the flat forms: take and put.
#include "ops/index.h"

#include <atomic>

namespace hadamard {
namespace ops {
namespace {

// The first entry of `at` outside [low, size), if any.
template <class I> std::optional<int64_t> outside_of(const Tensor &at, int64_t low, int64_t size) {
  auto bad = [&](I i) { return int64_t(i) < low || int64_t(i) >= size; };
  const I *p = at.data<I>();
  int64_t n = at.numel();
  if (at.is_contiguous()) {
    for (int64_t from = 0; from < n; from += 1024) {
      int64_t to = std::min(n, from + 1024);
      bool any = false;
      for (int64_t k = from; k < to; ++k) any |= bad(p[k]);
      if (any)
        for (int64_t k = from; k < to; ++k)
          if (bad(p[k])) return int64_t(p[k]);
    }
    return {};
  }
  Walk<1> w(at.shape(), {&at.strides()});
  for (int64_t k = 0; k < n; ++k, w.next())
    if (bad(p[w.offset[0]])) return int64_t(p[w.offset[0]]);
  return {};
}
} // namespace

std::optional<int64_t> outside(const Tensor &given, int64_t low, int64_t size) {
  Dims shape = given.shape();
  for (size_t d = 0; d < shape.size(); ++d)
    if (given.strides()[d] == 0 && shape[d] > 1) shape[d] = 1; // expanded: the same entries again
  Tensor at = shape == given.shape() ? given : alias(given, shape, given.strides(), given->offset);
  return at.dtype() == DType::I64 ? outside_of<int64_t>(at, low, size) : outside_of<int32_t>(at, low, size);
}
void check_places(const Tensor &at, int64_t dim, int64_t size) {
  if (at.is_meta()) return;
  if (auto bad = outside(at, 0, size))
    throw Error(Raises::runtime,
                text("index %ld is out of bounds for dimension %ld with size %ld", long(*bad), long(dim), long(size)),
                "index");
}
[[noreturn]] void throw_bounds(int64_t i, int64_t dim, int64_t size) {
  throw Error(Raises::index,
              text("index %ld is out of bounds for dimension %ld with size %ld", long(i), long(dim), long(size)),
              "index");
}

// Drops what is 1, and joins dimensions that both operands run through without a gap.
void coalesce(Dims &shape, Dims &a, Dims &b) {
  SmallVec<int, 8> order;
  for (int d = 0; d < int(shape.size()); ++d) {
    if (shape[d] == 1) continue;
    int at = int(order.size());
    while (at > 0 && (b[order[at - 1]] != b[d] ? b[order[at - 1]] < b[d] : a[order[at - 1]] < a[d])) --at;
    order.insert(size_t(at), d);
  }
  Dims s, x, y;
  for (int d : order) {
    if (!s.empty() && x.back() == a[d] * shape[d] && y.back() == b[d] * shape[d]) {
      s.back() *= shape[d];
      x.back() = a[d];
      y.back() = b[d];
    } else {
      s.push_back(shape[d]);
      x.push_back(a[d]);
      y.push_back(b[d]);
    }
  }
  shape = s;
  a = x;
  b = y;
}

// ---- x[tensors]

namespace {
// Masks become the integer indices of what they select; undefined entries stay and fill up to x's dimensions.
Tensors resolve(const Tensor &x, const Tensors &indices) {
  Tensors r;
  for (size_t k = 0; k < indices.size(); ++k) {
    const Tensor &i = indices[k];
    if (!i) {
      r.push_back(i);
      continue;
    }
    check_together("index", x, {i});
    if (i.dtype() == DType::Bool || i.dtype() == DType::U8) {
      if (i.dtype() == DType::U8)
        warn("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.");
      for (int64_t d = 0; d < i.dim(); ++d) {
        int64_t at = int64_t(r.size()) + d;
        if (at >= x.dim())
          throw Error(Raises::index, text("too many indices for tensor of dimension %ld", long(x.dim())), "index");
        if (i.shape()[d] != x.shape()[at])
          throw Error(Raises::index,
                      text("The shape of the mask %s at index %ld does not match the shape of the indexed tensor %s at "
                           "index %ld",
                           brackets(i.shape()).c_str(), long(d), brackets(x.shape()).c_str(), long(at)),
                      "index")
              .in("index")
              .arg("self", x)
              .arg("mask", i);
      }
      NoGrad no;
      Tensor found = nonzero(i);
      for (int64_t d = 0; d < i.dim(); ++d) r.push_back(select(found, 1, d));
    } else {
      HD_CHECK(is_index(i.dtype()), index, "tensors used as indices must be long, int, byte or bool tensors");
      r.push_back(i);
    }
  }
  if (int64_t(r.size()) > x.dim())
    throw Error(Raises::index, text("too many indices for tensor of dimension %ld", long(x.dim())), "index");
  r.resize(size_t(x.dim()));
  return r;
}

// A 0-d mask selects all or nothing along a new dimension: where it stands, or -1.
int64_t new_dimension(const Tensors &indices, size_t &which) {
  int64_t d = 0;
  for (which = 0; which < indices.size(); ++which) {
    const Tensor &i = indices[which];
    bool mask = i && (i.dtype() == DType::Bool || i.dtype() == DType::U8);
    if (mask && i.dim() == 0) return d;
    d += mask ? i.dim() : 1;
  }
  return -1;
}
Tensors with_dimension(const Tensors &indices, size_t which) {
  Tensors r = indices;
  r[which] = alias(r[which], {1}, {1}, r[which]->offset);
  return r;
}

template <class I>
void add_places(int64_t *to, bool first, const Tensor &i, const Dims &shape, int64_t size, int64_t stride,
                int64_t dim) {
  Dims strides = expanded_strides(i.shape(), i.strides(), shape);
  const I *p = i.data<I>();
  int64_t n = numel(shape);
  bool plain = is_contiguous(shape, strides);
  std::atomic<bool> any_bad{false};
  parallel_for(n, grain, [&](long begin, long end) {
    bool bad = false;
    auto put = [&](int64_t k, int64_t v) {
      v += v < 0 ? size : 0;
      bad |= uint64_t(v) >= uint64_t(size);
      v = int64_t(uint64_t(v) * uint64_t(stride));
      to[k] = first ? v : int64_t(uint64_t(to[k]) + uint64_t(v));
    };
    if (plain) {
      for (int64_t k = begin; k < end; ++k) put(k, int64_t(p[k]));
    } else {
      Walk<1> w(shape, {&strides}, begin);
      for (int64_t k = begin; k < end; ++k, w.next()) put(k, int64_t(p[w.offset[0]]));
    }
    if (bad) any_bad.store(true, std::memory_order_relaxed);
  });
  if (any_bad) throw_bounds(*outside(i, -size, size), dim, size);
}
} // namespace

Plan make_plan(const Tensor &x, const Tensors &full) {
  Plan p;
  bool first = true, clash = false;
  for (int d = 0; d < int(full.size()); ++d)
    if (full[d]) {
      p.indexed.push_back(d);
      if (first) p.index_shape = full[d].shape();
      else {
        Broadcast b = broadcast(p.index_shape, full[d].shape());
        if (b.clash >= 0) clash = true;
        else p.index_shape = b.shape;
      }
      first = false;
    }
  if (clash) {
    std::string shapes;
    Error e(Raises::index, "", "broadcast");
    for (int d : p.indexed) {
      shapes += (shapes.empty() ? "" : ", ") + brackets(full[d].shape());
      e.arg("index", full[d]);
    }
    e.line = "shape mismatch: indexing tensors could not be broadcast together with shapes " + shapes;
    throw e.in("index");
  }
  int low = p.indexed.empty() ? 0 : p.indexed[0], high = p.indexed.empty() ? 0 : p.indexed.back();
  bool adjacent = high - low + 1 == int(p.indexed.size());
  for (int d = 0; d < x.dim(); ++d)
    if (!full[d]) (adjacent && d < low ? p.before : p.after).push_back(d);
  for (int d : p.before) p.shape.push_back(x.shape()[d]);
  p.at = int64_t(p.shape.size());
  for (int64_t s : p.index_shape) p.shape.push_back(s);
  for (int d : p.after) p.shape.push_back(x.shape()[d]);
  p.count = numel(p.index_shape);
  for (int d : p.indexed) HD_CHECK(!p.count || x.shape()[d], index, "index is out of bounds for dimension with size 0");
  if (x.is_meta()) return p;
  numel(p.shape);
  p.places = empty({p.count}, DType::I64);
  if (p.indexed.empty()) *p.places.data<int64_t>() = 0;
  LongWork unlocked(p.count);
  int64_t nth = 0; // torch counts the indices, not the dimensions, when it names one
  for (int d : p.indexed) {
    auto f = full[d].dtype() == DType::I64 ? add_places<int64_t> : add_places<int32_t>;
    f(p.places.data<int64_t>(), d == low, full[d], p.index_shape, x.shape()[d], x.strides()[d], nth++);
  }
  return p;
}

Window window_of(const Tensor &x, const Plan &p, const Dims &other, Tensor &table) {
  Window w;
  int64_t k = 0;
  for (int d : p.before) {
    w.before.push_back(x.shape()[d]);
    w.x_before.push_back(x.strides()[d]);
    w.o_before.push_back(other[k++]);
  }
  Dims middle(other.begin() + k, other.begin() + k + p.index_shape.size());
  k += int64_t(p.index_shape.size());
  for (int d : p.after) {
    w.after.push_back(x.shape()[d]);
    w.x_after.push_back(x.strides()[d]);
    w.o_after.push_back(other[k++]);
  }
  w.x_place = p.places.data<int64_t>();
  w.count = p.count;
  if (!p.count) return w;
  if (auto step = view_strides(p.index_shape, middle, {p.count})) {
    w.o_step = (*step)[0];
    return w;
  }
  table = empty({p.count}, DType::I64);
  int64_t *to = table.data<int64_t>();
  Walk<1> walk(p.index_shape, {&middle});
  for (int64_t i = 0; i < p.count; ++i, walk.next()) to[i] = walk.offset[0];
  w.o_place = to;
  return w;
}

namespace {
// Strides of the result: torch's rule, which follows the order of the operands' strides where they have one.
Dims result_strides(const Tensor &x, const Tensors &full, const Plan &p) {
  bool plain = x.is_contiguous();
  for (int d : p.indexed) plain &= full[d].is_contiguous();
  if (plain) return contiguous_strides(p.shape);
  int n = int(p.shape.size());
  std::vector<Dims> operands;
  Dims s;
  for (int d : p.before) s.push_back(x.strides()[d]);
  for (size_t d = 0; d < p.index_shape.size(); ++d) s.push_back(0);
  for (int d : p.after) s.push_back(x.strides()[d]);
  operands.push_back(s);
  for (int d : p.indexed) {
    Dims e = expanded_strides(full[d].shape(), full[d].strides(), p.index_shape), all(size_t(n), 0);
    for (size_t i = 0; i < e.size(); ++i) all[size_t(p.at) + i] = e[i];
    operands.push_back(all);
  }
  auto compare = [&](int a, int b) { // > 0: b belongs inside a
    for (auto &o : operands) {
      if (o[a] == 0 || o[b] == 0) continue;
      if (o[a] != o[b]) return o[a] < o[b] ? -1 : 1;
      if (p.shape[a] > p.shape[b]) return 1;
    }
    return 0;
  };
  SmallVec<int, 8> order; // innermost first
  for (int d = n; d-- > 0;) order.push_back(d);
  for (int i = 1; i < n; ++i) {
    int one = i;
    for (int zero = i - 1; zero >= 0; --zero) {
      int c = compare(order[zero], order[one]);
      if (c < 0) break;
      if (c > 0) {
        std::swap(order[zero], order[one]);
        one = zero;
      }
    }
  }
  Dims r(size_t(n), 1);
  int64_t step = 1;
  for (int d : order) {
    r[d] = step;
    step = next_stride(step, p.shape[d]);
  }
  return r;
}

Tensor read(const Tensor &x, const Tensors &full) {
  Plan p = make_plan(x, full);
  Tensor y = empty_strided(p.shape, result_strides(x, full, p), x.dtype(), x.device());
  if (y.is_meta() || !y.numel()) return y;
  Tensor table;
  Window w = window_of(x, p, y.strides(), table);
  by_size(x.itemsize(), [&]<class T>(Type<T>) { each(w, x.data<T>(), y.data<T>(), Get{}); });
  return y;
}

void check_values(const Plan &p, const Tensor &values) {
  Broadcast b = broadcast(p.shape, values.shape());
  if (b.clash >= 0 || !(b.shape == p.shape))
    throw Error(Raises::runtime,
                text("shape mismatch: value tensor of shape %s cannot be broadcast to indexing result of shape %s",
                     brackets(values.shape()).c_str(), brackets(p.shape).c_str()),
                "broadcast")
        .in("index_put_")
        .arg("values", values);
}

void write(const Tensor &x, const Plan &p, const Tensor &values, bool accumulate) {
  if (!numel(p.shape)) return;
  Tensor from = apart(values, x), table;
  Window w = window_of(x, p, expanded_strides(from.shape(), from.strides(), p.shape), table);
  if (accumulate) visit(x.dtype(), [&]<class T>(Type<T>) { each(w, x.data<T>(), from.data<T>(), Add{}); });
  else by_size(x.itemsize(), [&]<class T>(Type<T>) { each(w, x.data<T>(), from.data<T>(), Put{}); });
}

Tensor index_put_of(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate, bool inplace);

// Leading broadcast 1s of values may exceed the result's dimensions: x[i] = ones(1, 2, 4).
Tensor trim(const Tensor &values, size_t n) {
  Tensor v = values;
  while (v.dim() > int64_t(n) && v.shape()[0] == 1) v = squeeze(v, Dims{0});
  return v;
}
} // namespace

Tensor index(const Tensor &x, const Tensors &indices) {
  size_t which;
  if (int64_t d = new_dimension(indices, which); d >= 0)
    return index(unsqueeze(x, std::min(d, x.dim())), with_dimension(indices, which));
  Tensors full = resolve(x, indices);
  Tensor y = read(x, full);
  if (!needs_grad(x)) return y;
  std::vector<Kept> keep;
  for (auto &i : full) keep.push_back({i});
  Dims shape = x.shape();
  record_many({y}, "IndexBackward0", {x}, keep, [shape](const Backward &b) -> TensorList {
    Tensors at;
    for (size_t i = 0; i < b.kept.size(); ++i) at.push_back(b.saved(i));
    Tensor g = zeros(shape, b.grad().dtype(), b.grad().device());
    index_put_(g, at, b.grad(), true);
    return {g};
  });
  return y;
}

namespace {
Tensor index_put_of(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate, bool inplace) {
  HD_CHECK(x.dtype() == values.dtype(), runtime,
           "Index put requires the source and destination dtypes match, got %s for the destination and %s for the "
           "source.",
           scalar_name(x), scalar_name(values));
  Tensors full = resolve(x, indices);
  Plan p = make_plan(x, full);
  Tensor v = trim(values, p.shape.size());
  check_values(p, v);
  if (inplace && overlaps_itself(x.shape(), x.strides()) && !needs_grad(x, v)) {
    warn("Use of index_put_ on expanded tensors is deprecated. Please clone() the tensor before performing this "
         "operation. "
         "This also applies to advanced indexing e.g. tensor[indices] = tensor");
    if (!x.is_meta()) write(x, p, v, accumulate);
    x.bump();
    return x;
  }
  std::vector<Kept> keep;
  for (auto &i : full) keep.push_back({i});
  Dims shape = v.shape();
  return write_into(
      x, inplace, "IndexPutBackward0", {v}, keep,
      [&](const Tensor &y) {
        if (y.strides() == x.strides()) return write(y, p, v, accumulate);
        write(y, make_plan(y, full), v, accumulate);
      },
      [=](const Backward &b) -> TensorList {
        Tensors at;
        for (size_t i = 0; i < b.kept.size(); ++i) at.push_back(b.saved(i));
        TensorList r(2);
        if (b.wants(0))
          r[0] = accumulate ? b.grad() : index_put_of(b.grad(), at, scalar(Scalar(0), b.grad().dtype()), false, false);
        if (b.wants(1)) r[1] = sum_to(index(b.grad(), at), shape);
        return r;
      });
}
} // namespace

void index_put_(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate) {
  size_t which;
  if (int64_t d = new_dimension(indices, which); d >= 0)
    return index_put_(unsqueeze(x, std::min(d, x.dim())), with_dimension(indices, which), values, accumulate);
  index_put_of(x, indices, values, accumulate, true);
}
Tensor index_put(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate) {
  size_t which;
  if (int64_t d = new_dimension(indices, which); d >= 0)
    return squeeze(index_put(unsqueeze(x, std::min(d, x.dim())), with_dimension(indices, which), values, accumulate),
                   Dims{std::min(d, x.dim())});
  return index_put_of(x, indices, values, accumulate, false);
}

namespace {
Tensor index_put_method(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate) {
  index_put_(x, indices, values, accumulate);
  return x;
}
} // namespace

// ---- the flat view: take and put_

Tensor flattened(const Tensor &x) {
  NoGrad no;
  Tensor c = contiguous(x);
  return alias(c, {c.numel()}, {1}, c->offset);
}

namespace {
Tensor checked_flat(const Tensor &x, const Tensor &at) {
  if (!at.is_meta() && at.numel())
    if (auto bad = outside(at, -x.numel(), x.numel()))
      throw Error(
          Raises::index,
          text("out of range: tried to access index %ld on a tensor of %ld elements.", long(*bad), long(x.numel())),
          "index");
  return flattened(x);
}
Tensor put_of(const Tensor &x, const Tensor &at, const Tensor &source, bool accumulate, bool inplace);

Tensor take(const Tensor &x, const Tensor &at) {
  check_together("take", x, {at});
  HD_CHECK(at.dtype() == DType::I64, runtime, "take(): Expected a long tensor for index, but got %s", scalar_name(at));
  HD_CHECK(x.numel() || !at.numel(), index, "take(): tried to take from an empty tensor");
  Tensor y = empty(at.shape(), x.dtype(), x.device());
  if (!y.is_meta()) {
    Tensor got;
    NoGrad no;
    got = read(checked_flat(x, at), {at});
    copy_data(y, got);
  }
  Dims shape = x.shape();
  return record(y, "TakeBackward0", {x}, {Keep{at}}, [shape](const Backward &b) -> TensorList {
    return {put_of(zeros(shape, b.grad().dtype(), b.grad().device()), b.saved(0), b.grad(), true, false)};
  });
}
Tensor put_of(const Tensor &x, const Tensor &at, const Tensor &source, bool accumulate, bool inplace) {
  HD_CHECK(at.dtype() == DType::I64, runtime, "put_(): Expected a long tensor for index, but got %s", scalar_name(at));
  HD_CHECK(x.dtype() == source.dtype(), runtime,
           "put_(): self and source expected to have the same dtype, but got self.dtype = %s and source.dtype = %s",
           scalar_name(x), scalar_name(source));
  HD_CHECK(source.numel() == at.numel(), index,
           "put_(): Expected source and index to have the same number of elements, but got source.numel() = %ld, "
           "index.numel() = %ld",
           long(source.numel()), long(at.numel()));
  HD_CHECK(x.numel() || !at.numel(), index, "put_(): Expected self to be a non-empty tensor");
  return write_into(
      x, inplace, "PutBackward0", {source}, {Keep{at}},
      [&](const Tensor &y) {
        if (!at.numel()) return;
        Tensor flat = checked_flat(y, at), from = apart(source, y);
        write(flat, make_plan(flat, {flattened(at)}), flattened(from), accumulate);
        if (!y.is_contiguous()) copy_data(y, with_shape(flat, y.shape()));
      },
      [accumulate, shape = source.shape()](const Backward &b) -> TensorList {
        TensorList r(2);
        Tensor at = b.saved(0);
        if (b.wants(0))
          r[0] = accumulate
                     ? b.grad()
                     : put_of(b.grad(), at, zeros(at.shape(), b.grad().dtype(), b.grad().device()), false, false);
        if (b.wants(1)) r[1] = reshape(take(b.grad(), at), shape);
        return r;
      });
}
template <bool inplace> Tensor put(const Tensor &x, const Tensor &at, const Tensor &source, bool accumulate) {
  return put_of(x, at, source, accumulate, inplace);
}
} // namespace
} // namespace ops

const OpTable &index_ops() {
  using namespace ops;
  static const OpTable t = {
      def<index_put>("index_put", "input, indices, values, accumulate=False"),
      def<index_put_method>("index_put_", "input, indices, values, accumulate=False", both),
      def<take>("take", "input, index, *, out=None"),
      def<put<false>>("put", "input, index, source, accumulate=False"),
      def<put<true>>("put_", "input, index, source, accumulate=False", method),
  };
  return t;
}

} // namespace hadamard
