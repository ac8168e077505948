// Scans, and ops that rearrange or mask by position: cumsum, tril, diag, roll, repeat_interleave and the like.
#include <algorithm>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/element.h"

namespace hadamard {
namespace ops {
namespace {

constexpr int64_t grain = 16384; // elements a thread should get at least
int64_t share(int64_t total, int64_t n) { return std::max<int64_t>(1, grain / std::max<int64_t>(1, total / n)); }
const char *scalar_name(const Tensor &t) { return info(t.dtype()).scalar; }

// ---- scans

// One dimension's lines, for every index of the others.
struct Lines {
  Dims shape;
  int64_t count, length;
  Lines(const Tensor &x, int64_t dim) : shape(x.shape()), length(x.shape()[dim]) {
    shape.erase(size_t(dim));
    count = numel(shape);
  }
  static Dims strides(const Tensor &x, int64_t dim) {
    Dims s = x.strides();
    s.erase(size_t(dim));
    return s;
  }
};

// A sum or product along the first of (n, columns), a tile of columns at a time: a row of memory is read once, not once
// per column. The numbers are those of the level's scan of a line.
template <class T, bool product>
void scan_columns(const T *x, int64_t x_step, T *y, int64_t y_step, int64_t n, int64_t columns) {
  using W = std::conditional_t<std::is_floating_point_v<Wide<T>>, double, T>;
  constexpr int64_t tile = 64;
  for (int64_t from = 0; from < columns; from += tile) {
    int64_t m = std::min(tile, columns - from);
    W total[tile];
    std::fill(total, total + m, W(product));
    for (int64_t i = 0; i < n; ++i) {
      const T *p = x + i * x_step + from;
      T *q = y + i * y_step + from;
      for (int64_t j = 0; j < m; ++j) {
        total[j] = product ? times<W>(total[j], W(wide(p[j]))) : plus<W>(total[j], W(wide(p[j])));
        q[j] = hadamard::narrow<T>(total[j]);
      }
    }
  }
}

// Runs a scan along dim without history; `at` gets the positions of cummax and cummin.
Tensor scan(Scan s, const char *name, const Tensor &x, int64_t dim, const Tensor &at = {}) {
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  if (!x.dim()) {
    copy_data(y, x);
    if (at && !at.is_meta()) fill_data(at, Scalar(0));
    return y;
  }
  ScanLine line = level().scan[int(s)][int(x.dtype())];
  HD_CHECK(line, not_implemented, "\"%s\" not implemented for '%s'", name, scalar_name(x));
  if (y.is_meta() || !y.numel()) return y;
  Tensor from = at_least_1d(x), to = at_least_1d(y);
  Lines lines(from, dim);
  Dims xs = Lines::strides(from, dim), ys = Lines::strides(to, dim);
  int64_t size = x.itemsize(), step = to.strides()[dim];
  LongWork unlocked(y.numel());
  int64_t last = from.dim() - 1;
  if (s <= Scan::cumprod && dim < last && !x.is_complex() && from.strides()[last] == 1 && from.shape()[last] > 4) {
    int64_t n = lines.length, columns = from.shape()[last], outer = lines.count / columns;
    lines.shape.pop_back();
    xs.pop_back();
    ys.pop_back();
    visit(x.dtype(), [&]<class T>(Type<T>) {
      if constexpr (is_real_element<T> && !std::is_same_v<T, bool>)
        parallel_for(outer, share(y.numel(), outer), [&](long begin, long end) {
          Walk<2> w(lines.shape, {&xs, &ys}, begin);
          for (long l = begin; l < end; ++l, w.next())
            (s == Scan::cumsum ? scan_columns<T, false>
                               : scan_columns<T, true>)(from.data<T>() + w.offset[0], from.strides()[dim],
                                                        to.data<T>() + w.offset[1], step, n, columns);
        });
    });
    return y;
  }
  parallel_for(lines.count, share(y.numel(), lines.count), [&](long begin, long end) {
    Walk<2> w(lines.shape, {&xs, &ys}, begin);
    for (long l = begin; l < end; ++l, w.next())
      line(to.raw() + w.offset[1] * size, step * size, at ? at.data<int64_t>() + w.offset[1] : nullptr, step * 8,
           from.raw() + w.offset[0] * size, from.strides()[dim] * size, lines.length);
  });
  return y;
}
DType sum_dtype(const Tensor &x, std::optional<DType> dtype) {
  return dtype ? *dtype : dtype_in(x.dtype(), integers | boolean) ? DType::I64 : x.dtype();
}

// y[0] = b[0], y[i] = b[i] + a[i] y[i-1] along dim; backwards where `reverse`: y[i] = b[i] + a[i] y[i+1].
// The derivatives of cumprod and logcumsumexp are such recurrences, without a division that zeros would spoil.
Tensor recurrence(const Tensor &a, const Tensor &b, int64_t dim, bool reverse) {
  Tensor y = empty(b.shape(), b.dtype(), b.device());
  if (!y.is_meta() && y.numel()) {
    NoGrad no;
    Tensor c = contiguous(a), d = contiguous(b);
    Lines lines(y, dim);
    Dims s = Lines::strides(y, dim);
    int64_t n = lines.length, step = y.strides()[dim];
    LongWork unlocked(y.numel());
    visit(y.dtype(), [&]<class T>(Type<T>) {
      parallel_for(lines.count, share(y.numel(), lines.count), [&](long begin, long end) {
        Walk<1> w(lines.shape, {&s}, begin);
        for (long l = begin; l < end; ++l, w.next()) {
          int64_t at = w.offset[0] + (reverse ? (n - 1) * step : 0), by = reverse ? -step : step;
          const T *p = c.data<T>() + at, *q = d.data<T>() + at;
          T *r = y.data<T>() + at;
          r[0] = q[0];
          for (int64_t i = 1; i < n; ++i) r[i * by] = plus(q[i * by], times(p[i * by], r[(i - 1) * by]));
        }
      });
    });
  }
  return record(y, "RecurrenceBackward0", {a, b}, {Keep{a}, result(y)}, [=](const Backward &g) -> TensorList {
    Tensor a = g.saved(0), y = g.saved(1);
    int64_t n = y.shape()[dim];
    auto shift = [&](const Tensor &t, bool up) { // t one place on, zeros moving in
      Tensor part = up ? narrow(t, dim, 0, n - 1) : narrow(t, dim, 1, n - 1);
      Tensor none = narrow(t, dim, 0, 1) * 0;
      return up ? cat({none, part}, dim) : cat({part, none}, dim);
    };
    Tensor u = recurrence(conj(shift(a, reverse)), g.grad(), dim, !reverse);
    return {u * conj(shift(y, !reverse)), u};
  });
}

Tensor cumsum(const Tensor &x, int64_t dim, std::optional<DType> dtype) {
  dim = wrap_dim(dim, x.dim());
  Tensor y;
  {
    NoGrad no;
    y = scan(Scan::cumsum, "cumsum_out_cpu", to(x, sum_dtype(x, dtype)), dim);
  }
  DType source = x.dtype();
  return record(y, "CumsumBackward0", {x}, {}, [dim, source](const Backward &b) -> TensorList {
    if (b.grad().dim() == 0) return {reduce_grad(b.grad(), {}, source)};
    Tensor g = flip(cumsum(flip(b.grad(), {dim}), dim, std::nullopt), {dim});
    return {reduce_grad(g, g.shape(), source)};
  });
}

Tensor cumprod(const Tensor &given, int64_t dim, std::optional<DType> dtype) {
  dim = wrap_dim(dim, given.dim());
  Tensor x = to(given, sum_dtype(given, dtype)), y;
  {
    NoGrad no;
    y = scan(Scan::cumprod, "cumprod_out_cpu", x, dim);
  }
  return record(y, "CumprodBackward0", {x}, {Keep{x}, result(y)}, [dim](const Backward &b) -> TensorList {
    Tensor x = b.saved(0), y = b.saved(1), g = b.grad();
    if (!x.dim() || x.shape()[dim] < 2) return {g};
    // What stood before times what follows: no product is divided out again.
    int64_t n = x.shape()[dim];
    Tensor one = full(narrow(x, dim, 0, 1).shape(), Scalar(1), x.dtype(), x.device());
    Tensor before = cat({one, narrow(y, dim, 0, n - 1)}, dim), next = cat({narrow(x, dim, 1, n - 1), one}, dim);
    return {conj(before) * recurrence(conj(next), g, dim, true)};
  });
}

// In place the factors must be kept as they were.
Tensor cumprod_(const Tensor &x, int64_t dim, std::optional<DType> dtype) {
  assign(x, cumprod(needs_grad(x) ? clone(x) : x, dim, dtype));
  return x;
}

Tensor logcumsumexp(const Tensor &x, int64_t dim) {
  dim = wrap_dim(dim, x.dim());
  Tensor y;
  {
    NoGrad no;
    y = scan(Scan::logcumsumexp, "logcumsumexp_out_cpu", x, dim);
  }
  return record(y, "LogcumsumexpBackward0", {x}, {Keep{x}, result(y)}, [dim](const Backward &b) -> TensorList {
    Tensor x = b.saved(0), y = b.saved(1), g = b.grad(), none = number(Scalar(0));
    if (!x.dim() || x.shape()[dim] < 2) return {g};
    int64_t n = x.shape()[dim];
    auto ratio = [&](const Tensor &t) { return masked_fill(exp(t), isnan(t), none); }; // -inf against -inf
    Tensor next = narrow(y, dim, 1, n - 1), falls = ratio(narrow(y, dim, 0, n - 1) - next);
    Tensor last = full(narrow(x, dim, 0, 1).shape(), Scalar(0), x.dtype(), x.device());
    return {ratio(x - y) * recurrence(cat({falls, last}, dim), g, dim, true)};
  });
}

template <Scan s>
std::tuple<Tensor, Tensor> extreme_so_far(const Tensor &x, int64_t dim, const char *name, const char *node) {
  dim = wrap_dim(dim, x.dim());
  Tensor at = empty(x.shape(), DType::I64, x.device()), y;
  {
    NoGrad no;
    y = scan(s, name, x, dim, at);
  }
  Dims shape = x.shape();
  record(y, node, {x}, {Keep{at}}, [=](const Backward &b) -> TensorList {
    return {scatter_add(zeros(shape, b.grad().dtype(), b.grad().device()), dim, b.saved(0), b.grad())};
  });
  return {y, at};
}
std::tuple<Tensor, Tensor> cummax(const Tensor &x, int64_t dim) {
  return extreme_so_far<Scan::cummax>(x, dim, "cummax_cpu", "CummaxBackward0");
}
std::tuple<Tensor, Tensor> cummin(const Tensor &x, int64_t dim) {
  return extreme_so_far<Scan::cummin>(x, dim, "cummin_cpu", "CumminBackward0");
}

// ---- triangles

// Rows of the last two dimensions: columns [0, cut) are taken, or those from cut on.
template <bool lower> Tensor triangle(const Tensor &x, int64_t k) {
  HD_CHECK(x.dim() >= 2, runtime, "%s: input tensor must have at least 2 dimensions", lower ? "tril" : "triu");
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  if (!y.is_meta() && y.numel()) {
    int64_t rows = x.size(-2), columns = x.size(-1), lines = y.numel() / columns, step = x.stride(-1);
    Dims shape(x.shape().begin(), x.shape().end() - 1), xs(x.strides().begin(), x.strides().end() - 1);
    k = std::clamp(k, -rows - 1, columns + 1);
    LongWork unlocked(y.numel());
    by_size(x.itemsize(), [&]<class T>(Type<T>) {
      parallel_for(lines, share(y.numel(), lines), [&](long begin, long end) {
        Walk<1> w(shape, {&xs}, begin);
        for (long l = begin; l < end; ++l, w.next()) {
          const T *from = x.data<T>() + w.offset[0];
          T *to = y.data<T>() + l * columns;
          int64_t cut = std::clamp<int64_t>(l % rows + k + (lower ? 1 : 0), 0, columns);
          int64_t first = lower ? 0 : cut, last = lower ? cut : columns;
          for (int64_t j = 0; j < first; ++j) to[j] = T();
          for (int64_t j = first; j < last; ++j) to[j] = from[j * step];
          for (int64_t j = last; j < columns; ++j) to[j] = T();
        }
      });
    });
  }
  return record(y, lower ? "TrilBackward0" : "TriuBackward0", {x}, {},
                [k](const Backward &b) -> TensorList { return {triangle<lower>(b.grad(), k)}; });
}

template <bool lower>
Tensor triangle_indices(int64_t rows, int64_t columns, int64_t k, std::optional<DType> dtype,
                        std::optional<Device> device, Ignored) {
  HD_CHECK(rows >= 0, runtime, "row must be non-negative, got%ld", long(rows));
  HD_CHECK(columns >= 0, runtime, "col must be non-negative, got%ld", long(columns));
  DType t = dtype ? *dtype : DType::I64;
  HD_CHECK(t == DType::I64 || t == DType::I32, not_implemented, "\"%s\" not implemented for '%s'",
           lower ? "tril_indices" : "triu_indices", info(t).scalar);
  numel({rows, columns});
  k = std::clamp(k, -rows - 1, columns + 1);
  auto cut = [&](int64_t i) { return std::clamp<int64_t>(i + k + (lower ? 1 : 0), 0, columns); };
  int64_t n = 0;
  for (int64_t i = 0; i < rows; ++i) n += lower ? cut(i) : columns - cut(i);
  Tensor y = empty({2, n}, DType::I64);
  int64_t *p = y.data<int64_t>(), *q = p + n;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = lower ? 0 : cut(i), end = lower ? cut(i) : columns; j < end; ++j) {
      *p++ = i;
      *q++ = j;
    }
  y = to(y, t);
  return device ? to(y, *device) : y;
}

// ---- diagonals

Tensor diag_embed(const Tensor &x, int64_t offset, int64_t dim1, int64_t dim2) {
  HD_CHECK(x.dim() >= 1, index, "Dimension specified as -1 but tensor has no dimensions");
  int64_t nd = x.dim() + 1, d1 = wrap_dim(dim1, nd), d2 = wrap_dim(dim2, nd);
  HD_CHECK(d1 != d2, runtime, "diagonal dimensions cannot be identical %ld, %ld", long(dim1), long(dim2));
  int64_t side;
  HD_CHECK(!__builtin_add_overflow(x.size(-1), offset < 0 ? 0 - uint64_t(offset) : uint64_t(offset), &side), runtime,
           "diag_embed(): offset %ld is too large", long(offset));
  Dims shape(x.shape().begin(), x.shape().end() - 1);
  for (int64_t d : {std::min(d1, d2), std::max(d1, d2)}) shape.insert(size_t(d), side);
  Tensor y = zeros(shape, x.dtype(), x.device());
  {
    NoGrad no;
    copy_data(diagonal(y, offset, d1, d2), x);
  }
  return record(y, "DiagEmbedBackward0", {x}, {},
                [=](const Backward &b) -> TensorList { return {diagonal(b.grad(), offset, d1, d2)}; });
}
Tensor diag(const Tensor &x, int64_t offset) {
  HD_CHECK(x.dim() == 1 || x.dim() == 2, runtime, "diag(): Supports 1D or 2D tensors. Got %ldD", long(x.dim()));
  return x.dim() == 1 ? diag_embed(x, offset, 0, 1) : contiguous(clone(diagonal(x, offset, 0, 1)));
}
Tensor diagflat(const Tensor &x, int64_t offset) { return diag_embed(reshape(x, {-1}), offset, 0, 1); }

// ---- a copy of x in which a view is replaced by src

template <class V> Tensor replaced(const Tensor &x, const Tensor &src, const char *name, V view_of) {
  check_together(name, x, {src});
  Tensor y;
  {
    NoGrad no;
    y = clone(x);
    Tensor slice = view_of(y);
    HD_CHECK(slice.shape() == src.shape(), runtime,
             "expected src to have a size equal to the slice of self. src size = %s, slice size = %s",
             brackets(src.shape()).c_str(), brackets(slice.shape()).c_str());
    copy_data(slice, src);
  }
  Dims shape = src.shape();
  DType t = src.dtype();
  return record(y, name, {x, src}, {}, [=](const Backward &b) -> TensorList {
    TensorList r(2);
    const Tensor &g = b.grad();
    if (b.wants(0)) r[0] = replaced(g, zeros(shape, g.dtype(), g.device()), name, view_of);
    if (b.wants(1)) r[1] = reduce_grad(view_of(g), shape, t);
    return r;
  });
}
Tensor diagonal_scatter(const Tensor &x, const Tensor &src, int64_t offset, int64_t dim1, int64_t dim2) {
  return replaced(x, src, "DiagonalScatterBackward0", [=](const Tensor &t) { return diagonal(t, offset, dim1, dim2); });
}
Tensor select_scatter(const Tensor &x, const Tensor &src, int64_t dim, int64_t index) {
  return replaced(x, src, "SelectScatterBackward0", [=](const Tensor &t) { return select(t, dim, index); });
}
Tensor slice_scatter(const Tensor &x, const Tensor &src, int64_t dim, std::optional<int64_t> start,
                     std::optional<int64_t> end, int64_t step) {
  return replaced(x, src, "SliceScatterBackward0", [=](const Tensor &t) { return slice(t, dim, start, end, step); });
}

// ---- roll, rot90, fliplr, flipud

Tensor roll(const Tensor &x, const Dims &shifts, const Dims &dims) {
  HD_CHECK(!shifts.empty(), runtime, "`shifts` required");
  if (dims.empty() && shifts.size() == 1) {
    Tensor flat = x.dim() == 1 ? x : reshape(x, {-1});
    Tensor y = roll(flat, shifts, {0});
    return x.dim() == 1 ? y : named(reshape(y, x.shape()), "RollBackward0");
  }
  HD_CHECK(shifts.size() == dims.size(), runtime, "shifts and dimensions must align. shifts: %zu, dims:%zu",
           shifts.size(), dims.size());
  Tensor y = x;
  {
    NoGrad no;
    for (size_t i = 0; i < dims.size(); ++i) {
      HD_CHECK(x.dim(), index, "Dimension specified as %ld but tensor has no dimensions", long(dims[i]));
      int64_t d = wrap_dim(dims[i], x.dim()), n = x.shape()[d];
      if (!n) continue;
      int64_t back = shifts[i] % n; // the last `back` come first
      back += back < 0 ? n : 0;
      if (back) y = cat({narrow(y, d, n - back, back), narrow(y, d, 0, n - back)}, d);
    }
    if (y.is(x)) {
      y = empty(x.shape(), x.dtype(), x.device());
      copy_data(y, x);
    }
  }
  return record(y, "RollBackward0", {x}, {}, [=](const Backward &b) -> TensorList {
    Dims back;
    for (int64_t s : shifts) back.push_back(s == INT64_MIN ? s : -s);
    return {roll(b.grad(), back, dims)};
  });
}

Tensor rot90(const Tensor &x, int64_t k, const Dims &given) {
  Dims dims = given.empty() ? Dims{0, 1} : given;
  HD_CHECK(dims.size() == 2, runtime, "expected total rotation dims == 2, but got dims = %zu", dims.size());
  HD_CHECK(x.dim() >= 2, runtime, "expected total dims >= 2, but got total dims = %ld", long(x.dim()));
  int64_t a = wrap_dim(dims[0], x.dim()), b = wrap_dim(dims[1], x.dim());
  HD_CHECK(a != b, runtime, "expected rotation dims to be different, but got dim0 = %ld and dim1 = %ld", long(dims[0]),
           long(dims[1]));
  k = (k % 4 + 4) % 4;
  Tensor y;
  {
    NoGrad no;
    y = k == 0   ? clone(x)
        : k == 1 ? transpose(flip(x, {b}), a, b)
        : k == 2 ? flip(x, {a, b})
                 : transpose(flip(x, {a}), a, b);
  }
  if (k == 0) return record(y, "CloneBackward0", {x}, {}, [](const Backward &g) -> TensorList { return {g.grad()}; });
  return record(y, "Rot90Backward0", {x}, {},
                [k, a, b](const Backward &g) -> TensorList { return {rot90(g.grad(), 4 - k, {a, b})}; });
}
Tensor fliplr(const Tensor &x) {
  HD_CHECK(x.dim() >= 2, runtime, "Input must be >= 2-d.");
  return flip(x, {1});
}
Tensor flipud(const Tensor &x) {
  HD_CHECK(x.dim() >= 1, runtime, "Input must be >= 1-d.");
  return flip(x, {0});
}

// ---- repetition

// [1, 2, 0] → [0, 1, 1]
Tensor repeat_indices(const Tensor &repeats, std::optional<int64_t> size) {
  check_numbers("repeat_interleave", {repeats});
  HD_CHECK(repeats.dim() == 1, runtime, "repeat_interleave only accept 1D vector as repeat");
  HD_CHECK(repeats.dtype() == DType::I64 || repeats.dtype() == DType::I32, not_implemented,
           "\"repeat_interleave_cpu\" not implemented for '%s'", scalar_name(repeats));
  NoGrad no;
  Tensor r = contiguous(to(repeats, DType::I64));
  const int64_t *p = r.data<int64_t>();
  int64_t total = 0;
  for (int64_t i = 0; i < r.numel(); ++i) {
    HD_CHECK(p[i] >= 0, runtime, "repeats can not be negative");
    HD_CHECK(!__builtin_add_overflow(total, p[i], &total), runtime, "numel: integer multiplication overflow");
  }
  HD_CHECK(!size || *size == total, runtime, "allocated size does not match required size");
  Tensor y = empty({total}, DType::I64);
  int64_t *to_ = y.data<int64_t>();
  for (int64_t i = 0; i < r.numel(); ++i) to_ = std::fill_n(to_, p[i], i);
  return to(y, repeats.dtype());
}
Tensor repeat_interleave(const Tensor &x, const Tensor &repeats, std::optional<int64_t> dim,
                         std::optional<int64_t> size) {
  Tensor from = dim ? x : reshape(x, {-1});
  int64_t d = wrap_dim(dim ? *dim : 0, from.dim()), n = from.dim() ? from.shape()[d] : 1;
  HD_CHECK(repeats.dim() <= 1, runtime, "repeats must be 0-dim or 1-dim tensor");
  bool one = repeats.dim() == 0 || repeats.shape()[0] == 1;
  HD_CHECK(
      one || repeats.shape()[0] == n, runtime,
      "repeats must have the same size as input along dim, but got repeats.size(0) = %ld and input.size(%ld) = %ld",
      long(repeats.shape()[0]), long(d), long(n));
  return index_select(from, d, repeat_indices(one ? expand(reshape(repeats, {1}), {n}) : repeats, size));
}
Tensor repeat_interleave_int(const Tensor &x, int64_t repeats, std::optional<int64_t> dim,
                             std::optional<int64_t> size) {
  HD_CHECK(repeats >= 0, runtime, "Repeats must be non-negative");
  Tensor from = dim ? x : reshape(x, {-1});
  if (!from.dim()) from = reshape(from, {1});
  int64_t d = wrap_dim(dim ? *dim : 0, from.dim()), total;
  HD_CHECK(!__builtin_mul_overflow(from.shape()[d], repeats, &total), runtime,
           "numel: integer multiplication overflow");
  HD_CHECK(!size || *size == total, runtime, "repeat_interleave: Invalid output_size, expected %ld but got %ld",
           long(total), long(*size));
  Dims wide = from.shape(), shape = from.shape();
  wide.insert(size_t(d) + 1, repeats);
  shape[d] = total;
  return reshape(contiguous(expand(unsqueeze(from, d + 1), wide)), shape);
}

Tensor one_hot(const Tensor &x, int64_t classes) {
  check_numbers("one_hot", {x});
  HD_CHECK(x.dtype() == DType::I64, runtime, "one_hot is only applicable to index tensor of type LongTensor.");
  HD_CHECK(x.numel() || classes > 0, runtime, "Can not infer total number of classes from empty tensor.");
  NoGrad no;
  Tensor i = contiguous(x);
  const int64_t *p = i.data<int64_t>();
  int64_t low = 0, high = -1;
  for (int64_t k = 0; k < i.numel(); ++k) {
    low = std::min(low, p[k]);
    high = std::max(high, p[k]);
  }
  HD_CHECK(low >= 0, runtime, "Class values must be non-negative.");
  HD_CHECK(classes == -1 || high < classes, runtime, "Class values must be smaller than num_classes.");
  HD_CHECK(classes != -1 || high < INT64_MAX, runtime, "numel: integer multiplication overflow");
  if (classes == -1) classes = high + 1;
  Dims shape = x.shape();
  shape.push_back(classes);
  Tensor y = zeros(shape, DType::I64);
  for (int64_t k = 0; k < i.numel(); ++k) y.data<int64_t>()[k * classes + p[k]] = 1;
  return y;
}

// ---- differences and combinations

Tensor diff(const Tensor &x, int64_t n, int64_t dim, const Tensor &prepend, const Tensor &append) {
  HD_CHECK(x.dim() >= 1, runtime, "diff expects input to be at least one-dimensional");
  HD_CHECK(n >= 0, runtime, "order must be non-negative but got %ld", long(n));
  int64_t d = wrap_dim(dim, x.dim());
  for (auto *t : {&prepend, &append})
    if (*t) {
      HD_CHECK((*t).dim() == x.dim(), runtime, "diff expects prepend or append to be the same dimension as input");
      for (int64_t i = 0; i < x.dim(); ++i)
        HD_CHECK(i == d || (*t).shape()[i] == x.shape()[i], runtime,
                 "diff expects the shape of tensor to prepend or append to match that of input except along the "
                 "differencing dimension; input.size(%ld) = %ld, but got tensor.size(%ld) = %ld",
                 long(i), long(x.shape()[i]), long(i), long((*t).shape()[i]));
    }
  if (n == 0) return clone(x);
  Tensors parts;
  if (prepend) parts.push_back(prepend);
  parts.push_back(x);
  if (append) parts.push_back(append);
  Tensor y = parts.size() > 1 ? cat(parts, d) : x;
  for (n = std::min(n, y.shape()[d]); n > 0; --n) {
    int64_t size = y.shape()[d];
    Tensor after = narrow(y, d, std::min<int64_t>(1, size), std::max<int64_t>(0, size - 1));
    Tensor before = narrow(y, d, 0, std::max<int64_t>(0, size - 1));
    y = y.dtype() == DType::Bool ? logical_xor(after, before) : after - before;
  }
  return y;
}

Tensor trapezoid_dx(const Tensor &y, const Scalar &dx, int64_t dim) {
  HD_CHECK(y.dtype() != DType::Bool, runtime, "trapezoid: received a bool input for `y`, but bool is not supported");
  int64_t d = wrap_dim(dim, y.dim());
  if (!y.dim() || y.shape()[d] < 2) {
    Dims shape = y.shape();
    if (y.dim()) shape.erase(size_t(d));
    return zeros(shape, y.dtype(), y.device());
  }
  int64_t n = y.shape()[d];
  Tensor ends = select(y, d, 0) + select(y, d, n - 1);
  return (sum(y, Dims{d}, false, std::nullopt) * 2 - ends) * number(dx) / 2;
}
Tensor trapezoid_x(const Tensor &y, const Tensor &x, int64_t dim) {
  HD_CHECK(y.dtype() != DType::Bool && x.dtype() != DType::Bool, runtime,
           "trapezoid: received a bool input for `x` or `y`, but bool is not supported");
  int64_t d = wrap_dim(dim, y.dim()), n = y.dim() ? y.shape()[d] : 1;
  if (n < 2) return trapezoid_dx(y, Scalar(1), dim);
  Tensor steps = x;
  if (x.dim() == 1) {
    HD_CHECK(x.shape()[0] == n, runtime, "trapezoid: There must be one `x` value for each sample point");
    Dims shape(y.shape().size(), 1);
    shape[d] = n;
    steps = reshape(x, shape);
  } else {
    Dims shape = x.shape();
    while (shape.size() < y.shape().size()) shape.insert(0, 1);
    steps = reshape(x, shape);
  }
  Tensor dx = diff(steps, 1, d, {}, {});
  return sum(dx * (narrow(y, d, 1, n - 1) + narrow(y, d, 0, n - 1)), Dims{d}, false, std::nullopt) / 2;
}

Tensor combinations(const Tensor &x, int64_t r, bool with_replacement) {
  HD_CHECK(x.dim() == 1, runtime, "Expect a 1D vector, but got shape %s", brackets(x.shape()).c_str());
  HD_CHECK(r >= 0, runtime, "Expect a non-negative number, but got %ld", long(r));
  if (r == 0) return empty({0}, x.dtype(), x.device());
  int64_t n = x.shape()[0];
  std::vector<int64_t> rows, at;
  bool any = with_replacement ? n > 0 : r <= n;
  if (any) {
    for (int64_t i = 0; i < r; ++i) at.push_back(with_replacement ? 0 : i);
    for (;;) {
      rows.insert(rows.end(), at.begin(), at.end());
      int64_t i = r - 1;
      while (i >= 0 && at[i] == (with_replacement ? n - 1 : n - r + i)) --i;
      if (i < 0) break;
      int64_t next = at[i] + 1;
      for (int64_t k = i; k < r; ++k) at[k] = with_replacement ? next : next + k - i;
    }
  }
  Tensor i = empty({int64_t(rows.size()) / r, r}, DType::I64);
  std::copy(rows.begin(), rows.end(), i.data<int64_t>());
  return index(x, {i});
}
Tensor cartesian_prod(const Tensors &xs) {
  HD_CHECK(!xs.empty(), runtime, "meshgrid expects a non-empty TensorList");
  Dims shape;
  for (auto &x : xs) {
    HD_CHECK(x.dim() == 1, runtime, "Expect a 1D vector, but got shape %s", brackets(x.shape()).c_str());
    shape.push_back(x.shape()[0]);
  }
  if (xs.size() == 1) return xs[0];
  Tensors columns;
  for (size_t k = 0; k < xs.size(); ++k) {
    Dims own(shape.size(), 1);
    own[k] = shape[k];
    columns.push_back(reshape(expand(reshape(xs[k], own), shape), {numel(shape)}));
  }
  return stack(columns, 1);
}

// What in-place forms written in Python end with: value is put into self, and its history becomes self's.
Tensor assign_value(const Tensor &self, const Tensor &value) {
  assign(self, value);
  return self;
}
// ---- padding

enum class Edge : int64_t { constant, reflect, replicate, circular };

// A tensor that grows or shrinks at the ends of its last dimensions, seen as rows of units: what is padded last is a
// row, what lies behind it and stays as it is a unit.
struct Padding {
  Dims shape;
  int64_t outer = 1, unit = 1, rows = 1, input_rows = 1; // rows: for each outer index
  std::vector<std::vector<int64_t>> at; // for each place along a padded dimension, the one of the input
  std::vector<int64_t> length;          // of these dimensions in the input
  int64_t from = 0, to = 0;             // the part of a row whose units follow each other in the input
  int64_t columns() const { return int64_t(at.back().size()); }
  std::vector<int64_t> sources; // for each row, the input's
  int64_t source(int64_t row) const {
    int64_t found = 0, step = 1;
    for (size_t d = at.size() - 1; d-- > 0;) {
      int64_t n = int64_t(at[d].size());
      found += at[d][size_t(row % n)] * step;
      step *= length[d];
      row /= n;
    }
    return found;
  }
};

Padding padding(const Dims &shape, const Dims &amounts, Edge edge) {
  Padding p;
  p.shape = shape;
  const int64_t n = int64_t(shape.size()), many = int64_t(amounts.size() / 2);
  bool padded = false;
  for (int64_t i = 0; i < many; ++i) { // the last dimension comes first
    const int64_t d = n - 1 - i, length = shape[d], before = amounts[2 * i], after = amounts[2 * i + 1];
    padded |= before || after || i + 1 == many;
    if (!padded) {
      p.unit *= length;
      continue;
    }
    const int64_t skip = std::max<int64_t>(0, -before), kept = length - skip - std::max<int64_t>(0, -after);
    std::vector<int64_t> at(size_t(std::max<int64_t>(0, length + before + after)));
    HD_CHECK(kept > 0 || at.empty(), index, "index out of range in self");
    for (int64_t k = 0; k < int64_t(at.size()); ++k) {
      int64_t from = k - before;
      if (edge == Edge::replicate) from = std::clamp<int64_t>(from, 0, length - 1);
      else if (edge == Edge::reflect) from = std::abs(from) < length ? std::abs(from) : 2 * (length - 1) - from;
      else from = skip + ((k - std::max<int64_t>(before, 0)) % kept + kept) % kept;
      at[size_t(k)] = from;
    }
    if (p.at.empty()) p.from = std::max<int64_t>(before, 0), p.to = p.from + std::max<int64_t>(kept, 0);
    p.shape[d] = int64_t(at.size());
    p.at.insert(p.at.begin(), std::move(at));
    p.length.insert(p.length.begin(), length);
  }
  for (int64_t d = 0; d < n - many; ++d) p.outer *= shape[d];
  for (size_t d = 0; d + 1 < p.at.size(); ++d) p.rows *= int64_t(p.at[d].size()), p.input_rows *= p.length[d];
  for (int64_t r = 0; r < p.rows; ++r) p.sources.push_back(p.source(r));
  return p;
}

// Calls f(row of the result, row of the input), both counted in units, for the rows of some outer indices.
template <class F> void for_padded_rows(const Padding &p, long begin, long end, const F &f) {
  const int64_t rows = p.rows, step = p.columns(), inner = p.input_rows * p.length.back();
  for (long o = begin; o < end; ++o)
    for (int64_t r = 0; r < rows; ++r) { f((o * rows + r) * step, o * inner + p.sources[size_t(r)] * p.length.back()); }
}

// Rows are often too short for a call.
void copy_row(char *to, const char *from, int64_t bytes) {
  if (bytes < 16 || bytes > 1024) std::memcpy(to, from, size_t(bytes));
  else {
    std::memcpy(to + bytes - 16, from + bytes - 16, 16);
    for (; bytes > 16; bytes -= 16, to += 16, from += 16) std::memcpy(to, from, 16);
  }
}

Tensor with_border(const Tensor &x, const Dims &amounts, const Scalar &value) {
  Dims shape = x.shape();
  for (size_t i = 0; i < amounts.size(); ++i) shape[shape.size() - 1 - i / 2] += amounts[i];
  Tensor y = full(shape, value, x.dtype(), x.device()), inside = y, kept = x;
  for (size_t i = 0; i < amounts.size(); i += 2) {
    const int64_t d = x.dim() - 1 - int64_t(i / 2), before = amounts[i], skip = std::max<int64_t>(0, -before);
    const int64_t length = x.shape()[d] - skip - std::max<int64_t>(0, -amounts[i + 1]);
    inside = narrow(inside, d, std::max<int64_t>(0, before), length);
    kept = narrow(kept, d, skip, length);
  }
  if (!y.is_meta()) copy_data(inside, kept);
  return y;
}
Tensor padded(const Tensor &input, const Dims &amounts, Edge edge) {
  Padding p = padding(input.shape(), amounts, edge);
  Tensor x = contiguous(input), y = empty(p.shape, x.dtype(), x.device());
  if (y.is_meta() || !y.numel()) return y;
  LongWork unlocked(y.numel());
  by_size(x.itemsize(), [&]<class T>(Type<T>) {
    const T *in = reinterpret_cast<const T *>(x.raw());
    T *out = reinterpret_cast<T *>(y.raw());
    const int64_t unit = p.unit, columns = p.columns();
    const std::vector<int64_t> &at = p.at.back();
    parallel_for(p.outer, share(y.numel(), p.outer), [&](long begin, long end) {
      for_padded_rows(p, begin, end, [&](int64_t row, int64_t from) {
        T *to = out + row * unit;
        const T *source = in + from * unit;
        auto edges = [&](int64_t k, int64_t stop) {
          for (; k < stop; ++k)
            if (unit == 1) to[k] = source[at[size_t(k)]];
            else std::copy_n(source + at[size_t(k)] * unit, unit, to + k * unit);
        };
        edges(0, std::min(p.from, columns));
        if (p.to > p.from)
          copy_row(reinterpret_cast<char *>(to + p.from * unit),
                   reinterpret_cast<const char *>(source + at[size_t(p.from)] * unit),
                   (p.to - p.from) * unit * int64_t(sizeof(T)));
        edges(p.to, columns);
      });
    });
  });
  return y;
}

// The sums of what padded() took from each place: its adjoint.
Tensor folded_back(const Tensor &grad, const Dims &shape, const Dims &amounts, Edge edge) {
  Tensor g = contiguous(grad), y = zeros(shape, g.dtype(), g.device());
  Padding p = padding(shape, amounts, edge);
  if (y.is_meta() || !y.numel()) return y;
  LongWork unlocked(g.numel());
  visit(g.dtype(), [&]<class T>(Type<T>) {
    const T *in = g.data<T>();
    T *out = y.data<T>();
    const int64_t unit = p.unit;
    const std::vector<int64_t> &at = p.at.back();
    parallel_for(p.outer, share(g.numel(), p.outer), [&](long begin, long end) {
      for_padded_rows(p, begin, end, [&](int64_t row, int64_t into) {
        const T *from = in + row * unit;
        T *to = out + into * unit;
        auto add = [unit](T *__restrict to, const T *__restrict from, int64_t units) {
          for (int64_t i = 0; i < units * unit; ++i) to[i] = plus<T>(to[i], from[i]);
        };
        for (int64_t k = 0; k < p.columns(); ++k)
          if (k == p.from && p.to > k) {
            add(to + at[size_t(k)] * unit, from + k * unit, p.to - k);
            k = p.to - 1;
          } else add(to + at[size_t(k)] * unit, from + k * unit, 1);
      });
    });
  });
  return y;
}

Tensor pad(const Tensor &x, const Dims &amounts, int64_t mode, const Scalar &value);
Tensor pad_backward(const Tensor &g, const Dims &shape, const Dims &amounts, int64_t mode) {
  if (Edge(mode) == Edge::constant) {
    Dims back;
    for (int64_t a : amounts) back.push_back(-a);
    return pad(g, back, mode, Scalar(0));
  }
  Tensor y;
  {
    NoGrad no;
    y = folded_back(g, shape, amounts, Edge(mode));
  }
  return record(y, "PadBackwardBackward0", {g}, {},
                [=](const Backward &b) -> TensorList { return {pad(b.grad(), amounts, mode, Scalar(0))}; });
}
// `amounts` are those of torch's pad, `mode` an Edge; whether they fit is for the caller to see.
Tensor pad(const Tensor &x, const Dims &amounts, int64_t mode, const Scalar &value) {
  static constexpr const char *nodes[][3] = {
      {"ReflectionPad1DBackward0", "ReflectionPad2DBackward0", "ReflectionPad3DBackward0"},
      {"ReplicationPad1DBackward0", "ReplicationPad2DBackward0", "ReplicationPad3DBackward0"},
      {"CopySlices", "CopySlices", "CopySlices"}};
  Tensor y;
  {
    NoGrad no;
    y = Edge(mode) == Edge::constant ? with_border(x, amounts, value) : padded(x, amounts, Edge(mode));
  }
  const char *node = mode ? nodes[mode - 1][amounts.size() / 2 - 1] : "ConstantPadNdBackward0";
  Dims shape = x.shape();
  return record(y, node, {x}, {},
                [=](const Backward &b) -> TensorList { return {pad_backward(b.grad(), shape, amounts, mode)}; });
}

} // namespace
} // namespace ops

const OpTable &arrange_ops() {
  using namespace ops;
  static const OpTable t = {
      def<cumsum>("cumsum", "input, dim, *, dtype=None, out=None", both | inplace),
      def<cumprod>("cumprod", "input, dim, *, dtype=None, out=None"),
      def<cumprod_>("cumprod_", "input, dim, *, dtype=None", method),
      def<logcumsumexp>("logcumsumexp", "input, dim, *, out=None"),
      def<assign_value>("_assign", "input, value", method),
      def<cummax>("cummax", "input, dim, *, out=None -> (values, indices)"),
      def<cummin>("cummin", "input, dim, *, out=None -> (values, indices)"),
      def<triangle<true>>("tril", "input, diagonal=0, *, out=None", both | inplace),
      def<triangle<false>>("triu", "input, diagonal=0, *, out=None", both | inplace),
      def<triangle_indices<true>>("tril_indices", "row, col, offset=0, *, dtype=None, device=None, layout=None",
                                  function),
      def<triangle_indices<false>>("triu_indices", "row, col, offset=0, *, dtype=None, device=None, layout=None",
                                   function),
      def<diag>("diag", "input, diagonal=0, *, out=None"),
      def<diagflat>("diagflat", "input, offset=0"),
      def<diag_embed>("diag_embed", "input, offset=0, dim1=-2, dim2=-1"),
      def<diagonal_scatter>("diagonal_scatter", "input, src, offset=0, dim1=0, dim2=1"),
      def<select_scatter>("select_scatter", "input, src, dim, index"),
      def<slice_scatter>("slice_scatter", "input, src, dim=0, start=None, end=None, step=1"),
      def<pad>("_pad", "input, amounts, mode, value", function),
      def<roll>("roll", "input, shifts, dims=()"),
      def<rot90>("rot90", "input, k=1, dims=()"),
      def<fliplr>("fliplr", "input"),
      def<flipud>("flipud", "input"),
      def<repeat_interleave_int>("repeat_interleave", "input, repeats, dim=None, *, output_size=None"),
      def<repeat_interleave>("repeat_interleave", "input, repeats, dim=None, *, output_size=None"),
      def<repeat_indices>("repeat_interleave", "repeats, *, output_size=None", function),
      def<one_hot>("one_hot", "input, num_classes=-1", function),
      def<diff>("diff", "input, n=1, dim=-1, prepend=None, append=None"),
      def<trapezoid_x>("trapezoid", "y, x, *, dim=-1", function),
      def<trapezoid_dx>("trapezoid", "y, *, dx=1, dim=-1", function),
      def<trapezoid_x>("trapz", "y, x, *, dim=-1", function),
      def<trapezoid_dx>("trapz", "y, *, dx=1, dim=-1", function),
      def<combinations>("combinations", "input, r=2, with_replacement=False", function),
      def<cartesian_prod>("_cartesian_prod", "tensors", function),
  };
  return t;
}

} // namespace hadamard
