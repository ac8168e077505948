// The op of docs/adding_an_op.md: reads numbers, writes its value and derivative at each, as a kernel computes them.
#include <cstdio>

#include "cpu/elementwise.h"

int main() {
  using namespace hadamard::LEVEL;
  constexpr int N = 2;
  double x[N], y[N], dy[N], g[N] = {1, 1};
  while (std::scanf("%lf %lf", &x[0], &x[1]) == 2) {
    auto a = load<double, N>((const char *)x);
    auto result = ops::squareplus(a);
    store<double, N>((char *)y, result);
    store<double, N>((char *)dy, ops::squareplus.d0.formula(load<double, N>((const char *)g), a, a, a, result));
    for (int i = 0; i < N; ++i) std::printf("%.17g %.17g\n", y[i], dy[i]);
  }
}
