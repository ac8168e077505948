// Scans along one line.
#include "reduce.h"
#include "table.h"
#include "threads.h"

namespace hadamard::LEVEL {
namespace {

template <class T> T get(const char *p) {
  T t;
  __builtin_memcpy(&t, p, sizeof t);
  return t;
}
template <class T, class V> Lanes<V, 1> one(const char *p) { return cast<V>(load<T, 1>(p)); }
template <class T, class V> void put_one(char *p, Lanes<V, 1> x) { store<T, 1>(p, cast<Compute<T>>(x)); }

template <class T> struct WideOf {
  using type = If<floating<Compute<T>>, double, T>;
};
template <class T> struct WideOf<complex<T>> {
  using type = complex<double>;
};
// f(first, end) for parts of a line, which may be long.
template <class F> void parts(long n, const F &f) {
  constexpr long most = 1 << 22;
  for (long i = 0; i < n; i += most) {
    if (i) poll();
    f(i, n - i < most ? n : i + most);
  }
}
// Floats are carried on in float64.
template <class F, class T>
void fold_line(char *out, long out_stride, int64_t *, long, const char *in, long in_stride, long n) {
  using V = typename WideOf<T>::type;
  if constexpr (same<T, Compute<T>> && !is_complex<T>) { // a vector of one lane costs ten times a plain number
    V sum = same<F, Plus> ? V(0) : V(1);
    parts(n, [&](long i, long end) {
      for (; i < end; ++i, in += in_stride, out += out_stride) {
        T x;
        __builtin_memcpy(&x, in, sizeof x);
        if constexpr (floating<T>) sum = same<F, Plus> ? sum + x : sum * x;
        else if constexpr (same<F, Plus>) __builtin_add_overflow(sum, x, &sum); // wraps
        else __builtin_mul_overflow(sum, x, &sum);
        x = T(sum);
        __builtin_memcpy(out, &x, sizeof x);
      }
    });
  } else {
    auto sum = F::template identity<Lanes<V, 1>>();
    parts(n, [&](long i, long end) {
      for (; i < end; ++i, in += in_stride, out += out_stride) {
        sum = F::merge(sum, one<T, V>(in));
        put_one<T>(out, sum);
      }
    });
  }
}
// The last of equals, as in torch; NaN stays.
template <class F, class T>
void extremum_line(char *out, long out_stride, int64_t *index, long index_stride, const char *in, long in_stride,
                   long n) {
  using V = Compute<T>;
  V best{};
  int64_t at = 0;
  parts(n, [&](long i, long end) {
    for (; i < end; ++i, in += in_stride, out += out_stride) {
      V x;
      store<V, 1>(&x, load<T, 1>(in));
      const bool wins = same<F, Greatest> ? x >= best : x <= best;
      if (i == 0 || x != x || (best == best && wins)) best = x, at = i;
      store<T, 1>(out, load<V, 1>(&best));
      __builtin_memcpy((char *)index + i * index_stride, &at, sizeof at);
    }
  });
}
template <class T>
void logcumsumexp_line(char *out, long out_stride, int64_t *, long, const char *in, long in_stride, long n) {
  double top = -math::infinity<double>, sum = 0; // sum of exp(x - top)
  parts(n, [&](long i, long end) {
    for (; i < end; ++i, in += in_stride, out += out_stride) {
      const double x = one<T, double>(in).v[0];
      if (!(x <= top)) {
        sum = top == x ? sum + 1 : sum * __builtin_exp(top - x) + 1;
        top = x;
      } else if (top == top && x != -math::infinity<double>) sum += x == top ? 1 : __builtin_exp(x - top);
      double r = sum == 0 ? -math::infinity<double> : top + __builtin_log(sum);
      if (top == math::infinity<double>) r = top;
      put_one<T>(out, Lanes<double, 1>(r));
    }
  });
}
template <Scan scan, class T> constexpr ScanLine line() {
  if constexpr (scan == Scan::cumsum && !same<T, bool>) return fold_line<Plus, T>;
  else if constexpr (scan == Scan::cumprod && !same<T, bool>) return fold_line<Times, T>;
  else if constexpr (scan == Scan::cummax && !is_complex<T>) return extremum_line<Greatest, T>;
  else if constexpr (scan == Scan::cummin && !is_complex<T>) return extremum_line<Least, T>;
  else if constexpr (scan == Scan::logcumsumexp && floating<Compute<T>>) return logcumsumexp_line<T>;
  else return nullptr;
}
template <Scan scan> constexpr void fill(ScanTable &t) {
#define X(e, T, ...) t.at[int(scan)][int(DType::e)] = line<scan, T>();
  HD_DTYPES(X)
#undef X
}
constexpr ScanTable table() {
  ScanTable t{};
  [&]<int... s>(Sequence<s...>) { (fill<Scan(s)>(t), ...); }(Indices<scan_count>{});
  return t;
}

} // namespace

extern constinit const ScanTable scan_table = table();

} // namespace hadamard::LEVEL
