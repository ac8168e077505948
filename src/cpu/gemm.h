// Products of matrices: one loop nest over packed panels and one micro-kernel, for every dtype and any strides.
//
// A tile of C lives in registers while k runs over one block; blocks of k are summed in memory. The blocks follow from
// k and the dtype alone, and inside a block every element is summed in order of k, so direct, packed, skinny and tall
// give the same bits whatever m, n, the batch and the number of threads.
#pragma once
#include "gemm_vector.h"

namespace hadamard::LEVEL {
namespace {

// The plain version.
using Reference = void (*)(const Job &job);
template <class T, class S, class D> void reference(const Job &job) {
  const Gemm &g = job.g;
  for (long i = 0; i < g.m; ++i)
    for (long j = 0; j < g.n; ++j) {
      T sum[2] = {};
      for (long k = 0; k < g.k; ++k) {
        const S &x = ((const S *)job.a)[at(g.a_m, i) + at(g.a_k, k)],
                &y = ((const S *)job.b)[at(g.b_k, k) + at(g.b_n, j)];
        if constexpr (is_complex<S>) {
          sum[0] += x.re * y.re - x.im * y.im;
          sum[1] += x.re * y.im + x.im * y.re;
        } else {
          sum[0] += widen<T>(x) * widen<T>(y);
        }
      }
      finish<T, D>(job, sum, 0, i, 1, j, 1, g.accumulate, true);
    }
}

template <class T> void add(void *to, const void *from, long n) {
  for (long i = 0; i < n; ++i) ((T *)to)[i] += ((const T *)from)[i];
}

// What the loop nest needs to know of a dtype.
struct Kind {
  int rows, columns; // of a tile, in elements of C
  int reals;         // numbers in an element: 2 where complex
  int unit;          // indices of k in a packed element
  int opens;         // 1: a panel of B has one index of k more, in front: what the sums start from
  int packed;        // bytes of a packed element of A or B
  int real;          // bytes of a number in a tile
  int lanes;
  int source, result; // bytes of an element of A and B, and of C
  bool in_place;      // the micro-kernel can read A and B where they lie
  bool straight;      // and write C
  bool ends;          // with its bias and relu too
  bool rounds;        // C is narrower than the sum: keep partial sums apart
  long k_block;
  const Micro *micros;
  Pack pack_a, pack_b;
  PackRows pack_rows; // nullptr: not for this dtype
  Finish finish;
  void (*add)(void *to, const void *from, long n);
  Gemv dot, gemv_dots, gemv_sums;
  Reference reference;
};

// What the panels of S hold.
template <class S>
using PanelOf = typename If<paired && sizeof(S) <= 2 && same<Compute<S>, uint32_t>, Pair, Compute<S>>::type;
template <class S, class D, class E = PanelOf<S>> constexpr Kind make_kind() {
  using T = Compute<S>;
  using Tl = Tile<E>;
  constexpr int reals = is_complex<S> ? 2 : 1, unit = Element<E>::unit;
  Kind k = {};
  k.rows = Tl::rows / reals, k.columns = Tl::columns / reals;
  k.reals = reals, k.unit = unit, k.opens = Element<E>::opens;
  k.packed = int(sizeof(E)) * reals, k.real = int(sizeof(T)), k.lanes = Tl::lanes;
  k.source = int(sizeof(S)), k.result = int(sizeof(D));
  k.in_place = sizeof(S) == sizeof(T) && unit == 1;
  k.straight = sizeof(D) == sizeof(T) * reals;
  k.ends = is_float<T> && same<T, D>;
  k.rounds = is_float<T> && sizeof(D) < sizeof(T);
  k.k_block = (sizeof(E) == 8 ? 256 : 384) * unit;
  k.micros = &micros<E, reals == 2>.at[0][0][0];
  if constexpr (same<S, c64>) {
    k.pack_a = pack<double, double, Tl::rows / 2>;
    k.pack_b = pack<double, double, Tl::columns / 2>;
    k.pack_rows = pack_rows<double, double, Tl::columns / 2>;
  } else if constexpr (same<S, c128>) {
    k.pack_a = pack<c128, c128, Tl::rows / 2>;
    k.pack_b = pack<c128, c128, Tl::columns / 2>;
  } else if constexpr (unit > 1) {
    k.pack_a = pack_units<E, S, Tl::rows, true>;
    k.pack_b = pack_units<E, S, Tl::columns, false>;
  } else {
    k.pack_a = pack<typename Element<E>::Bits, S, Tl::rows>;
    k.pack_b = pack<typename Element<E>::Bits, S, Tl::columns>;
    k.pack_rows = pack_rows<typename Element<E>::Bits, S, Tl::columns>;
  }
  k.finish = finish<T, D>;
  k.add = add<T>;
  k.dot = dot<T, S, D>;
  k.gemv_dots = gemv_dots<T, S, D>;
  k.gemv_sums = gemv_sums<T, S, D>;
  k.reference = reference<T, S, D>;
  return k;
}

constexpr long l2_share = 192 << 10, l3_share = 6 << 20;

// Equal blocks of k, a function of k alone.
HD_INLINE long block_of(const Kind &kind, long k) {
  long blocks = ceil_div(k, kind.k_block);
  return blocks <= 1 ? k : (ceil_div(k, blocks) + 7) / 8 * 8;
}

// Where the operands of one tile are, strides in numbers.
struct Operand {
  const char *at;
  long row, k;
};
struct Sums {
  char *at;
  long row;
};
// The tiles of one panel of columns in one block of k: what does not depend on their rows.
struct Strip {
  const Kind &kind;
  const Job &job;
  const Micro *micros; // [rows - 1]
  Target to;           // of the first row of C
  long j;
  int columns, tail;
  bool straight, ends, first, last;
  bool bias, complete; // straight: what is added is a bias; the micro-kernel leaves nothing to do
};
HD_INLINE Strip strip(const Kind &kind, const Job &job, bool a_packed, bool b_packed, long j, int columns, bool first,
                      bool last) {
  const Gemm &g = job.g;
  const int n = columns * kind.reals, vectors = (n + kind.lanes - 1) / kind.lanes,
            tail = n - (vectors - 1) * kind.lanes;
  Strip s = {kind, job, kind.micros + (vectors - 1) * 3 * kind.rows, {}, j, columns, tail, false, false, first, last};
  const bool part = tail < kind.lanes;
  s.straight = kind.straight && !g.c_m.offsets && (!part || masked) && together(g.c_n, j, columns) &&
               !(kind.reals == 2 && job.bias);
  if (part && (s.straight || !b_packed)) s.micros += kind.rows;
  else if (a_packed && b_packed) s.micros += 2 * kind.rows;
  if (!s.straight) return s;
  const bool relu = g.activation == Activation::relu;
  s.ends = first && last && !g.accumulate && kind.ends && (relu || g.activation == Activation::none) &&
           (!job.bias || (!g.bias_m.offsets && (steps(g.bias_n, 0) || steps(g.bias_n, 1))));
  char *c = job.c + at(g.c_n, j) * kind.result;
  const long row = g.c_m.stride * kind.reals;
  s.to = {c, row, first && !g.accumulate ? nullptr : c, row, false, s.ends && relu};
  if (s.ends && job.bias) {
    s.to.from = job.bias + j * g.bias_n.stride * kind.result;
    s.to.from_row = g.bias_m.stride, s.to.repeats = !g.bias_n.stride, s.bias = true;
  }
  s.complete = s.ends || !last || (!job.bias && g.activation == Activation::none);
  return s;
}
// Where its row i goes, if straight.
HD_INLINE Target target(const Strip &s, long i) {
  Target to = s.to;
  to.c += i * to.row * s.kind.real;
  if (to.from) to.from += i * to.from_row * s.kind.real;
  return to;
}
// Rows [i, i + rows) of it.
HD_INLINE void tile(const Strip &s, Operand a, Operand b, long depth, long i, int rows, Sums sums) {
  const Kind &kind = s.kind;
  const Job &job = s.job;
  const Gemm &g = job.g;
  const Micro micro = s.micros[rows - 1];
  if (s.straight) {
    const Target to = target(s, i);
    micro(depth, a.at, a.row, a.k, b.at, b.k, to, s.tail);
    if (!s.complete) kind.finish(job, to.c, to.row, i, rows, s.j, s.columns, false, true);
    return;
  }
  for (int r = 0; r < rows; ++r) __builtin_prefetch(job.c + (at(g.c_m, i + r) + at(g.c_n, s.j)) * kind.result, 1, 3);
  alignas(64) char room[2048];
  const bool apart = !sums.at;
  if (apart) sums = {room, kind.columns * kind.reals};
  micro(depth, a.at, a.row, a.k, b.at, b.k,
        {sums.at, sums.row, apart || s.first ? nullptr : sums.at, sums.row, false, false}, s.tail);
  if (apart || s.last)
    kind.finish(job, sums.at, sums.row, i, rows, s.j, s.columns, (apart && !s.first) || g.accumulate, s.last);
}

HD_INLINE bool a_in_place(const Kind &kind, const Gemm &g) { return kind.in_place && !g.a_m.offsets && !g.a_k.offsets; }
HD_INLINE bool b_in_place(const Kind &kind, const Gemm &g) {
  return kind.in_place && steps(g.b_n, 1) && !g.b_k.offsets && (masked || g.n % kind.columns == 0);
}

// Rows of the next tile where so many are left. Fewer than four do not keep the units for multiplications busy: then
// the last two tiles share what is left.
HD_INLINE long next_rows(const Kind &kind, long left) {
  return left >= kind.rows + 4 ? kind.rows : left <= kind.rows ? left : (left + 1) / 2;
}
// Panels of as many rows.
struct Rows {
  long m, high, panels, last; // last: where the last one begins
  HD_INLINE Rows(const Kind &kind, long m) : m(m), high(kind.rows), panels(ceil_div(m, high)) {
    const long before = most(0, panels - 2) * high;
    last = panels > 1 ? before + next_rows(kind, m - before) : 0;
  }
  HD_INLINE long at(long p) const { return p + 1 < panels ? p * high : p < panels ? last : m; }
  HD_INLINE int count(long p) const { return int(at(p + 1) - at(p)); }
};

// A block of k in a panel of B, in bytes. Rows of panels that follow each other do not fall on the same lines of a
// cache.
HD_INLINE long panel_bytes(const Kind &kind, long deep) { return deep * kind.columns * kind.packed + 128; }
// Panels [p, p + count) of the n columns of B from j0 on, side by side.
HD_INLINE void pack_columns(const Kind &kind, const Job &job, char *to, long panel, long j0, long n, long p, long count,
                            long k, long depth) {
  const Gemm &g = job.g;
  long whole = 0;
  if (kind.pack_rows && steps(g.b_n, 1)) {
    whole = most(0, least(count, n / kind.columns - p));
    kind.pack_rows(to, panel, whole, job.b + (j0 + p * kind.columns) * kind.source, g.b_k, k, depth);
  }
  for (long q = whole; q < count; ++q) {
    const long j = (p + q) * kind.columns;
    kind.pack_b(to + q * panel, job.b, g.b_n, j0 + j, int(least(kind.columns, n - j)), g.b_k, k, depth);
  }
}

constexpr long in_second_cache = 256 << 10; // bytes of an operand that stay there beside panels of the other
constexpr long in_first_cache = 16 << 10;
constexpr long at_once = 8; // panels of B that are packed side by side

template <class F> void tasks(long n, int threads, const F &f) {
  if (threads <= 1 || n <= 1) {
    for (long i = 0; i < n; ++i) {
      f(i);
      if (n > 1) poll();
    }
  } else {
    parallel(n, [](void *p, long i) { (*(const F *)p)(i); }, (void *)&f);
  }
}

// Nothing packed: for matrices that fit the cache as they are.
void direct(const Kind &kind, const Job &job) {
  const Gemm &g = job.g;
  const long block = block_of(kind, g.k);
  for (long k = 0; k < g.k; k += block) {
    long depth = least(block, g.k - k);
    for (long j = 0; j < g.n; j += kind.columns) {
      const Strip s = strip(kind, job, false, false, j, int(least(kind.columns, g.n - j)), k == 0, k + depth == g.k);
      const Operand b = {job.b + (k * g.b_k.stride + j) * kind.source, 0, g.b_k.stride};
      const Operand a = {job.a + k * g.a_k.stride * kind.source, g.a_m.stride, g.a_k.stride};
      for (long i = 0; i < g.m;) {
        const long rows = next_rows(kind, g.m - i);
        tile(s, {a.at + i * a.row * kind.source, a.row, a.k}, b, depth, i, int(rows), {});
        i += rows;
      }
    }
  }
}

// A batch of small ones, matrices [first, end): a tile of each after the other, so that they share what a tile needs to
// know.
constexpr long small_matrices = 2 << 10; // bytes of all three
HD_INLINE bool are_small(const Kind &kind, const Gemm &g) {
  return g.batch > 1 && (g.m * g.k + g.k * g.n + g.m * g.n) * kind.source <= small_matrices;
}
void direct_small(const Kind &kind, const Gemm &g, long first, long end) {
  constexpr long together = 16;
  for (; first < end; first += together) {
    if (first % 1024 == 0 && first) poll();
    const long stop = least(end, first + together);
    for (long j = 0; j < g.n; j += kind.columns) {
      Job job = {g, g.a, g.b, g.bias, g.c};
      auto columns = [&] { return strip(kind, job, false, false, j, int(least(kind.columns, g.n - j)), true, true); };
      const Strip s = columns();
      for (long i = 0, rows; i < g.m; i += rows) {
        rows = next_rows(kind, g.m - i);
        const char *a = g.a + i * g.a_m.stride * kind.source, *b = g.b + j * kind.source;
        const Micro micro = s.micros[rows - 1];
        const Target origin = target(s, i);
        Target to = origin;
        for (long x = first; x < stop; ++x) {
          const char *its_a = a + at(g.a_batch, x) * kind.source, *its_b = b + at(g.b_batch, x) * kind.source;
          const long by_c = at(g.c_batch, x) * kind.result, by_bias = g.bias ? at(g.bias_batch, x) * kind.result : 0;
          if (s.complete) {
            to.c = origin.c + by_c;
            if (to.from) to.from = origin.from + (s.bias ? by_bias : by_c);
            micro(g.k, its_a, g.a_m.stride, g.a_k.stride, its_b, g.b_k.stride, to, s.tail);
          } else {
            job.c = g.c + by_c, job.bias = g.bias + by_bias;
            tile(columns(), {its_a, g.a_m.stride, g.a_k.stride}, {its_b, 0, g.b_k.stride}, g.k, i, int(rows), {});
          }
        }
        job.c = g.c, job.bias = g.bias;
      }
    }
  }
}

// Blocks of A that stay in the second cache against panels of B shared by all threads.
void packed(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  const long block = block_of(kind, g.k), deep = ceil_div(block, kind.unit) + kind.opens;
  const bool keep = kind.rounds && block < g.k;
  const long wide = keep ? 1024 : most(kind.columns, l3_share / (deep * kind.packed)) / kind.columns * kind.columns;
  const long tall = keep ? 1020 / kind.rows * kind.rows : g.m;
  const long a_panel = deep * kind.rows * kind.packed, b_panel = panel_bytes(kind, deep);
  char *packed_b = (char *)workspace(0, least(ceil_div(g.n, kind.columns), ceil_div(wide, kind.columns)) * b_panel);
  Sums sums = {};
  if (keep) {
    sums.row = (least(wide, g.n) + kind.columns - 1) / kind.columns * kind.columns;
    sums.at = (char *)workspace(3, (least(tall, g.m) + kind.rows) * sums.row * kind.real);
  }
  for (long m0 = 0; m0 < g.m; m0 += tall)
    for (long n0 = 0; n0 < g.n; n0 += wide) {
      long m = least(tall, g.m - m0), n = least(wide, g.n - n0);
      const Rows rows(kind, m);
      long m_panels = rows.panels, n_panels = ceil_div(n, kind.columns);
      long per_block = most(1, l2_share / a_panel);
      long blocks = ceil_div(m_panels, per_block);
      if (threads > 1 && blocks >= threads) blocks = (blocks + threads - 1) / threads * threads;
      per_block = ceil_div(m_panels, blocks), blocks = ceil_div(m_panels, per_block);
      long slices = threads > 1 && blocks < 2 * threads ? least(n_panels, ceil_div(2 * threads, blocks)) : 1;
      for (long k = 0; k < g.k; k += block) {
        if (k | m0 | n0) poll();
        long depth = least(block, g.k - k), packed_depth = ceil_div(depth, kind.unit);
        tasks(ceil_div(n_panels, at_once), threads, [&](long t) {
          const long p = t * at_once;
          pack_columns(kind, job, packed_b + p * b_panel, b_panel, n0, n, p, least(at_once, n_panels - p), k, depth);
        });
        tasks(blocks * slices, threads, [&](long t) {
          long first = t / slices * per_block, end = least(m_panels, first + per_block), slice = t % slices;
          char *packed_a = (char *)workspace(1, per_block * a_panel);
          for (long p = first; p < end; ++p) {
            kind.pack_a(packed_a + (p - first) * a_panel, job.a, g.a_m, m0 + rows.at(p), rows.count(p), g.a_k, k,
                        depth);
          }
          for (long q = n_panels * slice / slices; q < n_panels * (slice + 1) / slices; ++q) {
            const long j = n0 + q * kind.columns;
            const Strip s =
                strip(kind, job, true, true, j, int(least(kind.columns, g.n - j)), k == 0, k + depth == g.k);
            for (long p = first; p < end; ++p) {
              const long i = m0 + rows.at(p);
              Sums into = sums;
              if (into.at) into.at += ((i - m0) * into.row + (j - n0)) * kind.real;
              tile(s, {packed_a + (p - first) * a_panel, 1, kind.rows * kind.reals},
                   {packed_b + q * b_panel, 0, kind.columns * kind.reals}, packed_depth, i, rows.count(p), into);
            }
          }
        });
      }
    }
}

// Few rows: A packed whole, each panel of B packed just before its use (and the mirror image, few columns). A few
// panels take one block of k after the other together: rows of B are read along memory, few rows of A stay in the
// first cache for all columns, and a packed block that the second cache could not keep stays there meanwhile.
template <bool few_rows> void thin(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  const long block = block_of(kind, g.k), deep = ceil_div(block, kind.unit) + kind.opens, blocks = ceil_div(g.k, block);
  const int large = few_rows ? kind.columns : kind.rows;
  const long small_panels = few_rows ? ceil_div(g.m, kind.rows) : ceil_div(g.n, kind.columns),
             large_panels = ceil_div(few_rows ? g.n : g.m, large);
  const long a_panel = deep * kind.rows * kind.packed, b_panel = panel_bytes(kind, deep);
  const long small_panel = few_rows ? a_panel : b_panel, large_panel = few_rows ? b_panel : a_panel;
  const long whole = blocks * small_panels * small_panel;
  const bool near = whole <= in_second_cache;
  // Many rows of A are read where they lie. Columns of A that lie along memory would take a page each.
  const bool here = !few_rows && a_in_place(kind, g) && (steps(g.a_k, 1) || small_panels <= 4);
  const long together = few_rows ? (near && !(kind.pack_rows && steps(g.b_n, 1)) ? 1 : at_once)
                        : near   ? most(1, least(64, in_first_cache / (block * kind.rows * kind.source)))
                                 : 16;
  // Where one group takes all of it in turn, a packed block makes way for the next.
  const bool passing = !near && threads <= 1 && large_panels <= together;
  char *kept = (char *)workspace(0, passing ? whole / blocks : whole);
  const Rows rows(kind, g.m);
  auto kept_block = [&](long b) { return kept + (passing ? 0 : b) * small_panels * small_panel; };
  auto pack_small = [&](long b, long p, long count) { // panels [p, p + count) of a block
    const long k = b * block, depth = least(block, g.k - k);
    char *to = kept_block(b) + p * small_panel;
    if constexpr (few_rows) {
      for (long end = p + count; p < end; ++p, to += small_panel)
        kind.pack_a(to, job.a, g.a_m, rows.at(p), rows.count(p), g.a_k, k, depth);
    } else {
      pack_columns(kind, job, to, small_panel, 0, g.n, p, count, k, depth);
    }
  };
  const long pieces = ceil_div(small_panels, at_once);
  tasks(passing ? 0 : blocks * pieces, threads, [&](long t) {
    const long p = t % pieces * at_once;
    pack_small(t / pieces, p, least(at_once, small_panels - p));
  });
  const long groups = threads > 1 ? least(large_panels, 8 * threads) : 1;
  const bool keep = kind.rounds && blocks > 1;
  tasks(groups, threads, [&](long t) {
    char *other = (char *)workspace(1, together * large_panel);
    const long sums_panel = long(kind.rows) * kind.columns * kind.real;
    char *sums = keep ? (char *)workspace(3, together * small_panels * sums_panel) : nullptr;
    const long end = large_panels * (t + 1) / groups;
    for (long first = large_panels * t / groups; first < end; first += together) {
      if (first % 64 < together) poll();
      const long count = least(together, end - first);
      for (long b = 0; b < blocks; ++b) {
        const long k = b * block, depth = least(block, g.k - k);
        if (passing) pack_small(b, 0, small_panels);
        if constexpr (few_rows) {
          pack_columns(kind, job, other, large_panel, 0, g.n, first, count, k, depth);
        } else {
          for (long q = 0; q < count && !here; ++q)
            kind.pack_a(other + q * large_panel, job.a, g.a_m, rows.at(first + q), rows.count(first + q), g.a_k, k,
                        depth);
        }
        const char *packed_a = few_rows ? kept_block(b) : other, *packed_b = few_rows ? other : kept_block(b);
        // Panels of rows [r0, r_end) by panels of columns [p0, p_end), the first of which begin there.
        const long r0 = few_rows ? 0 : first, r_end = few_rows ? small_panels : first + count;
        const long p0 = few_rows ? first : 0, p_end = few_rows ? first + count : small_panels;
        for (long p = p0; p < p_end; ++p) {
          const long j = p * kind.columns;
          const Strip s = strip(kind, job, !here, true, j, int(least(kind.columns, g.n - j)), b == 0, b + 1 == blocks);
          const Operand in_b = {packed_b + (p - p0) * b_panel, 0, kind.columns * kind.reals};
          for (long r = r0; r < r_end; ++r) {
            const long i = rows.at(r);
            Operand in_a = {packed_a + (r - r0) * a_panel, 1, kind.rows * kind.reals};
            if (here) in_a = {job.a + (i * g.a_m.stride + k * g.a_k.stride) * kind.source, g.a_m.stride, g.a_k.stride};
            char *to = sums ? sums + ((p - p0) * (r_end - r0) + (r - r0)) * sums_panel : nullptr;
            tile(s, in_a, in_b, ceil_div(depth, kind.unit), i, rows.count(r), {to, kind.columns});
          }
        }
      }
    }
  });
}

// Very few rows against an operand whose columns lie along memory: C turned over, so that what would be packed by
// turning it round is read where it lies.
HD_INLINE bool worth_turning(const Kind &kind, const Gemm &g) {
  return kind.in_place && kind.reals == 1 && g.m <= 16 && steps(g.b_k, 1) && !g.b_n.offsets && g.n > kind.columns;
}
Gemm turned(const Gemm &g) {
  Gemm h = g;
  h.m = g.n, h.n = g.m;
  h.a_m = g.b_n, h.a_k = g.b_k, h.b_k = g.a_k, h.b_n = g.a_m;
  h.c_m = g.c_n, h.c_n = g.c_m, h.bias_m = g.bias_n, h.bias_n = g.bias_m;
  return h;
}

void gemv(const Kind &kind, const Job &job, int threads) {
  Vectors p = vectors_of(job);
  bool dots = steps(p.k, 1);
  long grain = dots ? 32 : 512, pieces = threads > 1 ? least(ceil_div(p.rows, grain), 4 * threads) : 1;
  long chunk = ceil_div(ceil_div(p.rows, pieces), grain) * grain;
  tasks(ceil_div(p.rows, chunk), threads,
        [&](long t) { (dots ? kind.gemv_dots : kind.gemv_sums)(job, t * chunk, least(p.rows, (t + 1) * chunk)); });
}

void one(const Kind &kind, const Job &job, int threads);

// Too few tiles for the threads and a long sum: the blocks of k are summed side by side and then added up in the order
// in which one thread adds them.
constexpr long partial_sums = 4 << 20; // bytes of them
HD_INLINE bool worth_splitting(const Kind &kind, const Gemm &g, int threads) {
  const long blocks = ceil_div(g.k, block_of(kind, most(1, g.k)));
  return threads > 1 && kind.straight && !g.accumulate && steps(g.c_n, 1) && !g.c_m.offsets && g.m > 1 && g.n > 1 &&
         blocks >= 2 * threads && ceil_div(g.m, kind.rows) < 2 * threads && ceil_div(g.n, kind.columns) < 2 * threads &&
         blocks * g.m * g.n * kind.result <= partial_sums;
}
void split_k(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  const long block = block_of(kind, g.k), blocks = ceil_div(g.k, block), part = g.m * g.n * kind.result;
  char *parts = (char *)workspace(3, blocks * part);
  tasks(blocks, threads, [&](long t) {
    const long k = t * block;
    Gemm h = g;
    h.k = least(block, g.k - k), h.bias = nullptr, h.activation = Activation::none;
    h.c_m = {g.n, nullptr}, h.c_n = {1, nullptr};
    auto move = [k](Axis &x) {
      const long by = x.offsets ? 0 : k * x.stride;
      if (x.offsets) x.offsets += k;
      return by;
    };
    const char *a = job.a + move(h.a_k) * kind.source, *b = job.b + move(h.b_k) * kind.source;
    one(kind, {h, a, b, nullptr, parts + t * part}, 1);
  });
  for (long t = 1; t < blocks; ++t) kind.add(parts, parts + t * part, g.m * g.n * kind.reals);
  for (long i = 0; i < g.m; i += kind.rows)
    for (long j = 0; j < g.n; j += kind.columns)
      kind.finish(job, parts + (i * g.n + j) * kind.result, g.n * kind.reals, i, least(kind.rows, g.m - i), j,
                  least(kind.columns, g.n - j), false, true);
}

HD_INLINE bool as_they_are(const Kind &kind, const Gemm &g) {
  return g.route == Route::direct && g.k > 0 && kind.reals == 1 && a_in_place(kind, g) && b_in_place(kind, g) &&
         (!kind.rounds || g.k <= kind.k_block);
}
// One matrix. A route that does not fit the operands gives way to one that takes any.
void one(const Kind &kind, const Job &job, int threads) {
  const Gemm &g = job.g;
  if (g.route == Route::dot && g.m == 1 && g.n == 1 && g.k > 0) return kind.dot(job, 0, 1);
  Route route = g.route;
  if (g.k == 0) route = Route::reference;
  if (route != Route::reference && worth_splitting(kind, g, threads)) return split_k(kind, job, threads);
  if (route == Route::dot || route == Route::gemv) {
    Vectors p = vectors_of(job);
    if ((g.m == 1 || g.n == 1) && (steps(p.k, 1) || steps(p.r, 1))) return gemv(kind, job, threads);
    route = g.m <= g.n ? Route::skinny : Route::tall;
  }
  if (route == Route::direct) {
    if (as_they_are(kind, g)) return direct(kind, job);
    route = g.m <= g.n ? Route::skinny : Route::tall;
  }
  if (route == Route::reference) kind.reference(job);
  else if (route == Route::skinny && worth_turning(kind, g)) {
    const Gemm h = turned(g);
    thin<false>(kind, {h, job.b, job.a, job.bias, job.c}, threads);
  } else if (route == Route::skinny) thin<true>(kind, job, threads);
  else if (route == Route::tall) thin<false>(kind, job, threads);
  else packed(kind, job, threads);
}

void run(const Kind &kind, const Gemm &g) {
  auto range = [&](long first, long end, int threads) {
    if (as_they_are(kind, g) && are_small(kind, g)) return direct_small(kind, g, first, end);
    for (long i = first; i < end; ++i) {
      const Job job = {g, g.a + at(g.a_batch, i) * kind.source, g.b + at(g.b_batch, i) * kind.source,
                       g.bias ? g.bias + at(g.bias_batch, i) * kind.result : nullptr,
                       g.c + at(g.c_batch, i) * kind.result};
      one(kind, job, threads);
    }
  };
  if (g.threads > 1 && g.batch >= 2 * g.threads) {
    const long pieces = least(g.batch, 32 * g.threads);
    tasks(pieces, g.threads, [&](long p) { range(g.batch * p / pieces, g.batch * (p + 1) / pieces, 1); });
  } else {
    range(0, g.batch, g.threads);
  }
}

} // namespace
} // namespace hadamard::LEVEL
