// Reductions: what each fold accumulates in, one kernel for a contiguous row and one for contiguous columns.
#pragma once
#include "level.h"
#include "math.h"
#include "strided.h"

namespace hadamard::LEVEL {

// What the driver (kernels_reduce.cpp) knows of a fold on a dtype. Totals are opaque; `base` counts the elements
// before.
struct Folding {
  int in_size, total_size, out_size;
  void (*start)(char *totals, long n);
  void (*row)(char *total, const char *in, long n, int64_t base);
  void (*columns)(char *totals, const char *in, long row_stride, long rows, long cols, int64_t base);
  void (*merge)(char *totals, const char *more, long n); // nullptr: order matters
  void (*finish)(char *out, const char *totals, long n); // contiguous
};
constexpr long largest_total = 16;
constexpr long column_tile =
    1024; // columns at once, at most: a page of floats, which is how far the hardware reads ahead
void reduce(const Reduction &, const Folding &);

namespace {

// The order of summation: 8 vectors at once within blocks of a row; rows of columns four at a time within blocks;
// blocks are added in double. It depends on the shape alone.
constexpr long row_block = 8192, column_block = 128;

template <class T> constexpr T lowest() {
  if constexpr (floating<T>) return -T(__builtin_inf());
  else if constexpr (is_signed<T>) return T(T(1) << (sizeof(T) * 8 - 1));
  else return T(0);
}
template <class T> constexpr T highest() {
  if constexpr (floating<T>) return T(__builtin_inf());
  else if constexpr (same<T, bool>) return true;
  else return T(~lowest<T>());
}
struct Plus {
  template <class L> static HD_INLINE L identity() { return L(0); }
  template <class L> static HD_INLINE L merge(L a, L b) { return a + b; }
  template <class L> static HD_INLINE L map(L x) { return x; }
};
struct Squares : Plus {
  template <class T, int N> static HD_INLINE Lanes<T, N> map(Lanes<T, N> x) { return x * x; }
  template <class T, int N> static HD_INLINE Lanes<T, N> map(Lanes<complex<T>, N> x) {
    return x.re * x.re + x.im * x.im;
  }
};
struct Times {
  template <class L> static HD_INLINE L identity() { return L(1); }
  template <class L> static HD_INLINE L merge(L a, L b) { return a * b; }
  template <class L> static HD_INLINE L map(L x) { return x; }
};
struct Greatest {
  template <class L> static HD_INLINE L identity() { return L(lowest<typename L::Element>()); }
  template <class L> static HD_INLINE L merge(L a, L b) { return where((b > a) | (b != b), b, a); }
  template <class L> static HD_INLINE L map(L x) { return x; }
};
struct Least {
  template <class L> static HD_INLINE L identity() { return L(highest<typename L::Element>()); }
  template <class L> static HD_INLINE L merge(L a, L b) { return where((b < a) | (b != b), b, a); }
  template <class L> static HD_INLINE L map(L x) { return x; }
};
struct Or {
  template <class L> static HD_INLINE L identity() { return L(false); }
  template <class L> static HD_INLINE L merge(L a, L b) { return a | b; }
  template <class L> static HD_INLINE auto map(L x) { return Lanes<bool, L::lanes>(resize<1>(math::truth(x))); }
};
struct And : Or {
  template <class L> static HD_INLINE L identity() { return L(true); }
  template <class L> static HD_INLINE L merge(L a, L b) { return a & b; }
};

template <class T, int N> HD_INLINE auto first_lanes(long n) {
  constexpr int bytes = part_size<T>;
  return [&]<int... i>(Sequence<i...>) {
    using I = IntOf<bytes>;
    return Mask<bytes, N>{Vector<I, N>{I(i)...} < (I(n) - Vector<I, N>{})};
  }(Indices<N>{});
}

// In: as stored. A: what lanes accumulate in. Total: what blocks are folded in.
template <class F, class In, class A, class Total> struct Folded {
  static constexpr int N = lanes_for<In, A>();
  using L = Lanes<A, N>;

  static HD_INLINE L read(const char *p) { return cast<A>(F::map(load<In, N>(p))); }
  static HD_INLINE void add(Total *total, const L &x) {
    store<Total, N>(total, F::merge(load<Total, N>(total), cast<Total>(x)));
  }
  template <int n> static HD_INLINE auto across(Lanes<Total, n> x) {
    if constexpr (n == 1) return x;
    else {
      Total t[n];
      store<Total, n>(t, x);
      return across<n / 2>(F::merge(load<Total, n / 2>(t), load<Total, n / 2>(t + n / 2)));
    }
  }

  static void start(char *totals, long n) {
    for (long i = 0; i < n; ++i) store<Total, 1>(totals + i * sizeof(Total), F::template identity<Lanes<Total, 1>>());
  }
  static void row(char *total, const char *in, long n, int64_t) {
    constexpr long bytes = N * sizeof(In);
    while (n > 0) {
      const long count = n < row_block ? n : row_block;
      L acc[8];
      for (auto &a : acc) a = F::template identity<L>();
      long i = 0;
      for (; i + 8 * N <= count; i += 8 * N, in += 8 * bytes)
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) acc[k] = F::merge(acc[k], read(in + k * bytes));
      for (; i + N <= count; i += N, in += bytes) acc[0] = F::merge(acc[0], read(in));
      if (i < count) {
        alignas(64) char buffer[bytes] = {};
        copy_bytes(buffer, in, (count & (N - 1)) * sizeof(In));
        acc[1] = where(first_lanes<A, N>(count - i), F::merge(acc[1], read(buffer)), acc[1]);
        in += (count - i) * sizeof(In);
      }
      if (count > N) {
        for (int half = 4; half; half /= 2)
#pragma GCC unroll 4
          for (int k = 0; k < half; ++k) acc[k] = F::merge(acc[k], acc[k + half]);
      } else acc[0] = F::merge(acc[0], acc[1]);
      store<Total, 1>(total, F::merge(load<Total, 1>(total), across<N>(cast<Total>(acc[0]))));
      n -= count;
    }
  }
  // Whole vectors of columns.
  __attribute__((noinline)) static void strip(Total *total, const char *in, long row_stride, long rows, long vectors) {
    constexpr long bytes = N * sizeof(In);
    alignas(64) A acc[column_tile + 64 / sizeof(A)];
    auto at = [&](long v) { return load<A, N>(acc + v * N); };
    for (; rows > 0; rows -= column_block) {
      const long count = rows < column_block ? rows : column_block;
      for (long v = 0; v < vectors; ++v) store<A, N>(acc + v * N, F::template identity<L>());
      long i = 0;
      for (; i + 4 <= count; i += 4, in += 4 * row_stride)
        for (long v = 0; v < vectors; ++v) {
          const char *p = in + v * bytes;
          L x = F::merge(F::merge(read(p), read(p + row_stride)),
                         F::merge(read(p + 2 * row_stride), read(p + 3 * row_stride)));
          store<A, N>(acc + v * N, F::merge(at(v), x));
        }
      for (; i < count; ++i, in += row_stride)
        for (long v = 0; v < vectors; ++v) store<A, N>(acc + v * N, F::merge(at(v), read(in + v * bytes)));
      for (long v = 0; v < vectors; ++v) add(total + v * N, at(v));
    }
  }
  static void columns(char *totals, const char *in, long row_stride, long rows, long cols, int64_t) {
    Total *total = (Total *)totals;
    const long whole = cols / N, left = cols & (N - 1);
    if (whole) strip(total, in, row_stride, rows, whole);
    if (!left) return;
    // The last columns: as a vector that begins earlier, or from a copy with room for one.
    Total some[N];
    start((char *)some, N);
    const long from = cols < N ? 0 : N - left;
    if (cols >= N) strip(some, in + (cols - N) * sizeof(In), row_stride, rows, 1);
    else {
      alignas(64) char buffer[column_block * N * sizeof(In)] = {};
      for (long i = 0; i < rows; i += column_block) {
        const long count = rows - i < column_block ? rows - i : column_block;
        for (long r = 0; r < count; ++r)
          copy_bytes(buffer + r * N * sizeof(In), in + (i + r) * row_stride, left * sizeof(In));
        strip(some, buffer, N * sizeof(In), count, 1);
      }
    }
    merge(totals + whole * N * sizeof(Total), (const char *)(some + from), left);
  }
  static void merge(char *totals, const char *more, long n) {
    for (long i = 0; i < n; ++i, totals += sizeof(Total), more += sizeof(Total))
      store<Total, 1>(totals, F::merge(load<Total, 1>(totals), load<Total, 1>(more)));
  }
};

// Out: as stored.
template <class Total, class Out> void finish(char *out, const char *totals, long n) {
  constexpr int M = lanes_for<Total, Compute<Out>>();
  if (n == 1) return store<Out, 1>(out, cast<Compute<Out>>(load<Total, 1>(totals)));
  for (long i = 0; i < n; i += M) {
    const long count = n - i < M ? n - i : M;
    Total t[M] = {};
    __builtin_memcpy(t, totals + i * sizeof(Total), count * sizeof(Total));
    char buffer[M * sizeof(Out)];
    store<Out, M>(buffer, cast<Compute<Out>>(load<Total, M>(t)));
    __builtin_memcpy(out + i * sizeof(Out), buffer, count * sizeof(Out));
  }
}
template <class F, class In, class A, class Total, class Out> void fold(const Reduction &r) {
  using Kernels = Folded<F, In, A, Total>;
  static constexpr Folding folding = {sizeof(In),   sizeof(Total),    sizeof(Out),    Kernels::start,
                                      Kernels::row, Kernels::columns, Kernels::merge, finish<Total, Out>};
  reduce(r, folding);
}

// The position of the greatest (or least) element: the first of equals, NaN before all.
template <class F, class In> struct Position {
  using T = Compute<In>;
  static constexpr int N = width / 8, W = lanes_for<In>();
  struct Total {
    T value;
    int64_t index; // -1: none yet
  };
  using L = Lanes<T, N>;
  using Values = Folded<F, In, T, T>;

  static HD_INLINE auto better(auto x, auto best) {
    auto wins = [&] {
      if constexpr (same<F, Greatest>) return x > best;
      else return x < best;
    }();
    return wins | ((x != x) & (best == best));
  }
  static HD_INLINE T at(const char *in, long i) {
    T t;
    store<T, 1>(&t, load<In, 1>(in + i * sizeof(In)));
    return t;
  }
  static void start(char *totals, long n) {
    for (long i = 0; i < n; ++i) ((Total *)totals)[i].index = -1;
  }
  // The greatest (or least) of a block, NaN before all. Floats are looked at for NaN apart: so the rest is one
  // instruction.
  static HD_INLINE T extreme(const char *in, long n) {
    T top;
    Values::start((char *)&top, 1);
    long i = 0;
    if constexpr (floating<T>) {
      constexpr int U = 4;
      using V = Lanes<T, W>;
      if (n >= U * W) {
        V best[U];
        auto odd = V(T(0)) != V(T(0));
        for (auto &b : best) b = F::template identity<V>();
        for (; i + U * W <= n; i += U * W)
#pragma GCC unroll 4
          for (int u = 0; u < U; ++u) {
            const V x = load<In, W>(in + (i + u * W) * sizeof(In));
            odd = odd | (x != x);
            if constexpr (same<F, Greatest>) best[u] = where(x > best[u], x, best[u]);
            else best[u] = where(x < best[u], x, best[u]);
          }
        if (math::any(odd)) return math::nan<T>;
        T all[U * W];
        for (int u = 0; u < U; ++u) store<T, W>(all + u * W, best[u]);
        if constexpr (same<In, T>) Values::row((char *)&top, (const char *)all, U * W, 0);
        else
          for (T x : all) top = better(x, top) ? x : top;
      }
    }
    Values::row((char *)&top, in + i * sizeof(In), n - i, 0);
    return top;
  }
  static void row(char *totals, const char *in, long n, int64_t base) {
    constexpr long block = 1024;
    Total &best = *(Total *)totals;
    for (; n > 0; n -= block, in += block * sizeof(In), base += block) {
      const long count = n < block ? n : block;
      const T top = extreme(in, count);
      if (best.index >= 0 && !better(top, best.value)) continue;
      long i = 0;
      if (top != top)
        for (T x = at(in, 0); x == x; x = at(in, ++i)) {}
      else {
        const Lanes<T, W> wanted(top);
        auto here = [&](long at) { return load<In, W>(in + at * sizeof(In)) == wanted; };
        while (i + 4 * W <= count && !math::any((here(i) | here(i + W)) | (here(i + 2 * W) | here(i + 3 * W))))
          i += 4 * W;
        while (i + W <= count && !math::any(load<In, W>(in + i * sizeof(In)) == wanted)) i += W;
        while (at(in, i) != top) ++i;
      }
      best = {top, base + i};
    }
  }
  static void columns(char *totals, const char *in, long row_stride, long rows, long cols, int64_t base) {
    Total *total = (Total *)totals;
    for (long j = 0; j < cols; j += N) {
      const int count = cols - j < N ? cols - j : N;
      T value[N] = {};
      int64_t index[N] = {};
      for (int i = 0; i < count; ++i) value[i] = total[j + i].value, index[i] = total[j + i].index;
      auto v = load<T, N>(value);
      auto at = load<int64_t, N>(index);
      alignas(64) char buffer[N * sizeof(In)] = {};
      for (long r = 0; r < rows; ++r) {
        const char *p = in + r * row_stride + j * sizeof(In);
        if (count < N) __builtin_memcpy(buffer, p, count * sizeof(In));
        auto x = load<In, N>(count < N ? buffer : p);
        auto m = resize<8>(better(x, v)) | (at < 0);
        v = where(m, x, v);
        at = where(m, base + r, at);
      }
      store<T, N>(value, v);
      store<int64_t, N>(index, at);
      for (int i = 0; i < count; ++i) total[j + i] = {value[i], index[i]};
    }
  }
  static void finish(char *out, const char *totals, long n) {
    for (long i = 0; i < n; ++i) ((int64_t *)out)[i] = ((const Total *)totals)[i].index;
  }
  static constexpr Folding folding = {sizeof(In), sizeof(Total), 8, start, row, columns, nullptr, finish};
  static void run(const Reduction &r) { reduce(r, folding); }
};

} // namespace
} // namespace hadamard::LEVEL
