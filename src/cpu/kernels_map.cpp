// map(): strides, repeats and tails for every loop, once. What is not contiguous passes through a small buffer.
#include "level.h"
#include "simd.h"

namespace hadamard::LEVEL {
namespace {

constexpr long block = 512;                     // elements that pass through the buffer at once
constexpr long longest = 2 * width;             // bytes of one vector of complex128
constexpr int enough_vectors = 4;               // rows of fewer vectors are gathered into a block
constexpr long tile_rows = 16, tile_cols = 32;  // where an operand runs across the rows

struct Sixteen {
  int64_t half[2];
};
template <class F> HD_INLINE void with_size(int size, F &&f) {
  if (size == 4) f(Type<int32_t>{});
  else if (size == 8) f(Type<int64_t>{});
  else if (size == 1) f(Type<int8_t>{});
  else if (size == 2) f(Type<int16_t>{});
  else f(Type<Sixteen>{});
}
template <class T> HD_INLINE T read(const char *p) {
  T t;
  __builtin_memcpy(&t, p, sizeof t);
  return t;
}

// n < 2 * longest bytes, without a call.
HD_INLINE void copy_bytes(char *to, const char *from, long n) {
  for (; n >= 16; n -= 16, to += 16, from += 16) __builtin_memcpy(to, from, 16);
  if (n & 8) __builtin_memcpy(to, from, 8), to += 8, from += 8;
  if (n & 4) __builtin_memcpy(to, from, 4), to += 4, from += 4;
  if (n & 2) __builtin_memcpy(to, from, 2), to += 2, from += 2;
  if (n & 1) *to = *from;
}
HD_INLINE void splat(char *to, const char *from, int size, int lanes) {
  with_size(size, [&]<class T>(Type<T>) {
    const T x = read<T>(from);
    for (int i = 0; i < lanes; ++i) __builtin_memcpy(to + i * sizeof(T), &x, sizeof(T));
  });
}

// rows x cols elements, in the order that reads or writes what is contiguous.
struct Stride {
  long row, col;
};
void copy_block(char *to, Stride out, const char *from, Stride in, int size, long rows, long cols) {
  auto reach = [](long s) { return s < 0 ? -s : s; };
  if (in.col == size && out.col == size && cols * size >= 16) {
    for (long i = 0; i < rows; ++i) __builtin_memcpy(to + i * out.row, from + i * in.row, cols * size);
    return;
  }
  if (rows > 1 && reach(in.row) + reach(out.row) < reach(in.col) + reach(out.col)) {
    long n = rows;
    rows = cols, cols = n;
    in = {in.col, in.row}, out = {out.col, out.row};
  }
  with_size(size, [&]<class T>(Type<T>) {
    for (long i = 0; i < rows; ++i) {
      char *p = to + i * out.row;
      const char *q = from + i * in.row;
      for (long j = 0; j < cols; ++j, p += out.col, q += in.col) __builtin_memcpy(p, q, sizeof(T));
    }
  });
}

// One row that each operand either runs through or repeats.
HD_INLINE void run_row(const Loop &loop, char *const *data, const long *step, long n) {
  const int shift = __builtin_ctz(loop.lanes);
  const long vectors = n >> shift;
  const int left = int(n & (loop.lanes - 1));
  if (vectors) loop.vectors(data, step, vectors);
  if (!left) return;
  alignas(64) char buffer[max_operands][longest];
  char *at[max_operands];
  at[0] = buffer[0];
  for (int k = 1; k < loop.operands; ++k) {
    at[k] = data[k];
    if (!step[k]) continue;
    at[k] = buffer[k];
    __builtin_memset(buffer[k], 0, longest);
    copy_bytes(buffer[k], data[k] + vectors * step[k], left * loop.size[k]);
  }
  loop.vectors(at, step, 1);
  copy_bytes(data[0] + vectors * step[0], buffer[0], left * loop.size[0]);
}

// rows x cols elements, at most a block.
void run_block(const Loop &loop, char *const *data, const Stride *stride, long rows, long cols) {
  alignas(64) char buffer[max_operands][block * 16 + longest];
  char *at[max_operands];
  long step[max_operands];
  const long n = rows * cols;
  const long vectors = (n + loop.lanes - 1) / loop.lanes;
  const bool whole = vectors * loop.lanes == n;
  bool through[max_operands];
  for (int k = 0; k < loop.operands; ++k) {
    const int size = loop.size[k];
    const Stride s = stride[k];
    step[k] = loop.lanes * size;
    at[k] = buffer[k];
    through[k] = !(whole && s.col == size && (rows == 1 || s.row == cols * size));
    if (!through[k]) at[k] = data[k];
    else if (k == 0) continue;
    else if (s.col == 0 && (rows == 1 || s.row == 0)) {
      splat(buffer[k], data[k], size, loop.lanes);
      step[k] = 0;
    } else {
      copy_block(buffer[k], {cols * size, size}, data[k], s, size, rows, cols);
      if (!whole) __builtin_memset(buffer[k] + n * size, 0, (vectors * loop.lanes - n) * size);
    }
  }
  loop.vectors(at, step, vectors);
  if (through[0]) copy_block(data[0], stride[0], buffer[0], {cols * loop.size[0], loop.size[0]}, loop.size[0], rows, cols);
}

// The two innermost dimensions.
struct Plan {
  bool direct;  // every operand runs through a row or repeats in it
  bool across;  // some operand is contiguous across the rows instead
  long step[max_operands];
};
HD_INLINE void run_plane(const Loop &loop, const Plan &plan, char *const *data, const Stride *stride, long rows,
                         long cols) {
  if (plan.direct && (cols >= enough_vectors * loop.lanes || rows == 1)) {
    alignas(64) char repeated[max_operands][longest];
    for (long i = 0; i < rows; ++i) {
      char *at[max_operands];
      for (int k = 0; k < loop.operands; ++k) {
        at[k] = data[k] + i * stride[k].row;
        if (plan.step[k]) continue;
        if (i == 0 || stride[k].row) splat(repeated[k], at[k], loop.size[k], loop.lanes);
        at[k] = repeated[k];
      }
      run_row(loop, at, plan.step, cols);
    }
    return;
  }
  const long wide = plan.across && rows > 1 ? tile_cols : block;
  for (long j = 0; j < cols; j += wide) {
    const long w = cols - j < wide ? cols - j : wide;
    const long high = plan.across ? tile_rows : block / w;
    for (long i = 0; i < rows; i += high) {
      char *at[max_operands];
      for (int k = 0; k < loop.operands; ++k) at[k] = data[k] + i * stride[k].row + j * stride[k].col;
      const long h = rows - i < high ? rows - i : high;
      if (loop.copy) copy_block(at[0], stride[0], at[1], stride[1], loop.size[0], h, w);
      else run_block(loop, at, stride, h, w);
    }
  }
}

} // namespace

void map(const Loop &loop, const Grid &grid) {
  const int n = grid.ndim;
  for (int d = 0; d < n; ++d)
    if (grid.shape[d] == 0) return;
  const long cols = n > 0 ? grid.shape[n - 1] : 1, rows = n > 1 ? grid.shape[n - 2] : 1;
  char *data[max_operands];
  Stride stride[max_operands];
  Plan plan;
  plan.direct = true, plan.across = false;
  for (int k = 0; k < loop.operands; ++k) {
    data[k] = grid.data[k];
    const long size = loop.size[k];
    const Stride s = {n > 1 ? grid.stride[n - 2][k] : 0, cols > 1 ? grid.stride[n - 1][k] : size};
    stride[k] = s;
    plan.direct &= s.col == size || (k && s.col == 0);
    plan.across |= rows > 1 && s.row && (s.row < 0 ? -s.row : s.row) < (s.col < 0 ? -s.col : s.col);
    plan.step[k] = s.col ? size * loop.lanes : 0;
  }
  if (n <= 2) return run_plane(loop, plan, data, stride, rows, cols);
  long index[max_dims] = {};
  for (;;) {
    run_plane(loop, plan, data, stride, rows, cols);
    int d = n - 3;
    for (; d >= 0; --d) {
      for (int k = 0; k < loop.operands; ++k) data[k] += grid.stride[d][k];
      if (++index[d] < grid.shape[d]) break;
      for (int k = 0; k < loop.operands; ++k) data[k] -= grid.stride[d][k] * grid.shape[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

} // namespace hadamard::LEVEL
