// Reading and writing by index: x[tensors], gather, scatter and their relatives.
#include <algorithm>
#include <atomic>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/element.h"

namespace hadamard {
namespace ops {
namespace {

constexpr int64_t grain = 16384; // elements a thread should get at least

int64_t share(int64_t total, int64_t n) { return std::max<int64_t>(1, grain / std::max<int64_t>(1, total / n)); }

bool is_index(DType t) { return t == DType::I64 || t == DType::I32; }
const char *scalar_name(const Tensor &t) { return info(t.dtype()).scalar; }

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
std::optional<int64_t> outside(const Tensor &at, int64_t low, int64_t size) {
  return at.dtype() == DType::I64 ? outside_of<int64_t>(at, low, size) : outside_of<int32_t>(at, low, size);
}
void check_places(const Tensor &at, int64_t dim, int64_t size) {
  if (at.is_meta()) return;
  if (auto bad = outside(at, 0, size))
    throw Error(Raises::runtime,
                text("index %ld is out of bounds for dimension %ld with size %ld", long(*bad), long(dim), long(size)),
                "index");
}

// ---- an op that writes into (a copy of) x

// `write(y)` changes y, which holds x's elements, in place; f gives the gradients of x and then of `others`. What is
// kept as result() is y itself. Used for the op and for its in-place twin.
template <class W, class F>
Tensor write_into(const Tensor &x, bool inplace, const char *name, const Tensors &others, const std::vector<Keep> &keep,
                  W write, F f) {
  for (auto &t : others) check_together(name, x, {t});
  for (auto &k : keep) check_together(name, x, {k.t});
  Tensors inputs{x};
  inputs.insert(inputs.end(), others.begin(), others.end());
  if (!inplace) {
    Tensor y;
    {
      NoGrad no;
      y = clone(x);
      if (!y.is_meta()) write(y);
    }
    std::vector<Keep> kept = keep;
    for (auto &k : kept)
      if (k.output) k.t = y;
    record_many({y}, name, inputs, kept, f);
    return y;
  }
  check_inplace(x);
  Ref<Node> holder;
  FormulaNode<F> *node = nullptr;
  if (differentiable(x) && needs_grad(inputs)) {
    std::vector<Saved> saved;
    for (auto &k : keep) saved.emplace_back(k.output ? Tensor() : k.t, false);
    node = new FormulaNode<F>(name, std::move(saved), f);
    holder = Ref<Node>::adopt(node);
    connect(*node, inputs.data(), inputs.size());
  }
  if (!x.is_meta()) {
    NoGrad no;
    write(x);
  }
  x.bump();
  if (node) {
    for (size_t i = 0; i < keep.size(); ++i)
      if (keep[i].output) node->saved[i] = Saved(x, true);
    rebase_history(x, holder);
  }
  return x;
}

// The part of write_into that an argument sharing memory with the destination needs: a copy.
Tensor apart(const Tensor &t, const Tensor &from) {
  if (!(t->storage == from->storage)) return t;
  NoGrad no;
  return clone(t);
}

// ---- x seen as [before][place][after], met by a plainly strided operand

struct Window {
  Dims before, after;                                   // shapes
  Dims x_before, x_after, o_before, o_after;            // strides, in elements
  const int64_t *x_place = nullptr, *o_place = nullptr; // offsets, one per place; o_place may be nullptr: k * o_step
  int64_t count = 0, o_step = 0;
};

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

struct Get { // other = x
  static constexpr bool writes = false;
  template <class T> void operator()(T &x, T &o) const { o = x; }
  template <class T> static void block(T *x, T *o, int64_t n) { std::memcpy(o, x, size_t(n) * sizeof(T)); }
};
struct Put { // x = other
  static constexpr bool writes = true;
  template <class T> void operator()(T &x, T &o) const { x = o; }
  template <class T> static void block(T *x, T *o, int64_t n) { std::memcpy(x, o, size_t(n) * sizeof(T)); }
};
struct Add { // x += other
  static constexpr bool writes = true;
  template <class T> void operator()(T &x, T &o) const { x = plus(x, o); }
};

template <class T, class F> void run_window(const Window &w, T *x, T *o, F f) {
  auto line = [&](T *x, int64_t xs, T *o, int64_t os, int64_t n) {
    if (xs == 1 && os == 1) {
      if constexpr (requires { F::block(x, o, n); }) F::block(x, o, n);
      else
        for (int64_t j = 0; j < n; ++j) f(x[j], o[j]);
    } else {
      for (int64_t j = 0; j < n; ++j) f(x[j * xs], o[j * os]);
    }
  };
  int64_t rows = numel(w.before);
  Walk<2> row(w.before, {&w.x_before, &w.o_before});
  size_t nd = w.after.size();
  for (int64_t r = 0; r < rows; ++r, row.next()) {
    T *xr = x + row.offset[0], *orow = o + row.offset[1];
    auto other = [&](int64_t k) { return orow + (w.o_place ? w.o_place[k] : k * w.o_step); };
    if (nd == 0) {
      if (w.o_place)
        for (int64_t k = 0; k < w.count; ++k) f(xr[w.x_place[k]], orow[w.o_place[k]]);
      else
        for (int64_t k = 0; k < w.count; ++k) f(xr[w.x_place[k]], orow[k * w.o_step]);
    } else if (nd == 1) {
      for (int64_t k = 0; k < w.count; ++k) line(xr + w.x_place[k], w.x_after[0], other(k), w.o_after[0], w.after[0]);
    } else {
      Dims lead(w.after.begin(), w.after.end() - 1);
      int64_t lines = numel(lead);
      for (int64_t k = 0; k < w.count; ++k) {
        T *xp = xr + w.x_place[k], *op = other(k);
        Walk<2> at(lead, {&w.x_after, &w.o_after});
        for (int64_t l = 0; l < lines; ++l, at.next())
          line(xp + at.offset[0], w.x_after[nd - 1], op + at.offset[1], w.o_after[nd - 1], w.after[nd - 1]);
      }
    }
  }
}

// Splits over threads so that, where x is written, no two threads meet one element and the order at a place is kept.
template <class T, class F> void each(Window &w, T *x, T *o, F f) {
  int64_t total = numel(w.before) * numel(w.after) * w.count;
  if (!total) return;
  coalesce(w.before, w.x_before, w.o_before);
  coalesce(w.after, w.x_after, w.o_after);
  LongWork unlocked(total);
  auto part_of = [&](Dims &shape, const Dims &xs, const Dims &os, size_t d) {
    int64_t n = shape[d];
    parallel_for(n, share(total, n), [&](long begin, long end) {
      Window part = w;
      (&shape == &w.before ? part.before : part.after)[d] = end - begin;
      run_window(part, x + begin * xs[d], o + begin * os[d], f);
    });
  };
  if (total < 2 * grain || num_threads() == 1) run_window(w, x, o, f);
  else if (!w.before.empty() && w.before[0] >= num_threads()) part_of(w.before, w.x_before, w.o_before, 0);
  else if (!F::writes)
    parallel_for(w.count, share(total, w.count), [&](long begin, long end) {
      Window part = w;
      part.count = end - begin;
      part.x_place += begin;
      if (w.o_place) part.o_place += begin;
      run_window(part, x, o + (w.o_place ? 0 : begin * w.o_step), f);
    });
  else if (!w.after.empty() && w.after[0] >= 32 * num_threads()) part_of(w.after, w.x_after, w.o_after, 0);
  else run_window(w, x, o, f);
}

// ---- x[tensors]

[[noreturn]] void throw_bounds(int64_t i, int64_t dim, int64_t size) {
  throw Error(Raises::index,
              text("index %ld is out of bounds for dimension %ld with size %ld", long(i), long(dim), long(size)),
              "index");
}

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

struct Plan {
  Dims shape;                // of x[indices]
  int64_t at = 0, count = 1; // the indices' own dimensions stand at `at` of the result; how many places
  Dims index_shape;
  SmallVec<int, 8> before, after; // dimensions of x that stay
  SmallVec<int, 8> indexed;
  Tensor places; // offsets in elements
};

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

// `full` as resolve() left it.
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

// The window of x and of `other`, which has the plan's shape and these strides. `table` keeps its offsets alive.
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
    step *= std::max<int64_t>(1, p.shape[d]);
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
  std::vector<Keep> keep;
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
  std::vector<Keep> keep;
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

// ---- along one dimension: index_select, index_add, index_copy, index_fill, embedding

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

Tensor index_add(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, const Scalar &alpha);

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

Tensor index_copy_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, bool inplace);
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
  HD_CHECK(!sparse, not_implemented,
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

// ---- gather and scatter: one index per element, along one dimension

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
  HD_CHECK(is_index(at.dtype()), runtime, "gather(): Expected dtype int32/int64 for index");
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
// The part of src that `at` reads.
Tensor pad_to(const Tensor &g, const Dims &shape) {
  if (g.shape() == shape) return g;
  Tensor r = zeros(shape, g.dtype(), g.device()), part = r;
  for (size_t d = 0; d < shape.size(); ++d) part = narrow(part, int64_t(d), 0, g.shape()[d]);
  copy_(part, g);
  return r;
}

Tensor scatter_add_of(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src, bool inplace) {
  dim = check_scatter(x, dim, at, src);
  return write_into(
      x, inplace, "ScatterAddBackward0", {src}, {Keep{at}},
      [&](const Tensor &y) { scatter_data(y, dim, at, src, Add{}); },
      [dim, shape = src.shape()](const Backward &b) -> TensorList {
        TensorList r{b.grad(), {}};
        if (b.wants(1)) r[1] = pad_to(gather(b.grad(), dim, b.saved(0)), shape);
        return r;
      });
}
} // namespace

Tensor scatter_add(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src) {
  return scatter_add_of(x, dim, at, src, false);
}

// ---- masks

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

// ---- x[indices] by their torch names

Tensor index_put_method(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate) {
  index_put_(x, indices, values, accumulate);
  return x;
}

// ---- scatter

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
  std::vector<Keep> keep{{at}};
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
  Tensor i = at;
  if (x.dim()) {
    Dims shape(source.shape().size(), 1);
    shape[dim] = at.numel();
    i = expand(reshape(at, shape), source.shape());
  }
  return scatter_reduce_of(x, dim, i, source, combine_from(reduce), include_self, inplace);
}

// ---- the flat view: take and put_

// x's elements in order as one dimension: a view where it is contiguous, a copy where not.
Tensor flattened(const Tensor &x) {
  NoGrad no;
  Tensor c = contiguous(x);
  return alias(c, {c.numel()}, {1}, c->offset);
}
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
  if (all.clash >= 0)
    throw Error(Raises::runtime,
                text("The size of tensor a (%ld) must match the size of tensor b (%ld) at non-singleton dimension %d",
                     long(a[all.clash]), long(b[all.clash]), all.clash),
                "broadcast")
        .in("take_along_dim")
        .arg("input", x)
        .arg("indices", at);
  Dims xs = all.shape, is = all.shape;
  xs[d] = x.shape()[d];
  is[d] = at.shape()[d];
  return gather(expand(x, xs), d, expand(at, is));
}

// ---- masks

Tensor masked_fill_op(const Tensor &x, const Tensor &mask, const Operand &value) {
  return masked_fill_of(x, mask, value, false);
}
Tensor masked_fill_inplace(const Tensor &x, const Tensor &mask, const Operand &value) {
  return masked_fill_of(x, mask, value, true);
}

Dims broadcast_with(const Tensor &a, const Tensor &b, const char *name) {
  Broadcast all = broadcast(a.shape(), b.shape());
  if (all.clash >= 0) {
    int64_t back = std::max(a.dim(), b.dim()) - all.clash;
    throw Error(Raises::runtime,
                text("The size of tensor a (%ld) must match the size of tensor b (%ld) at non-singleton dimension %d",
                     long(a.shape()[a.dim() - back]), long(b.shape()[b.dim() - back]), all.clash),
                "broadcast")
        .in(name)
        .at(all.clash)
        .arg("a", a)
        .arg("b", b);
  }
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
  HD_CHECK(!inplace || shape == given.shape(), runtime, "output with shape %s doesn't match the broadcast shape %s",
           brackets(given.shape()).c_str(), brackets(shape).c_str());
  Tensor x = shape == given.shape() ? given : expand(given, shape);
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

const OpTable &sort_ops();
const OpTable &arrange_ops();

const OpTable &index_ops() {
  using namespace ops;
  static const OpTable t = [] {
    OpTable all = {
        def<index_put>("index_put", "input, indices, values, accumulate=False"),
        def<index_put_method>("index_put_", "input, indices, values, accumulate=False", both),
        def<index_select>("index_select", "input, dim, index, *, out=None"),
        def<index_add>("index_add", "input, dim, index, source, *, alpha=1, out=None"),
        def<index_add_>("index_add_", "input, dim, index, source, *, alpha=1", method),
        def<index_copy>("index_copy", "input, dim, index, source, *, out=None"),
        def<index_copy_>("index_copy_", "input, dim, index, source", method),
        def<index_fill>("index_fill", "input, dim, index, value"),
        def<index_fill_>("index_fill_", "input, dim, index, value", method),
        def<index_reduce<false>>("index_reduce", "input, dim, index, source, reduce, *, include_self=True, out=None"),
        def<index_reduce<true>>("index_reduce_", "input, dim, index, source, reduce, *, include_self=True", method),
        def<embedding>("embedding", "weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False",
                       function),
        def<gather_op>("gather", "input, dim, index, *, sparse_grad=False, out=None"),
        def<scatter_src<false>>("scatter", "input, dim, index, src, *, reduce=None, out=None"),
        def<scatter_number<false>>("scatter", "input, dim, index, value, *, reduce=None, out=None"),
        def<scatter_src<true>>("scatter_", "input, dim, index, src, *, reduce=None", method),
        def<scatter_number<true>>("scatter_", "input, dim, index, value, *, reduce=None", method),
        def<scatter_add>("scatter_add", "input, dim, index, src, *, out=None"),
        def<scatter_add_>("scatter_add_", "input, dim, index, src", method),
        def<scatter_reduce<false>>("scatter_reduce", "input, dim, index, src, reduce, *, include_self=True, out=None"),
        def<scatter_reduce<true>>("scatter_reduce_", "input, dim, index, src, reduce, *, include_self=True", method),
        def<take>("take", "input, index, *, out=None"),
        def<put<false>>("put", "input, index, source, accumulate=False"),
        def<put<true>>("put_", "input, index, source, accumulate=False", method),
        def<take_along_dim>("take_along_dim", "input, indices, dim=None, *, out=None"),
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
    for (auto *more : {&sort_ops(), &arrange_ops()}) all.insert(all.end(), more->begin(), more->end());
    return all;
  }();
  return t;
}

} // namespace hadamard
