// The driver of all reductions, and their table.
#include "reduce.h"
#include "table.h"

namespace hadamard::LEVEL {
namespace {

constexpr long tile = column_tile;
constexpr long joined = 256; // columns that short rows are put together to
constexpr long gathered_rows = 64, gathered_cols = 32;
constexpr long short_row = 32; // rows of fewer elements are better taken as columns

// Rows of a few columns that follow each other closely are taken many at once, as one long row; then folded together.
// Whether so depends on the distance of rows and on their number, not on which columns are asked for.
void narrow_columns(const Folding &f, char *totals, const char *in, long row, long rows, long cols, int64_t base) {
  const long distance = row / f.in_size;
  const long many = distance > 0 && distance <= 32 && f.merge ? joined / distance : 1;
  if (many == 1 || rows < 4 * many) return f.columns(totals, in, row, rows, cols, base);
  alignas(64) char wide[joined * largest_total];
  const long span = (many - 1) * distance + cols, long_rows = rows / many;
  f.start(wide, span);
  f.columns(wide, in, row * many, long_rows, span, base);
  for (long i = 0; i < many; ++i) f.merge(totals, wide + i * distance * f.total_size, cols);
  if (rows % many) f.columns(totals, in + long_rows * many * row, row, rows % many, cols, base);
}

enum class Way { row, columns, gathered_row, gathered_columns };

} // namespace

void reduce(const Reduction &r, const Folding &f) {
  const int k = r.kept - 1, d = r.reduced - 1;
  if (k < 0 && d == 0 && r.reduced_stride[0] == f.in_size) { // what is small must not wait for the rest
    alignas(16) char total[largest_total];
    f.start(total, 1);
    f.row(total, r.in, r.reduced_shape[0], 0);
    return f.finish(r.out, total, 1);
  }
  const long cols = k >= 0 ? r.kept_shape[k] : 1, col = k >= 0 ? r.in_stride[k] : 0;
  const long out_step = k >= 0 ? r.out_stride[k] : 0;
  const long rows = d >= 0 ? r.reduced_shape[d] : 1, row = d >= 0 ? r.reduced_stride[d] : f.in_size;
  for (int i = 0; i < r.kept; ++i)
    if (r.kept_shape[i] == 0) return;
  bool empty = false;
  for (int i = 0; i < r.reduced; ++i) empty |= r.reduced_shape[i] == 0;
  // By strides and the length of a row alone: the way must not depend on how the kept indices are shared out.
  const Way way = k >= 0 && col == f.in_size                         ? Way::columns
                  : row == f.in_size && (k < 0 || rows >= short_row) ? Way::row
                  : k < 0                                            ? Way::gathered_row
                                                                     : Way::gathered_columns;

  alignas(64) char totals[tile * largest_total], buffer[gathered_rows * gathered_cols * 16], result[tile * 16];
  long kept[max_dims], reduced[max_dims];
  for (int i = 0; i < r.kept; ++i) kept[i] = 0;
  for (int i = 0; i < r.reduced; ++i) reduced[i] = 0;
  char *out = r.out;
  const char *in = r.in;
  for (;;) {
    for (long j = 0; j < cols; j += tile) {
      const long w = cols - j < tile ? cols - j : tile;
      f.start(totals, w);
      const char *p = in + j * col;
      for (int64_t base = 0; !empty; base += rows) {
        switch (way) {
        case Way::row:
          for (long i = 0; i < w; ++i) f.row(totals + i * f.total_size, p + i * col, rows, base);
          break;
        case Way::columns: narrow_columns(f, totals, p, row, rows, w, base); break;
        case Way::gathered_row:
          for (long i = 0; i < rows; i += gathered_rows * gathered_cols) {
            const long n = rows - i < gathered_rows * gathered_cols ? rows - i : gathered_rows * gathered_cols;
            copy_block(buffer, {0, f.in_size}, p + i * row, {0, row}, f.in_size, 1, n);
            f.row(totals, buffer, n, base + i);
          }
          break;
        case Way::gathered_columns:
          for (long c = 0; c < w; c += gathered_cols)
            for (long i = 0; i < rows; i += gathered_rows) {
              const long n = rows - i < gathered_rows ? rows - i : gathered_rows;
              const long m = w - c < gathered_cols ? w - c : gathered_cols;
              copy_block(buffer, {m * f.in_size, f.in_size}, p + c * col + i * row, {row, col}, f.in_size, n, m);
              f.columns(totals + c * f.total_size, buffer, m * f.in_size, n, m, base + i);
            }
        }
        int e = d - 1;
        for (; e >= 0; --e) {
          p += r.reduced_stride[e];
          if (++reduced[e] < r.reduced_shape[e]) break;
          p -= r.reduced_stride[e] * r.reduced_shape[e];
          reduced[e] = 0;
        }
        if (e < 0) break;
      }
      char *to = out + j * out_step;
      if (out_step == f.out_size) f.finish(to, totals, w);
      else {
        f.finish(result, totals, w);
        for (long i = 0; i < w; ++i) __builtin_memcpy(to + i * out_step, result + i * f.out_size, f.out_size);
      }
    }
    int e = k - 1;
    for (; e >= 0; --e) {
      in += r.in_stride[e], out += r.out_stride[e];
      if (++kept[e] < r.kept_shape[e]) break;
      in -= r.in_stride[e] * r.kept_shape[e], out -= r.out_stride[e] * r.kept_shape[e];
      kept[e] = 0;
    }
    if (e < 0) return;
  }
}

namespace {

// float16 and bfloat16 are summed in float32; blocks of any float in float64.
template <class T> struct Accumulators {
  using lane = Compute<T>;
  using total = If<floating<lane>, double, T>;
};
template <class T> struct Accumulators<complex<T>> {
  using lane = complex<T>;
  using total = complex<double>;
};
template <class T> using LaneOf = typename Accumulators<T>::lane;
template <class T> using TotalOf = typename Accumulators<T>::total;
template <class T> struct RealOf {
  using type = T;
};
template <class T> struct RealOf<complex<T>> {
  using type = T;
};
template <class T> constexpr bool whole = dtype_in(dtype_of<T>, integers | boolean);
template <class T> constexpr bool wide_float = same<T, float> || same<T, double>;

// A sum or product is stored as its input is; integers also as int64, floats also wider.
template <class F, class In, class Out> constexpr Reduce sum() {
  if constexpr (whole<In>) {
    // A block of sums of short integers fits 32 bits.
    using Short = If<same<F, Plus> && sizeof(In) <= 2, int32_t, int64_t>;
    if constexpr (same<Out, int64_t>) return fold<F, In, Short, int64_t, int64_t>;
    else if constexpr (same<Out, In> && !same<In, bool>) return fold<F, In, In, In, In>;
    else return nullptr;
  } else {
    constexpr bool fits = is_complex<In> == is_complex<Out> && !whole<Out> &&
                          (same<In, Out> || (sizeof(Out) > sizeof(In) && !same<Out, bf16>));
    // Products overflow early: their lanes are double.
    using Lane = If<same<F, Times>, TotalOf<In>, LaneOf<In>>;
    if constexpr (fits) return fold<F, In, Lane, TotalOf<In>, Out>;
    else return nullptr;
  }
}
template <class In, class Out> constexpr Reduce squares() {
  if constexpr (whole<In> || whole<Out> || is_complex<Out>) return nullptr;
  else {
    using R = typename RealOf<In>::type;
    if constexpr (same<Out, R> || (wide_float<Out> && sizeof(Out) > sizeof(R)))
      return fold<Squares, In, Compute<R>, double, Out>;
    else return nullptr;
  }
}
template <class F, class In, class Out> constexpr Reduce extremum() {
  if constexpr (same<In, Out> && !is_complex<In>) return fold<F, In, Compute<In>, Compute<In>, In>;
  else return nullptr;
}
template <class F, class In, class Out> constexpr Reduce truth() {
  if constexpr (same<Out, bool>) return fold<F, In, bool, bool, bool>;
  else return nullptr;
}
template <class F, class In, class Out> constexpr Reduce position() {
  if constexpr (same<Out, int64_t> && !is_complex<In>) return Position<F, In>::run;
  else return nullptr;
}
template <Fold fold, class In, class Out> constexpr Reduce entry() {
  if constexpr (fold == Fold::sum) return sum<Plus, In, Out>();
  else if constexpr (fold == Fold::prod) return sum<Times, In, Out>();
  else if constexpr (fold == Fold::sumsq) return squares<In, Out>();
  else if constexpr (fold == Fold::max) return extremum<Greatest, In, Out>();
  else if constexpr (fold == Fold::min) return extremum<Least, In, Out>();
  else if constexpr (fold == Fold::any) return truth<Or, In, Out>();
  else if constexpr (fold == Fold::all) return truth<And, In, Out>();
  else if constexpr (fold == Fold::argmax) return position<Greatest, In, Out>();
  else return position<Least, In, Out>();
}
template <Fold fold, class In> constexpr void fill_outs(Reduce *to) {
#define X(e, T, ...) to[int(DType::e)] = entry<fold, In, T>();
  HD_DTYPES(X)
#undef X
}
template <Fold fold> constexpr void fill(ReduceTable &t) {
#define X(e, T, ...) fill_outs<fold, T>(t.at[int(fold)][int(DType::e)]);
  HD_DTYPES(X)
#undef X
}
constexpr ReduceTable table() {
  ReduceTable t{};
  [&]<int... f>(Sequence<f...>) { (fill<Fold(f)>(t), ...); }(Indices<fold_count>{});
  return t;
}

} // namespace

extern constinit const ReduceTable reduce_table = table();

} // namespace hadamard::LEVEL
