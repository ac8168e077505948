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

// The order of summation: 8 vectors at once within blocks of a row, two from each quarter of a whole block; rows of
// columns four at a time within blocks; blocks are added in double. It depends on the shape alone.
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
      if (count == row_block) { // four places at once: one alone does not keep memory busy
        constexpr long quarter = row_block / 4 * sizeof(In);
        for (; i < count; i += 8 * N, in += 2 * bytes)
#pragma GCC unroll 8
          for (int k = 0; k < 8; ++k) acc[k] = F::merge(acc[k], read(in + k / 2 * quarter + k % 2 * bytes));
        in += 3 * quarter;
      }
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
  static constexpr int W = lanes_for<In>();
  using L = Lanes<T, W>;
  using Index = Lanes<Int<T>, W>;
  struct Total {
    T value;
    int64_t index; // -1: none yet
  };
  // A row is gone through in blocks of chunks: each lane remembers the chunk of its best, which is all that is
  // searched.
  static constexpr long chunk_vectors = 32, chunk = chunk_vectors * W, chunks = 100; // counted in as little as int8

  static HD_INLINE auto beats(auto x, auto best) {
    if constexpr (same<F, Greatest>) return x > best;
    else return x < best;
  }
  static HD_INLINE auto better(auto x, auto best) { return beats(x, best) | ((x != x) & (best == best)); }
  static HD_INLINE L best_of(L x, L best) { return where(beats(x, best), x, best); }
  static HD_INLINE L read(const char *in, long i) { return load<In, W>(in + i * sizeof(In)); }
  static HD_INLINE T at(const char *in, long i) {
    T t;
    store<T, 1>(&t, load<In, 1>(in + i * sizeof(In)));
    return t;
  }
  static void start(char *totals, long n) {
    for (long i = 0; i < n; ++i) ((Total *)totals)[i].index = -1;
  }
  // The first i for which found(vector) has a lane; there is one below n.
  template <class P> static HD_INLINE long first(const char *in, long n, P found) {
    long i = 0;
    while (i + 4 * W <= n && !math::any((found(read(in, i)) | found(read(in, i + W))) |
                                        (found(read(in, i + 2 * W)) | found(read(in, i + 3 * W)))))
      i += 4 * W;
    for (; i + W <= n; i += W)
      if (const auto m = found(read(in, i)); math::any(m)) {
        int lane = 0;
        while (!m.v[lane]) ++lane;
        return i + lane;
      }
    for (;; ++i) {
      const T x = at(in, i);
      if (found(L(x)).v[0]) return i;
    }
  }
  static long in_block(const char *in, long n) { // n >= W
    L best = read(in, 0);
    Index from(0);
    auto odd = best != best;
    long i = 0;
    for (int c = 0; i < n; ++c) {
      L m = read(in, i + W <= n ? i : n - W);
      if (i + chunk <= n) {
        L other[4] = {m, m, m, m};
        for (const long end = i + chunk; i < end; i += 4 * W) {
          L x[4];
#pragma GCC unroll 4
          for (int u = 0; u < 4; ++u) x[u] = read(in, i + u * W), other[u] = best_of(x[u], other[u]);
          if constexpr (floating<T>) odd = odd | unordered(x[0], x[1]) | unordered(x[2], x[3]);
        }
        m = best_of(best_of(other[3], other[2]), best_of(other[1], other[0]));
      } else {
        for (; i < n; i += W) { // the last vector goes over some again
          const L x = read(in, i + W <= n ? i : n - W);
          m = best_of(x, m);
          odd = odd | (x != x);
        }
      }
      from = where(beats(m, best), Int<T>(c), from);
      best = best_of(m, best);
    }
    if (math::any(odd)) return first(in, n, [](L x) { return x != x; });
    T top = best.v[0];
    for (int l = 1; l < W; ++l) top = beats(best.v[l], top) ? best.v[l] : top;
    long c = chunks;
    for (int l = 0; l < W; ++l) c = best.v[l] == top && from.v[l] < c ? from.v[l] : c;
    const L wanted(top);
    return c * chunk + first(in + c * chunk * sizeof(In), n - c * chunk, [&](L x) { return x == wanted; });
  }
  static HD_INLINE auto unordered(L a, L b) {
#if defined(__AVX2__) && !defined(__AVX512F__)
    if constexpr (same<T, float> && W == 8) return Mask<4, W>{(Vector<int32_t, W>)__builtin_ia32_cmpps256(a.v, b.v, 3)};
    else
#endif
      return (a != a) | (b != b);
  }
  static void row(char *totals, const char *in, long n, int64_t base) {
    Total &best = *(Total *)totals;
    auto offer = [&](T x, int64_t i) {
      if (best.index < 0 || better(x, best.value)) best = {x, i};
    };
    constexpr long block = chunks * chunk;
    for (; n > 0; n -= block, in += block * sizeof(In), base += block) {
      const long count = n < block ? n : block;
      if (count < W)
        for (long i = 0; i < count; ++i) offer(at(in, i), base + i);
      else {
        const long i = in_block(in, count);
        offer(at(in, i), base + i);
      }
    }
  }
  static void columns(char *totals, const char *in, long row_stride, long rows, long cols, int64_t base) {
    constexpr long high = 120; // rows counted in a lane
    Total *total = (Total *)totals;
    for (; rows > 0; rows -= high, in += high * row_stride, base += high)
      for (long j = 0; j < cols; j += W) {
        const long count = cols - j < W ? cols - j : W, end = rows < high ? rows : high;
        T value[W] = {};
        Int<T> index[W] = {};
        for (int i = 0; i < count; ++i) value[i] = total[j + i].value, index[i] = -1;
        alignas(64) char buffer[W * sizeof(In)] = {};
        auto get = [&](long r) {
          const char *p = in + r * row_stride + j * sizeof(In);
          if (count == W) return load<In, W>(p);
          __builtin_memcpy(buffer, p, count * sizeof(In));
          return load<In, W>(buffer);
        };
        long r = 0;
        if (total[j].index < 0) { // all or none of the columns are new
          store<T, W>(value, get(0));
          for (auto &i : index) i = 0;
          r = 1;
        }
        auto v = load<T, W>(value);
        auto at = load<Int<T>, W>(index);
        for (; r < end; ++r) {
          const auto x = get(r);
          const auto m = better(x, v);
          v = where(m, x, v);
          at = where(m, Int<T>(r), at);
        }
        store<T, W>(value, v);
        store<Int<T>, W>(index, at);
        for (int i = 0; i < count; ++i)
          if (index[i] >= 0) total[j + i] = {value[i], base + index[i]};
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
