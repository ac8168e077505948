// Measures the error of the float32 functions over all inputs (or every `step`-th), against float64.
// ./ulp [step] [level or "all"] [function]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "cpu/level.h"
#include "cpu/math_names.h"
#include "op.h"

namespace hadamard {
namespace ops {
#include "ops/elementwise.h"
}
} // namespace hadamard
using namespace hadamard;

namespace {
double gelu(double x) { return x * 0.5 * std::erfc(-x * 0.70710678118654752440); }
double silu(double x) { return x < 0 ? x * std::exp(x) / (1 + std::exp(x)) : x / (1 + std::exp(-x)); }
double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

struct Function {
  const char *name;
  int id;
  double (*exact)(double);
  double bound;
};
#define F(name, exact, bound) {#name, ops::op_id<ops::name>, exact, bound}
const Function functions[] = {
    F(exp, std::exp, 1.1),     F(expm1, std::expm1, 2.5), F(log, std::log, 2.5),   F(log2, std::log2, 2.5),
    F(log10, std::log10, 2.5), F(log1p, std::log1p, 2.5), F(tanh, std::tanh, 2.5), F(sigmoid, sigmoid, 2.5),
    F(erf, std::erf, 1.1),     F(erfc, std::erfc, 2.5),   F(gelu, gelu, 2.5),      F(sin, std::sin, 2.5),
    F(cos, std::cos, 2.5),     F(sqrt, std::sqrt, 0.5),   F(silu, silu, 3),
};
double ulp(double x) {
  if (x == 0) return 0x1p-149;
  int e;
  std::frexp(x, &e);
  return std::ldexp(1.0, e - 24 < -149 ? -149 : e - 24);
}

// How many functions are worse than their bounds.
int measure(const Level &l, unsigned long step, const char *only) {
  int bad = 0;
  for (const auto &f : functions) {
    if (only && strcmp(only, f.name)) continue;
    const Loop &loop = l.elementwise[f.id][int(DType::F32)];
    double worst = 0, denormal = 0;
    float at = 0, at_denormal = 0;
    long wrong = 0;
    float where_wrong = 0;
    constexpr int n = 4096;
    static float x[n], y[n];
    for (unsigned long u = 0; u < 1ul << 32;) {
      int count = 0;
      for (; count < n && u < 1ul << 32; u += step) {
        const uint32_t b = uint32_t(u);
        memcpy(&x[count++], &b, 4);
      }
      Grid g;
      g.ndim = 1, g.shape[0] = count;
      g.data[0] = (char *)y, g.data[1] = (char *)x;
      g.stride[0][0] = g.stride[0][1] = 4;
      l.map(loop, g);
      for (int i = 0; i < count; ++i) {
        const double want = f.exact(x[i]);
        if (float(want) == y[i] || (want != want && y[i] != y[i])) {
          if (y[i] == 0 && std::signbit(float(want)) != std::signbit(y[i])) ++wrong, where_wrong = x[i];
          continue;
        }
        if (!std::isfinite(float(want)) || !std::isfinite(y[i])) {
          // an overflow one ulp early or late is an error of that size
          if (std::isinf(float(want)) != std::isinf(y[i]) && std::fabs(want) > 3.4e38 * 0.999999 &&
              std::fabs(want) < 3.4028236e38 * 1.000001)
            continue;
          ++wrong, where_wrong = x[i];
          continue;
        }
        const double e = std::fabs(y[i] - want) / ulp(want);
        if (std::fabs(want) < 0x1p-126) {
          if (e > denormal) denormal = e, at_denormal = x[i];
        } else if (e > worst) worst = e, at = x[i];
      }
    }
    const bool over = worst > f.bound || denormal > 1.5 || wrong;
    bad += over;
    printf("%-4s %-8s %.3f ulp at %.9g; denormal results %.2f at %.9g; %ld wrong (%.9g)%s\n", l.name, f.name, worst, at,
           denormal, at_denormal, wrong, where_wrong, over ? "  <--" : "");
    fflush(stdout);
  }
  return bad;
}
} // namespace

int main(int argc, char **argv) {
  const unsigned long step = argc > 1 ? strtoul(argv[1], nullptr, 10) : 61;
  int bad = 0;
  for (const char *name : {"v2", "v3", "v4", "neon"})
    if (argc < 3 || !strcmp(argv[2], "all") || !strcmp(argv[2], name))
      if (const Level *l = find_level(name)) bad += measure(*l, step, argc > 3 ? argv[3] : nullptr);
  return bad != 0;
}
