// Binomial counts as torch draws them, and implicit derivatives of gamma and beta variables (Figurnov et al. 2018).
#include "ops/gamma.h"

#include <cmath>

#include "call.h"
#include "patient_lock.h"

namespace hadamard::ops {
namespace {

// ---- derivatives by dual numbers: a value and its derivative by the parameter
struct Dual {
  double v, d = 0;
};
Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
Dual operator/(Dual a, Dual b) {
  double q = a.v / b.v;
  return {q, (a.d - q * b.d) / b.v};
}
Dual operator+(Dual a, double b) { return {a.v + b, a.d}; }
Dual operator-(Dual a, double b) { return {a.v - b, a.d}; }
Dual operator*(Dual a, double b) { return {a.v * b, a.d * b}; }

constexpr double tiny = 1e-300, settled = 1e-16;
constexpr int most = 100000; // terms; a few times the root of the largest parameter are needed

// ψ(x) for x > 0: upwards to where the asymptotic series (DLMF 5.11.2) is exact.
double psi(double x) {
  double y = 0;
  for (; x < 10; ++x) y -= 1 / x;
  double r = 1 / (x * x);
  return y + std::log(x) - 0.5 / x -
         r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * 691.0 / 32760)))));
}

bool settles(Dual step, Dual total) {
  return std::fabs(step.v - 1) < settled && std::fabs(step.d) < settled * (1 + std::fabs(total.d / total.v));
}

// One term of a continued fraction by Lentz's method: c, d and the product so far.
struct Lentz {
  Dual c, d, value;
  Dual next(Dual numerator, Dual denominator) {
    d = denominator + numerator * d;
    if (std::fabs(d.v) < tiny) d.v = tiny;
    c = denominator + numerator / c;
    if (std::fabs(c.v) < tiny) c.v = tiny;
    d = Dual{1} / d;
    Dual step = c * d;
    value = value * step;
    return step;
  }
};

double gamma_slope(double a, double x) {
  if (!(a > 0) || !(x > 0) || std::isinf(x)) return x == 0 ? 0 : NAN;
  if (a > 1e6) { // Wilson and Hilferty: x = a (1 - 1/(9a) + z/(3√a))³ for a normal z
    double u = std::cbrt(x / a), z = (u - 1 + 1 / (9 * a)) * 3 * std::sqrt(a);
    return u * u * (u + 3 * (1 / (9 * a) - z / (6 * std::sqrt(a))));
  }
  if (x < a + 1) { // P = x^a e^-x / Γ(a + 1) · Σ xⁿ / ((a + 1) … (a + n))  (DLMF 8.11.4)
    Dual term{1}, sum{1};
    for (int n = 1; n < most; ++n) {
      term = term * Dual{x} / Dual{a + n, 1};
      sum = sum + term;
      if (std::fabs(term.v) < settled * sum.v && std::fabs(term.d) < settled * (std::fabs(sum.d) + sum.v)) break;
    }
    return -(x / a) * ((std::log(x) - psi(a + 1)) * sum.v + sum.d);
  }
  // Q = x^a e^-x / Γ(a) · 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - …))  (DLMF 8.9.2)
  Dual b{x + 1 - a, -1};
  Lentz f{Dual{1 / tiny}, Dual{1} / b, Dual{1} / b};
  for (int n = 1; n < most; ++n) {
    b = b + 2;
    if (settles(f.next(Dual{-n * (n - a), double(n)}, b), f.value)) break;
  }
  return x * ((std::log(x) - psi(a)) * f.value.v + f.value.d);
}

// The continued fraction of I_x(a, b) · a B(a, b) / (x^a (1 - x)^b)  (DLMF 8.17.22)
Dual beta_fraction(double x, Dual a, Dual b) {
  Dual first = Dual{1} - (a + b) * x / (a + 1);
  Lentz f{Dual{1}, Dual{1} / first, Dual{1} / first};
  for (int m = 1; m < most; ++m) {
    Dual even = a + 2 * m;
    f.next((b - m) * (m * x) / ((even - 1) * even), Dual{1});
    if (settles(f.next((a + m) * (a + b + m) * -x / (even * (even + 1)), Dual{1}), f.value)) break;
  }
  return f.value;
}

double beta_slope(double x, double a, double total) {
  double b = total - a;
  if (!(a > 0) || !(b > 0) || !(x >= 0) || x > 1) return NAN;
  if (x == 0 || x == 1) return 0;
  double log = std::log(x) - psi(a) + psi(total);
  if (x < (a + 1) / (total + 2)) { // I = x^a (1 - x)^b / (a B) · fraction
    Dual f = beta_fraction(x, Dual{a, 1}, Dual{b});
    return -(x / a) * ((log - 1 / a) * f.v + f.d);
  }
  Dual f = beta_fraction(1 - x, Dual{b}, Dual{a, 1}); // 1 - I = I_{1-x}(b, a)
  return (x / b) * (log * f.v + f.d);
}

// ---- binomial counts
// By the gaps between successes, which are geometric.
double count_gaps(double n, double p, Generator &g) {
  double log = std::log1p(-p), at = 0, successes = 0;
  for (;;) {
    at += std::ceil(std::log(g.uniform()) / log);
    if (at > n) return successes;
    ++successes;
  }
}

// ln k! minus Stirling's formula.
double stirling_rest(double k) {
  static constexpr double first[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
                                     0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                                     0.00925546218271273, 0.00833056343336287};
  if (k <= 9) return first[int(k)];
  double r = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / r) / r) / (k + 1);
}

// Transformed rejection (Hörmann 1993, algorithm BTRS), for n p >= 10 and p <= 1/2.
double rejected(double n, double p, Generator &g) {
  double std = std::sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * std, a = -0.0873 + 0.0248 * b + 0.01 * p;
  double c = n * p + 0.5, vr = 0.92 - 4.2 / b, r = p / (1 - p), alpha = (2.83 + 5.1 / b) * std;
  double m = std::floor((n + 1) * p);
  for (;;) {
    double u = g.uniform() - 0.5, v = g.uniform(), us = 0.5 - std::fabs(u);
    double k = std::floor((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= vr) return k;
    if (k < 0 || k > n) continue;
    v = std::log(v * alpha / (a / (us * us) + b));
    double most = (m + 0.5) * std::log((m + 1) / (r * (n - m + 1))) + (n + 1) * std::log((n - m + 1) / (n - k + 1)) +
                  (k + 0.5) * std::log(r * (n - k + 1) / (k + 1)) + stirling_rest(m) + stirling_rest(n - m) -
                  stirling_rest(k) - stirling_rest(n - k);
    if (v <= most) return k;
  }
}

double binomial_count(double n, double p, Generator &g) {
  if (std::isnan(p) || std::isnan(n)) return NAN;
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  double q = p <= 0.5 ? p : 1 - p, k = n * q >= 10 ? rejected(n, q, g) : count_gaps(n, q, g);
  return p <= 0.5 ? k : n - k;
}

template <class F> Tensor elements(std::initializer_list<const Tensor *> in, F f) {
  const Tensor &x = **in.begin();
  for (auto *t : in)
    HD_CHECK(t->dtype() == DType::F64 && t->is_contiguous() && t->numel() == x.numel(), runtime,
             "expected contiguous float64 tensors of one shape");
  Tensor y = empty(x.shape(), DType::F64, x.device());
  if (y.is_meta()) return y;
  LongWork unlocked(y.numel());
  for (int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] = f(i);
  return y;
}

} // namespace

Tensor binomial(const Tensor &count, const Tensor &p, Generator *g) {
  PatientLock lock(g->mutex);
  return elements({&count, &p},
                  [&](int64_t i) { return binomial_count(count.data<double>()[i], p.data<double>()[i], *g); });
}
Tensor standard_gamma_slope(const Tensor &a, const Tensor &x) {
  return elements({&a, &x}, [&](int64_t i) { return gamma_slope(a.data<double>()[i], x.data<double>()[i]); });
}
Tensor dirichlet_slope(const Tensor &x, const Tensor &a, const Tensor &total) {
  return elements({&x, &a, &total}, [&](int64_t i) {
    return beta_slope(x.data<double>()[i], a.data<double>()[i], total.data<double>()[i]);
  });
}

} // namespace hadamard::ops
