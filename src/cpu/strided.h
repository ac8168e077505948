// Moving elements of any size between strides, shared by map() and the reductions.
#pragma once
#include "simd.h"

namespace hadamard::LEVEL {
namespace {

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

// n < 2 * width bytes or so, without a call.
HD_INLINE void copy_bytes(char *to, const char *from, long n) {
  for (; n >= 16; n -= 16, to += 16, from += 16) __builtin_memcpy(to, from, 16);
  if (n & 8) __builtin_memcpy(to, from, 8), to += 8, from += 8;
  if (n & 4) __builtin_memcpy(to, from, 4), to += 4, from += 4;
  if (n & 2) __builtin_memcpy(to, from, 2), to += 2, from += 2;
  if (n & 1) *to = *from;
}

struct Stride {
  long row, col;
};
// 16-byte squares: to[i][j] = from[j][i], rows of `out` and `in` bytes apart.
HD_INLINE void transpose_square(Type<int32_t>, char *to, long out, const char *from, long in) {
  using V = Vector<int32_t, 4>;
  V a = raw<int32_t, 4>(from), b = raw<int32_t, 4>(from + in), c = raw<int32_t, 4>(from + 2 * in),
    d = raw<int32_t, 4>(from + 3 * in);
  V p = shuffle<int32_t, 4, 0, 4, 1, 5>(a, b), q = shuffle<int32_t, 4, 2, 6, 3, 7>(a, b);
  V r = shuffle<int32_t, 4, 0, 4, 1, 5>(c, d), s = shuffle<int32_t, 4, 2, 6, 3, 7>(c, d);
  put(to, shuffle<int32_t, 4, 0, 1, 4, 5>(p, r));
  put(to + out, shuffle<int32_t, 4, 2, 3, 6, 7>(p, r));
  put(to + 2 * out, shuffle<int32_t, 4, 0, 1, 4, 5>(q, s));
  put(to + 3 * out, shuffle<int32_t, 4, 2, 3, 6, 7>(q, s));
}
HD_INLINE void transpose_square(Type<int64_t>, char *to, long out, const char *from, long in) {
  auto a = raw<int64_t, 2>(from), b = raw<int64_t, 2>(from + in);
  put(to, shuffle<int64_t, 2, 0, 2>(a, b));
  put(to + out, shuffle<int64_t, 2, 1, 3>(a, b));
}

// rows x cols elements, in the order that reads what is contiguous.
[[maybe_unused]] void copy_block(char *to, Stride out, const char *from, Stride in, int size, long rows, long cols) {
  auto reach = [](long s) { return s < 0 ? -s : s; };
  if (in.col == size && out.col == size && cols * size >= 16) {
    for (long i = 0; i < rows; ++i) __builtin_memcpy(to + i * out.row, from + i * in.row, cols * size);
    return;
  }
  if (rows > 1 && reach(in.row) < reach(in.col)) {
    const long n = rows;
    rows = cols, cols = n;
    in = {in.col, in.row}, out = {out.col, out.row};
  }
  with_size(size, [&]<class T>(Type<T> type) {
    auto plain = [&](long i, long i_end, long j, long j_end) {
      for (; i < i_end; ++i) {
        char *p = to + i * out.row + j * out.col;
        const char *q = from + i * in.row + j * in.col;
        for (long k = j; k < j_end; ++k, p += out.col, q += in.col) __builtin_memcpy(p, q, sizeof(T));
      }
    };
    if constexpr (sizeof(T) == 4 || sizeof(T) == 8) {
      constexpr long side = 16 / sizeof(T);
      if (in.col == sizeof(T) && out.row == sizeof(T) && rows >= side && cols >= side) {
        const long r = rows - rows % side, c = cols - cols % side;
        for (long i = 0; i < r; i += side)
          for (long j = 0; j < c; j += side)
            transpose_square(type, to + i * out.row + j * out.col, out.col, from + i * in.row + j * in.col, in.row);
        plain(0, r, c, cols);
        return plain(r, rows, 0, cols);
      }
    }
    plain(0, rows, 0, cols);
  });
}

} // namespace
} // namespace hadamard::LEVEL
