// map(): strides, repeats and tails for every loop, once. What is not contiguous passes through a small buffer.
#include "level.h"
#include "strided.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace hadamard::LEVEL {
namespace {

constexpr long block = 512;                    // elements that pass through the buffer at once
constexpr long longest = 2 * width;            // bytes of one vector of complex128
constexpr int enough_vectors = 4;              // rows of fewer vectors are gathered into a block
constexpr long large = 1 << 24;                // bytes of a result that no cache will hold until it is read
constexpr long tile_rows = 32, tile_cols = 16; // where an operand runs across the rows

template <class T> HD_INLINE T read(const char *p) {
  T t;
  __builtin_memcpy(&t, p, sizeof t);
  return t;
}

// One element over a whole vector, stored as vectors: it is read back at once.
HD_INLINE void splat(char *to, const char *from, int size, int lanes) {
  with_size(size, [&]<class T>(Type<T>) {
    const T x = read<T>(from);
    if constexpr (sizeof(T) == 16) {
      for (int i = 0; i < lanes; ++i) __builtin_memcpy(to + i * sizeof(T), &x, sizeof(T));
    } else {
      using V = Vector<T, width / sizeof(T)>;
      for (int i = 0; i < lanes * int(sizeof(T)); i += width) put(to + i, V(x - V{}));
    }
  });
}

// n < longest bytes, then zeros up to `longest`; in whole vectors where possible, for these are read back at once.
HD_INLINE void copy_padded(char *to, const char *from, int n) {
#if defined(__AVX512BW__)
  for (int i = 0; i < longest; i += 64) {
    const uint64_t mask = n >= i + 64 ? ~uint64_t(0) : n <= i ? 0 : (uint64_t(1) << (n - i)) - 1;
    put(to + i, _mm512_maskz_loadu_epi8(mask, from + i));
  }
#else
#if defined(__AVX2__)
  if (n % 4 == 0) {
    const Vector<int32_t, 8> lane = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int i = 0; i < longest; i += 32)
      put(to + i, _mm256_maskload_epi32((const int *)(from + i), (__m256i)(lane < n / 4 - i / 4)));
    return;
  }
#endif
  for (int i = 0; i < longest; i += width) put(to + i, Vector<int64_t, width / 8>{});
  copy_bytes(to, from, n);
#endif
}

#if defined(__SSE2__)
// A large result goes past the caches by way of a buffer of few vectors: its lines are not read first. Operands are
// asked for ahead of time, because loads wait behind the stores that memory takes its time for.
__attribute__((noinline)) void run_past_caches(const Loop &loop, char *const *data, const long *step, long vectors) {
  constexpr long bytes = 512, line = 64;
  alignas(64) char buffer[bytes];
  char *at[max_operands] = {buffer};
  for (int k = 1; k < loop.operands; ++k) at[k] = data[k];
  char *out = data[0];
  const long many = bytes / step[0];
  for (long i = 0; i < vectors; i += many) {
    const long count = vectors - i < many ? vectors - i : many;
    loop.vectors(at, step, count);
    for (int k = 1; k < loop.operands; ++k) {
      at[k] += count * step[k];
      for (long ahead = 0; ahead < count * step[k]; ahead += line)
        _mm_prefetch(at[k] + many * step[k] + ahead, _MM_HINT_T0);
    }
    for (const char *p = buffer; p < buffer + count * step[0]; p += width, out += width)
#if defined(__AVX512F__)
      _mm512_stream_si512((__m512i *)out, *(const __m512i *)p);
#elif defined(__AVX2__)
      _mm256_stream_si256((__m256i *)out, *(const __m256i *)p);
#else
      _mm_stream_si128((__m128i *)out, *(const __m128i *)p);
#endif
  }
  _mm_sfence();
}
bool goes_past_caches(const Loop &loop, char *const *data, const long *step) {
  if (step[0] % width || uintptr_t(data[0]) % loop.size[0]) return false;
  for (int k = 1; k < loop.operands; ++k)
    if (data[k] == data[0]) return false; // in place: the lines are there
  return true;
}
#else
void run_past_caches(const Loop &, char *const *, const long *, long) {}
bool goes_past_caches(const Loop &, char *const *, const long *) { return false; }
#endif

// One row that each operand either runs through or repeats.
void run_large_row(const Loop &loop, char *const *data, const long *step, long n);
HD_INLINE void run_row(const Loop &loop, char *const *data, const long *step, long n) {
  const int shift = __builtin_ctz(loop.lanes);
  if ((n >> shift) * step[0] >= large && goes_past_caches(loop, data, step)) return run_large_row(loop, data, step, n);
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
    copy_padded(buffer[k], data[k] + vectors * step[k], left * loop.size[k]);
  }
  loop.vectors(at, step, 1);
  copy_bytes(data[0] + vectors * step[0], buffer[0], left * loop.size[0]);
}

// What lies before the first whole vector of the result, and after the last one, is stored as ever.
__attribute__((noinline)) void run_large_row(const Loop &loop, char *const *data, const long *step, long n) {
  char *at[max_operands];
  for (int k = 0; k < loop.operands; ++k) at[k] = data[k];
  auto go_on = [&](long elements) {
    n -= elements;
    for (int k = 0; k < loop.operands; ++k)
      if (step[k]) at[k] += elements * loop.size[k];
  };
  if (const long before = long(-uintptr_t(at[0]) % width)) {
    loop.vectors(at, step, 1);
    go_on(before / loop.size[0]);
  }
  const long vectors = n / loop.lanes;
  run_past_caches(loop, at, step, vectors);
  go_on(vectors * loop.lanes);
  run_row(loop, at, step, n);
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
  if (through[0])
    copy_block(data[0], stride[0], buffer[0], {cols * loop.size[0], loop.size[0]}, loop.size[0], rows, cols);
}

// The two innermost dimensions.
struct Plan {
  bool direct; // every operand runs through a row or repeats in it
  bool across; // some operand is contiguous across the rows instead
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
      if (!loop.copy) run_block(loop, at, stride, h, w);
      else if (!plan.across) copy_block(at[0], stride[0], at[1], stride[1], loop.size[0], h, w);
      else { // by way of a buffer: rows a power of two apart would fall on each other in the cache
        const int size = loop.size[0];
        alignas(64) char buffer[tile_rows * tile_cols * sizeof(Sixteen)];
        copy_block(buffer, {w * size, size}, at[1], stride[1], size, h, w);
        copy_block(at[0], stride[0], buffer, {w * size, size}, size, h, w);
      }
    }
  }
}

// One row that each operand runs through or repeats one element in, as where a number meets a tensor.
HD_INLINE bool run_repeating_row(const Loop &loop, const Grid &grid) {
  const long *stride = grid.stride[0];
  bool fits = grid.ndim == 1 && grid.shape[0] > 0 && stride[0] == loop.size[0];
  for (int k = 1; k < loop.operands; ++k) fits &= !stride[k] || stride[k] == loop.size[k];
  if (!fits) return false;
  alignas(64) char repeated[max_operands][longest];
  char *at[max_operands];
  long step[max_operands];
  for (int k = 0; k < loop.operands; ++k) {
    at[k] = grid.data[k];
    step[k] = stride[k] * loop.lanes;
    if (step[k]) continue;
    splat(repeated[k], at[k], loop.size[k], loop.lanes);
    at[k] = repeated[k];
  }
  run_row(loop, at, step, grid.shape[0]);
  return true;
}

__attribute__((noinline)) void map_strided(const Loop &loop, const Grid &grid) {
  if (run_repeating_row(loop, grid)) return;
  const int n = grid.ndim;
  for (int d = 0; d < n; ++d)
    if (grid.shape[d] == 0) return;
  const long cols = n > 0 ? grid.shape[n - 1] : 1, rows = n > 1 ? grid.shape[n - 2] : 1;
  char *data[max_operands];
  Stride stride[max_operands];
  Plan plan;
  plan.direct = true, plan.across = false;
  __builtin_memcpy(data, grid.data, sizeof data); // of known size: a loop would become a slow `rep movs`
  for (int k = 0; k < loop.operands; ++k) {
    const long size = loop.size[k];
    const Stride s = {n > 1 ? grid.stride[n - 2][k] : 0, cols > 1 ? grid.stride[n - 1][k] : size};
    stride[k] = s;
    plan.direct &= s.col == size || (k && s.col == 0);
    plan.across |= rows > 1 && s.row && (s.row < 0 ? -s.row : s.row) < (s.col < 0 ? -s.col : s.col);
    plan.step[k] = s.col ? size * loop.lanes : 0;
  }
  if (n <= 2) return run_plane(loop, plan, data, stride, rows, cols);
  long index[max_dims];
  for (int d = 0; d < n; ++d) index[d] = 0;
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

} // namespace

void map(const Loop &loop, const Grid &grid) {
  if (grid.ndim == 1) { // what is small and contiguous must not wait for the rest
    bool dense = true;
    long step[max_operands];
    for (int k = 0; k < loop.operands; ++k) {
      dense &= grid.stride[0][k] == loop.size[k];
      step[k] = loop.size[k] * loop.lanes;
    }
    if (dense) return run_row(loop, grid.data, step, grid.shape[0]);
  }
  map_strided(loop, grid);
}

} // namespace hadamard::LEVEL
