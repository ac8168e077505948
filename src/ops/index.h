// What the ops that read and write by index share: checks of places, writing with a gradient, windows onto a tensor.
#pragma once
#include <algorithm>
#include <optional>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/element.h"

namespace hadamard::ops {

inline constexpr int64_t grain = 16384; // elements a thread should get at least

inline int64_t share(int64_t total, int64_t n) { return std::max<int64_t>(1, grain / std::max<int64_t>(1, total / n)); }

inline bool is_index(DType t) { return t == DType::I64 || t == DType::I32; }
inline const char *scalar_name(const Tensor &t) { return info(t.dtype()).scalar; }

// The first entry of `at`, a tensor of indices, outside [low, size), if any.
std::optional<int64_t> outside(const Tensor &at, int64_t low, int64_t size);
void check_places(const Tensor &at, int64_t dim, int64_t size);
[[noreturn]] void throw_bounds(int64_t i, int64_t dim, int64_t size);

// ---- an op that writes into (a copy of) x

// `write(y)` changes y, which holds x's elements, in place; f gives the gradients of x and then of `others`. What is
// kept as result() is y itself. Used for the op and for its in-place twin.
template <class W, class F>
Tensor write_into(const Tensor &x, bool inplace, const char *name, const Tensors &others, const std::vector<Kept> &keep,
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
    std::vector<Kept> kept = keep;
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
inline Tensor apart(const Tensor &t, const Tensor &from) {
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
void coalesce(Dims &shape, Dims &a, Dims &b);

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

// ---- x[tensors] without history (index.cpp)

struct Plan {
  Dims shape;                // of x[indices]
  int64_t at = 0, count = 1; // the indices' own dimensions stand at `at` of the result; how many places
  Dims index_shape;
  SmallVec<int, 8> before, after; // dimensions of x that stay
  SmallVec<int, 8> indexed;
  Tensor places; // offsets in elements
};
// Of x[indices] with one entry for each dimension of x: integers, or undefined for all of it.
Plan make_plan(const Tensor &x, const Tensors &indices);
// The window of x and of `other`, which has the plan's shape and these strides. `table` keeps its offsets alive.
Window window_of(const Tensor &x, const Plan &p, const Dims &other, Tensor &table);
// x's elements in order as one dimension: a view where it is contiguous, a copy where not.
Tensor flattened(const Tensor &x);

// ---- what one file of these ops needs of another

Tensor index_add(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &source, const Scalar &alpha);
// g in a corner of zeros of this shape.
Tensor pad_to(const Tensor &g, const Dims &shape);

} // namespace hadamard::ops
