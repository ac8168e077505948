// Builds the plan of a product and hands it to the kernels of the level in use.
#include "contraction.h"

#include "cpu/threads.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace hadamard {
namespace {

enum Slot { left, right, result, bias, slots };
long stride(const Index &x, int slot) {
  return slot == left ? x.a : slot == right ? x.b : slot == result ? x.c : x.bias;
}

// The indices that play one role, outermost first.
struct Group {
  Index index[max_dims];
  int count = 0;
  long size = 1;

  void add(const Index &x) {
    size *= x.size;
    if (x.size != 1) index[count++] = x;
  }
  // Largest stride first, as seen by `slot`, so that runs in memory stay runs. Stable.
  void order(int slot) {
    for (int i = 1; i < count; ++i)
      for (int j = i; j > 0 && stride(index[j - 1], slot) < stride(index[j], slot); --j)
        std::swap(index[j - 1], index[j]);
  }
  // The one stride that walks the whole group in an operand; false when there is none.
  bool single(int slot, long &step) const {
    if (size == 0) return step = 0, true;
    step = count ? stride(index[count - 1], slot) : 0;
    for (int i = count - 1; i > 0; --i)
      if (stride(index[i - 1], slot) != stride(index[i], slot) * index[i].size) return false;
    return true;
  }
  void offsets(int slot, long *out) const {
    out[0] = 0;
    long filled = 1;
    for (int i = count - 1; i >= 0; --i) {
      for (long x = index[i].size - 1; x >= 0; --x) // the first block, in place, is the last to be shifted
        for (long j = 0; j < filled; ++j) out[x * filled + j] = out[j] + x * stride(index[i], slot);
      filled *= index[i].size;
    }
  }
};

long unique_elements(const Group &group, int slot) {
  long n = 1;
  for (int i = 0; i < group.count; ++i)
    if (stride(group.index[i], slot) != 0) n *= group.index[i].size;
  return n;
}

// The only place where a route is chosen: a function of sizes, strides and dtype. The measurements behind the numbers
// are those of benchmarks/ on AVX2; away from the borders the routes differ by less than a tenth.
struct Choice {
  Route route;
  const char *reason;
};
Choice choose(const Gemm &g) {
  auto unit = [](const Axis &x) { return !x.offsets && x.stride == 1; };
  if (g.k == 0) return {Route::reference, "nothing is summed"};
  if (g.m == 1 && g.n == 1) return {Route::dot, "one row and one column: a dot product"};
  if (g.n == 1 && (unit(g.a_k) || unit(g.a_m))) return {Route::gemv, "one column: bound by reading the matrix"};
  if (g.m == 1 && (unit(g.b_k) || unit(g.b_n))) return {Route::gemv, "one row: bound by reading the matrix"};
  bool full_width =
      dtype_in(g.dtype, set_of(DType::F32) | set_of(DType::F64) | set_of(DType::I32) | set_of(DType::I64));
  if (full_width && unit(g.b_n) && !g.b_k.offsets && !g.a_m.offsets && !g.a_k.offsets) {
    long width = size_of(g.dtype);
    if (g.m <= 16) return {Route::direct, "few rows: the right operand is used too seldom to be worth packing"};
    if (g.k * g.n * width <= 96 << 10) return {Route::direct, "the right operand fits the cache as it is"};
  }
  if (g.m <= 96 && g.m <= g.n) return {Route::skinny, "few rows: the left operand is packed whole"};
  if (g.n <= 96) return {Route::tall, "few columns: the right operand is packed whole"};
  return {Route::packed, "large: both operands are packed block by block"};
}

} // namespace

const char *name_of(Route route) {
  static const char *const names[] = {"reference", "dot", "gemv", "direct", "packed", "skinny", "tall", "split-k"};
  return names[int(route)];
}

Contraction::Contraction(DType dtype, DType result_dtype, const Index *indices, int count) {
  Group groups[4];
  auto &[batch, row, column, summed] = groups;
  for (int i = 0; i < count; ++i) {
    Index x = indices[i];
    // A batch index along which the right operand repeats is one more row index: the right operand is then read once.
    if (x.role == Role::batch && x.b == 0 && x.a != 0) x.role = Role::row;
    groups[int(x.role)].add(x);
  }
  // Rows follow the result; k follows the operand whose inner index is contiguous.
  batch.order(result), row.order(result), column.order(result), summed.order(left);
  gemm_ = {};
  gemm_.dtype = dtype, gemm_.result = result_dtype;
  gemm_.batch = batch.size, gemm_.m = row.size, gemm_.n = column.size, gemm_.k = summed.size;

  struct Use {
    const Group *group;
    int slot;
    Axis *axis;
  };
  const Use uses[] = {{&batch, left, &gemm_.a_batch},    {&row, left, &gemm_.a_m},     {&summed, left, &gemm_.a_k},
                      {&batch, right, &gemm_.b_batch},   {&summed, right, &gemm_.b_k}, {&column, right, &gemm_.b_n},
                      {&batch, result, &gemm_.c_batch},  {&row, result, &gemm_.c_m},   {&column, result, &gemm_.c_n},
                      {&batch, bias, &gemm_.bias_batch}, {&row, bias, &gemm_.bias_m},  {&column, bias, &gemm_.bias_n}};
  long table = 0;
  for (const Use &u : uses) {
    u.axis->offsets = nullptr;
    if (!u.group->single(u.slot, u.axis->stride)) table += u.group->size;
  }
  if (table) {
    tables_.reset(new long[size_t(table)]);
    long *next = tables_.get();
    for (const Use &u : uses)
      if (long ignored; !u.group->single(u.slot, ignored)) {
        u.group->offsets(u.slot, next);
        u.axis->offsets = next;
        next += u.group->size;
      }
  }
  // A result stored by columns is the transpose of one stored by rows.
  auto unit = [](const Axis &x) { return !x.offsets && x.stride == 1; };
  swapped_ = gemm_.n != 1 && gemm_.m != 1 && unit(gemm_.c_m) && !unit(gemm_.c_n);
  if (swapped_) {
    std::swap(gemm_.m, gemm_.n);
    std::swap(gemm_.a_batch, gemm_.b_batch);
    std::swap(gemm_.a_m, gemm_.b_n);
    std::swap(gemm_.a_k, gemm_.b_k);
    std::swap(gemm_.c_m, gemm_.c_n);
    std::swap(gemm_.bias_m, gemm_.bias_n);
  }
  auto [route, why] = choose(gemm_);
  gemm_.route = route, reason_ = why;
  auto elements = [&](int slot, const Group &x, const Group &y) {
    return double(unique_elements(batch, slot)) * double(unique_elements(x, slot)) * double(unique_elements(y, slot));
  };
  bytes_ = (elements(left, row, summed) + elements(right, summed, column)) * double(size_of(dtype)) +
           elements(result, row, column) * double(size_of(result_dtype));
  // A thread is woken for about ten microseconds of work, in products or in bytes.
  double work = std::max(multiply_adds() / 200000, bytes_ / 200000);
  gemm_.threads = work < 2 ? 1 : int(std::min<double>(num_threads(), work));
}

void Contraction::run(const char *a, const char *b, char *c, const Epilogue &epilogue) const {
  Gemm g = gemm_;
  g.a = swapped_ ? b : a;
  g.b = swapped_ ? a : b;
  g.c = c;
  g.accumulate = epilogue.accumulate;
  g.bias = epilogue.bias;
  g.activation = epilogue.activation;
  level().gemm(g);
}

std::string Contraction::explain() const {
  char text[512];
  DType sum = dtype_in(gemm_.dtype, set_of(DType::F16) | set_of(DType::BF16)) ? DType::F32 : gemm_.result;
  const char *order = dtype_in(gemm_.dtype, integers) ? "exact modulo the width of the result"
                      : gemm_.route == Route::dot || gemm_.route == Route::gemv
                          ? "lanes of a vector, then blocks"
                          : "in order of k within a block, then block by block";
  std::snprintf(text, sizeof text,
                "%ld matrices of %ld rows, %ld columns, %ld summed; route %s (%s)%s; %.4g multiply-adds, %.4g bytes; "
                "summed in %s, %s; at most %d threads",
                batch(), rows(), columns(), depth(), name_of(gemm_.route), reason_,
                swapped_ ? ", as its transpose" : "", multiply_adds(), bytes_, info(sum).name, order, gemm_.threads);
  return text;
}

} // namespace hadamard
