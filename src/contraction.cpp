// Builds the plan of a product and hands it to the kernels of the level in use.
#include "contraction.h"

#include "cpu/threads.h"

#include <algorithm>
#include <utility>

namespace hadamard {

void (*plan_hook)(const Contraction &) = nullptr;

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

// The only place where a route is chosen: a function of sizes, strides and dtype. The measurements behind the numbers
// are those of benchmarks/ on AVX2; away from the borders the routes differ by less than a tenth.
struct Choice {
  Route route;
  const char *reason;
};
Choice choose(const Gemm &g) {
  auto unit = [](const Axis &x) { return !x.offsets && x.stride == 1; };
  const long width = size_of(g.dtype);
  if (g.k == 0) return {Route::reference, "nothing is summed"};
  if (g.m == 1 && g.n == 1) return {Route::dot, "one row and one column: a dot product"};
  if (g.n == 1 && (unit(g.a_k) || unit(g.a_m))) return {Route::gemv, "one column: bound by reading the matrix"};
  if (g.m == 1 && (unit(g.b_k) || unit(g.b_n))) return {Route::gemv, "one row: bound by reading the matrix"};
  bool full_width =
      dtype_in(g.dtype, set_of(DType::F32) | set_of(DType::F64) | set_of(DType::I32) | set_of(DType::I64));
  if (full_width && unit(g.b_n) && !g.b_k.offsets && !g.a_m.offsets && !g.a_k.offsets) {
    const char *seldom = "few rows: the right operand is used too seldom to be worth packing";
    const long bytes = g.k * g.n * width;
    if (g.m <= 16) return {Route::direct, seldom};
    if (bytes <= 32 << 10) return {Route::direct, "the right operand fits the first cache as it is"};
    // Rows of B a whole kilobyte apart fall on the same few lines of the cache.
    if (g.m <= 64 && bytes <= 160 << 10 && g.b_k.stride * width % 1024 != 0) return {Route::direct, seldom};
  }
  const long packed = std::min(g.m, g.n) * g.k * width; // bytes of the smaller operand
  const long few = packed <= 4 << 20 ? 256 : 96;
  // Beyond the second cache either would be packed a block at a time: rather the one that leaves the rows in place.
  const bool long_sums = g.n <= 64 && packed > 256 << 10;
  if (g.m <= few && g.m <= g.n && !long_sums) return {Route::skinny, "few rows: the left operand is packed whole"};
  if (g.n <= few) return {Route::tall, "few columns: the right operand is packed whole"};
  return {Route::packed, "large: both operands are packed block by block"};
}

} // namespace

namespace {

struct Use {
  int role, slot;
  Axis Gemm::*axis;
};
constexpr int of_batch = int(Role::batch), of_row = int(Role::row), of_column = int(Role::column),
              of_summed = int(Role::summed);
constexpr Use uses[] = {
    {of_batch, left, &Gemm::a_batch},    {of_row, left, &Gemm::a_m},     {of_summed, left, &Gemm::a_k},
    {of_batch, right, &Gemm::b_batch},   {of_summed, right, &Gemm::b_k}, {of_column, right, &Gemm::b_n},
    {of_batch, result, &Gemm::c_batch},  {of_row, result, &Gemm::c_m},   {of_column, result, &Gemm::c_n},
    {of_batch, bias, &Gemm::bias_batch}, {of_row, bias, &Gemm::bias_m},  {of_column, bias, &Gemm::bias_n}};

// Several indices in one role: merged into one stride where memory allows, else into a table of offsets.
void merge(const Index *indices, int count, Gemm &g, std::unique_ptr<long[]> &tables, bool to_run) {
  Group groups[4];
  for (int i = 0; i < count; ++i) groups[int(indices[i].role)].add(indices[i]);
  // Rows follow the result; k follows the left operand.
  groups[of_batch].order(result), groups[of_row].order(result), groups[of_column].order(result),
      groups[of_summed].order(left);
  long table = 0;
  for (const Use &u : uses) {
    Axis &axis = g.*u.axis;
    axis.offsets = nullptr;
    if (!groups[u.role].single(u.slot, axis.stride)) table += groups[u.role].size;
  }
  if (!table) return;
  static const long nowhere = 0;
  if (to_run) tables.reset(new long[size_t(table)]);
  long *next = tables.get();
  for (const Use &u : uses) {
    const Group &group = groups[u.role];
    if (long ignored; group.single(u.slot, ignored)) continue;
    (g.*u.axis).offsets = &nowhere;
    if (!to_run) continue;
    group.offsets(u.slot, next);
    (g.*u.axis).offsets = next;
    next += group.size;
  }
}

// An outer row or column index that does not follow the inner ones in the result is better a batch index: where the
// result needs a table of offsets, tiles that cross from one run to the next cannot be written straight to their place.
// Runs shorter than `enough` keep it: together they need the other operand packed only once. Returns whether it did.
bool split_off(Index *indices, int count, Role role, long enough) {
  Group group;
  for (int i = 0; i < count; ++i)
    if (indices[i].role == role) group.add(indices[i]);
  if (group.count < 2) return false;
  group.order(result);
  int first = group.count - 1; // of the ones that follow each other
  long together = group.index[first].size;
  for (; first > 0 && group.index[first - 1].c == group.index[first].c * group.index[first].size; --first)
    together *= group.index[first - 1].size;
  if (first == 0 || together < enough) return false;
  for (int i = 0; i < count; ++i)
    if (indices[i].role == role && indices[i].c >= group.index[first - 1].c) indices[i].role = Role::batch;
  return true;
}
} // namespace

Contraction::Contraction(DType dtype, DType result_dtype, const Index *indices, int count, bool to_run) {
  Index kept[max_dims];
  int kept_count = 0, in_role[4] = {};
  for (int i = 0; i < count; ++i) {
    if (indices[i].size == 1) continue;
    Index &x = kept[kept_count++];
    x = indices[i];
    // A batch index along which the right operand repeats is one more row index: the right operand is then read once.
    if (x.role == Role::batch && x.b == 0 && x.a != 0) x.role = Role::row;
    ++in_role[int(x.role)];
  }
  bool unit_result = false;
  for (int i = 0; i < kept_count; ++i)
    unit_result |= kept[i].c == 1 && (kept[i].role == Role::row || kept[i].role == Role::column);
  if (unit_result && (in_role[of_row] > 1 || in_role[of_column] > 1)) {
    // Where nothing is packed, runs of few rows do.
    Index split[max_dims];
    std::copy(kept, kept + kept_count, split);
    bool rows = split_off(split, kept_count, Role::row, 8), columns = split_off(split, kept_count, Role::column, 16);
    if (rows || columns) {
      build(dtype, result_dtype, split, kept_count, to_run);
      if (gemm_.route == Route::direct) return;
    }
    split_off(kept, kept_count, Role::row, 1024), split_off(kept, kept_count, Role::column, 1024);
  }
  build(dtype, result_dtype, kept, kept_count, to_run);
}

void Contraction::build(DType dtype, DType result_dtype, const Index *indices, int count, bool to_run) {
  const Index *one[4] = {};
  int in_role[4] = {};
  long size[4] = {1, 1, 1, 1};
  double elements[3] = {1, 1, 1};
  for (int i = 0; i < count; ++i) {
    const Index &x = indices[i];
    int role = int(x.role);
    one[role] = &x;
    ++in_role[role];
    size[role] *= x.size;
    if (x.a) elements[left] *= double(x.size);
    if (x.b) elements[right] *= double(x.size);
    if (x.c) elements[result] *= double(x.size);
  }
  gemm_ = {};
  gemm_.dtype = dtype, gemm_.result = result_dtype;
  gemm_.batch = size[of_batch], gemm_.m = size[of_row], gemm_.n = size[of_column], gemm_.k = size[of_summed];
  if (in_role[of_batch] <= 1 && in_role[of_row] <= 1 && in_role[of_column] <= 1 && in_role[of_summed] <= 1) {
    for (const Use &u : uses)
      if (one[u.role]) (gemm_.*u.axis).stride = stride(*one[u.role], u.slot);
  } else {
    merge(indices, count, gemm_, tables_, to_run);
  }
  bytes_ =
      (elements[left] + elements[right]) * double(size_of(dtype)) + elements[result] * double(size_of(result_dtype));
  decide();
}

Contraction::Contraction(DType dtype, DType result_dtype, const Matrices &s) {
  gemm_ = {};
  gemm_.dtype = dtype, gemm_.result = result_dtype;
  gemm_.batch = 1, gemm_.m = s.m, gemm_.n = s.n, gemm_.k = s.k;
  if (s.m != 1) gemm_.a_m.stride = s.a_m, gemm_.c_m.stride = s.c_m, gemm_.bias_m.stride = s.bias_m;
  if (s.n != 1) gemm_.b_n.stride = s.b_n, gemm_.c_n.stride = s.c_n, gemm_.bias_n.stride = s.bias_n;
  if (s.k != 1) gemm_.a_k.stride = s.a_k, gemm_.b_k.stride = s.b_k;
  auto once = [](long stride, long size) { return stride ? double(size) : 1.0; };
  bytes_ = (once(s.a_m, s.m) * once(s.a_k, s.k) + once(s.b_k, s.k) * once(s.b_n, s.n)) * double(size_of(dtype)) +
           double(s.m) * double(s.n) * double(size_of(result_dtype));
  decide();
}

void Contraction::decide() {
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
  // A thread is woken for about ten microseconds of work, in products or in bytes.
  double work = std::max(multiply_adds(), bytes_);
  gemm_.threads = work < 400000 ? 1 : int(std::min<double>(num_threads(), work / 200000));
}

void Contraction::run(const char *a, const char *b, char *c, const Epilogue &epilogue) {
  Gemm &g = gemm_;
  g.a = swapped_ ? b : a;
  g.b = swapped_ ? a : b;
  g.c = c;
  g.accumulate = epilogue.accumulate;
  g.bias = epilogue.bias;
  g.activation = epilogue.activation;
  level().gemm(g);
}

DType Contraction::sum_type() const {
  return dtype_in(gemm_.dtype, set_of(DType::F16) | set_of(DType::BF16)) ? DType::F32 : gemm_.result;
}

const char *Contraction::name() const {
  static const char *const names[] = {"reference", "dot", "gemv", "direct", "packed", "skinny", "tall", "split-k"};
  return name_ ? name_ : names[int(gemm_.route)];
}

const char *Contraction::order() const {
  if (order_) return order_;
  if (dtype_in(gemm_.dtype, integers)) return "exact modulo the width of the sum";
  return gemm_.route == Route::dot || gemm_.route == Route::gemv ? "in the lanes of vectors, then block by block"
                                                                 : "in order within a block, then block by block";
}

} // namespace hadamard
