// Plans of products over random groups of indices, every route, against nested loops.
#include "../../src/contraction.h"
#include "../../src/cpu/threads.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

using namespace hadamard;

static std::mt19937 engine(7);
static long pick(long low, long high) { return low + long(engine() % unsigned(high - low + 1)); }

int main() {
  set_num_threads(2);
  long plans = 0;
  for (int round = 0; round < 2500; ++round) {
    int count = int(pick(1, 6));
    long largest = count > 4 ? 5 : count > 2 ? 9 : 40;
    std::vector<Index> indices;
    for (int i = 0; i < count; ++i)
      indices.push_back({Role(pick(0, 3)), pick(0, 30) ? pick(1, largest) : 0, 0, 0, 0, 0});
    // Each operand lays its indices out in an order of its own.
    long sizes[4];
    auto lay = [&](long Index::*stride, bool (*has)(Role), bool repeats, long &size) {
      std::vector<int> order;
      for (int i = 0; i < count; ++i)
        if (has(indices[size_t(i)].role)) order.push_back(i);
      if (pick(0, 1)) std::shuffle(order.begin(), order.end(), engine);
      size = 1;
      for (size_t q = order.size(); q-- > 0;) {
        Index &x = indices[size_t(order[q])];
        if (repeats && pick(0, 9) == 0) continue;
        x.*stride = size;
        size *= std::max(1L, x.size) + (pick(0, 5) == 0);
      }
    };
    lay(&Index::a, [](Role r) { return r != Role::column; }, true, sizes[0]);
    lay(&Index::b, [](Role r) { return r != Role::row; }, true, sizes[1]);
    lay(&Index::c, [](Role r) { return r != Role::summed; }, false, sizes[2]);
    lay(&Index::bias, [](Role r) { return r != Role::summed; }, true, sizes[3]);
    std::vector<float> a(static_cast<size_t>(sizes[0])), b(static_cast<size_t>(sizes[1])),
        c(static_cast<size_t>(sizes[2])), bias(static_cast<size_t>(sizes[3]));
    for (auto *v : {&a, &b, &c, &bias})
      for (float &x : *v) x = float(pick(-4, 4)); // sums of small integers are exact, so that every route must agree
    Epilogue epilogue;
    epilogue.accumulate = pick(0, 2) == 0;
    if (pick(0, 1)) epilogue.bias = reinterpret_cast<const char *>(bias.data());
    if (pick(0, 2) == 0) epilogue.activation = Activation::relu;

    std::vector<float> want = c;
    bool empty = false, nothing_summed = false;
    for (const Index &x : indices) (x.role == Role::summed ? nothing_summed : empty) |= x.size == 0;
    if (!empty) {
      std::vector<float> sum(c.size());
      std::vector<long> at(size_t(count), 0), seen(c.size(), -1);
      auto offset = [&](long Index::*stride) {
        long o = 0;
        for (int i = 0; i < count; ++i) o += at[size_t(i)] * (indices[size_t(i)].*stride);
        return size_t(o);
      };
      for (bool more = true; more;) {
        size_t to = offset(&Index::c);
        if (!nothing_summed) sum[to] += a[offset(&Index::a)] * b[offset(&Index::b)];
        seen[to] = long(offset(&Index::bias));
        int i = count - 1;
        for (; i >= 0; --i) {
          const Index &x = indices[size_t(i)];
          if (++at[size_t(i)] < (x.role == Role::summed && nothing_summed ? 1 : x.size)) break;
          at[size_t(i)] = 0;
        }
        more = i >= 0;
      }
      for (size_t i = 0; i < c.size(); ++i)
        if (seen[i] >= 0) {
          want[i] = sum[i] + (epilogue.accumulate ? c[i] : 0) + (epilogue.bias ? bias[size_t(seen[i])] : 0);
          if (epilogue.activation == Activation::relu && want[i] < 0) want[i] = 0;
        }
    }
    Contraction plan(DType::F32, DType::F32, indices.data(), count);
    for (int route = -1; route < 7; ++route) {
      if (route >= 0) plan.force(Route(route));
      std::vector<float> got = c;
      plan.run(reinterpret_cast<char *>(a.data()), reinterpret_cast<char *>(b.data()),
               reinterpret_cast<char *>(got.data()), epilogue);
      ++plans;
      if (got != want) {
        std::printf("round %d: %s (%s)\n", round, plan.name(), plan.reason());
        for (const Index &x : indices)
          std::printf("  role %d size %ld a %ld b %ld c %ld bias %ld\n", int(x.role), x.size, x.a, x.b, x.c, x.bias);
        return 1;
      }
    }
  }
  std::printf("contraction: %ld plans ok\n", plans);
}
