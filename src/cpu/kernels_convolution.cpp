// Convolutions of a few channels and more: numbers of the image, wherever they lie, times vectors of filters. The
// images are read through a window, band by band from a copy with its margins in the second cache; nothing else is
// packed but the filters (or, for their gradient, what arrives).
#include "fused.h"
#include "gemm_pack.h"

namespace hadamard::LEVEL {

void copy_rows(float *, long, const float *, long, long, long),
    copy_rows(double *, long, const double *, long, long, long);

namespace {

template <class T> constexpr int lanes = vector_bytes / int(sizeof(T));
template <class T> using V = Vector<T, lanes<T>>;

constexpr int tile_rows = 6, tile_vectors = 2;
constexpr long deep = 320;             // indices of a sum in one block, so that a panel stays in the first cache
constexpr long band_bytes = 192 << 10; // of a copied band
constexpr long band_places = 768;      // of the result
constexpr int shared_slot = 6, own_slot = 5;

// c[rows][vectors] (+)= the sum over k of a[row[i] + at[k]] * b[k][vectors]
template <class T, int rows, int vectors>
__attribute__((noinline)) void tile(const T *a, const long *row, const long *at, long k, const T *b, T *c, bool add) {
  constexpr int W = lanes<T>;
  const T *from[rows];
  V<T> sum[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
    from[i] = a + row[i];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sum[i][v] = V<T>{};
  }
  auto step = [&](long o, const T *b) {
    V<T> y[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) y[v] = load<V<T>>(b + v * W);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const V<T> x = from[i][o] - V<T>{};
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) sum[i][v] += x * y[v];
    }
  };
  constexpr int at_once = 3;
  const long *const end = at + k;
  for (; at + at_once <= end; at += at_once, b += at_once * vectors * W)
#pragma GCC unroll 4
    for (int q = 0; q < at_once; ++q) step(at[q], b + q * vectors * W);
  for (; at < end; ++at, b += vectors * W) step(*at, b);
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v, c += W) {
      if (add) sum[i][v] += load<V<T>>(c);
      store(c, sum[i][v]);
    }
}
// Any number of rows.
template <class T, int vectors>
void tiles(const T *a, const long *row, long rows, const long *at, long k, const T *b, T *c, bool add) {
  static constexpr decltype(&tile<T, 1, vectors>) of[] = {tile<T, 1, vectors>, tile<T, 2, vectors>,
                                                          tile<T, 3, vectors>, tile<T, 4, vectors>,
                                                          tile<T, 5, vectors>, tile<T, 6, vectors>};
  const long count = ceil_div(rows, tile_rows);
  for (long t = 0; t < count; ++t) {
    const long first = rows * t / count, n = rows * (t + 1) / count - first;
    of[n - 1](a, row + first, at, k, b, c + first * vectors * lanes<T>, add);
  }
}

// A panel of up to two vectors of filters, or of what else runs along the channels of the result.
struct Panel {
  long first; // channel
  int n, vectors;
};
template <class T> Panel panel(long out, long i) {
  constexpr int most_columns = tile_vectors * lanes<T>;
  const long first = i * most_columns, n = least(most_columns, out - first);
  return {first, int(n), int(ceil_div(n, lanes<T>))};
}
template <class T> long panels(long out) { return ceil_div(out, tile_vectors * lanes<T>); }
template <class T>
void pack_panel(T *to, const Panel &p, const T *from, long channel, const Axis &sum, long first, long count) {
  const Axis rows = {channel, nullptr};
  if (p.vectors == 1) pack<T, T, lanes<T>>(to, from, rows, 0, p.n, sum, first, count);
  else pack<T, T, 2 * lanes<T>>(to, from, rows, 0, p.n, sum, first, count);
}
template <class T>
void multiply(const Panel &p, const T *a, const long *row, long rows, const long *at, long k, const T *b, T *c,
              bool add) {
  if (p.vectors == 1) tiles<T, 1>(a, row, rows, at, k, b, c, add);
  else tiles<T, 2>(a, row, rows, at, k, b, c, add);
}

// y[o * channel + i * step] = room[i][o] + bias[o], for the channels of a panel.
template <class T>
void turn(const T *room, const Panel &p, long count, T *y, long channel, long step, const T *bias, long bias_step) {
  constexpr int W = lanes<T>;
  const long row = p.vectors * W;
  if (step != 1) {
    for (int o = 0; o < p.n; ++o) {
      const T add = bias ? bias[o * bias_step] : T(0);
      for (long i = 0; i < count; ++i) y[o * channel + i * step] = room[i * row + o] + add;
    }
    return;
  }
  for (int v = 0; v < p.vectors; ++v) {
    const int n = int(least(W, p.n - v * W));
    T *to = y + v * W * channel;
    const T *b = bias ? bias + v * W * bias_step : nullptr;
    for (long i = 0; i < count; i += W) {
      V<T> r[W];
#pragma GCC unroll 16
      for (int j = 0; j < W; ++j) r[j] = load<V<T>>(room + (i + j) * row + v * W);
      transpose<T, W>(r);
      const int part = int(least(W, count - i));
#pragma GCC unroll 16
      for (int o = 0; o < W; ++o) {
        if (o >= n) continue;
        const V<T> x = b ? r[o] + b[o * bias_step] : r[o];
        if (part == W) store(to + o * channel + i, x);
        else store_part(to + o * channel + i, x, part);
      }
    }
  }
}

// How the images are read: as they lie, or copied in bands of rows of the result. Depends on the sizes alone.
template <class T> struct Reading {
  const Windows<T> &g;
  bool here;
  long band, bands, tall, wide, channel, row, column;

  Reading(const Windows<T> &g) : g(g) {
    // Channels on pages of their own are better copied, a few rows of each at a time.
    here = g.x_size[0] * g.x_size[1] * long(sizeof(T)) <= 4096;
    for (int d = 0; d < 2; ++d)
      here &= g.low[d] == 0 && (g.y_size[d] - 1) * g.step[d] + (g.taps[d] - 1) * g.apart[d] < g.x_size[d];
    wide = (g.y_size[1] - 1) * g.step[1] + (g.taps[1] - 1) * g.apart[1] + 1;
    band = most(1, band_places / g.y_size[1]);
    const long over = (g.taps[0] - 1) * g.apart[0] + 1;
    if (!here) {
      const long fits = band_bytes / long(sizeof(T)) / (g.in * wide);
      band = least(band, most(1, (fits - over) / g.step[0] + 1));
    }
    bands = ceil_div(g.y_size[0], band);
    band = ceil_div(g.y_size[0], bands), bands = ceil_div(g.y_size[0], band);
    tall = (band - 1) * g.step[0] + over;
    constexpr long line = 64 / sizeof(T);
    // An odd number of lines: what neighbouring channels hold at one place falls on different sets of the cache.
    channel = here ? g.x_channel : (ceil_div(tall * wide, line) | 1) * line;
    row = here ? g.x_at[0] : wide, column = here ? g.x_at[1] : 1;
  }
  long sum() const { return g.in * g.taps[0] * g.taps[1]; }
  long places() const { return band * g.y_size[1]; }
  long bytes(long channels) const { return here ? 0 : channels * channel * long(sizeof(T)); }
  void tables(long *place, long *at) const {
    for (long i = 0; i < band; ++i)
      for (long j = 0; j < g.y_size[1]; ++j) *place++ = i * g.step[0] * row + j * g.step[1] * column;
    for (long c = 0; c < g.in; ++c)
      for (long r = 0; r < g.taps[0]; ++r)
        for (long s = 0; s < g.taps[1]; ++s) *at++ = c * channel + r * g.apart[0] * row + s * g.apart[1] * column;
  }
  // Where the places of a band are read: in x, or in `room` after a copy. `clean` says whether the margins are zeros.
  const T *open(T *room, bool clean, const T *x, long channels, long first, long rows) const {
    const long top = first * g.step[0] - g.low[0];
    if (here) return x + top * row;
    if (!clean) fill(room, channels * channel);
    const long count = (rows - 1) * g.step[0] + (g.taps[0] - 1) * g.apart[0] + 1;
    const long left = least(wide, most(0, g.low[1])), skip = most(0, -g.low[1]);
    const long n = most(0, least(wide - left, g.x_size[1] - skip));
    const long begin = n ? least(count, most(0, -top)) : count, end = most(begin, least(count, g.x_size[0] - top));
    const bool together = n == wide && g.x_at[0] == n * g.x_at[1]; // rows that follow each other on both sides
    for (long c = 0; c < channels; ++c, room += channel, x += g.x_channel) {
      const T *from = x + (top + begin) * g.x_at[0] + skip * g.x_at[1];
      T *to = room + begin * wide + left;
      if (begin) fill(room, begin * wide);
      if (end < count) fill(room + end * wide, (count - end) * wide);
      if (g.x_at[1] == 1) {
        if (together) copy_rows(to, 0, from, 0, 1, (end - begin) * wide);
        else copy_rows(to, wide, from, g.x_at[0], end - begin, n);
      } else {
        for (long i = begin; i < end; ++i, to += wide, from += g.x_at[0])
          for (long j = 0; j < n; ++j) to[j] = from[j * g.x_at[1]];
      }
    }
    return room - channels * channel;
  }

private:
  static void fill(T *to, long n) {
    for (long i = 0; i < n; ++i) to[i] = T(0);
  }
};

HD_INLINE long lines(long bytes) { return (bytes + 63) / 64 * 64; }
long block_of(long k) { return ceil_div(k, ceil_div(k, deep)); }

template <class F> void each(long n, bool share, const F &f) {
  if (share) parallel(n, [](void *p, long i) { (*(const F *)p)(i); }, (void *)&f);
  else
    for (long i = 0; i < n; ++i) f(i);
}

template <class T> void forward(const Windows<T> &g, bool share) {
  const Reading<T> x(g);
  const long k = x.sum(), block = block_of(k), count = panels<T>(g.out), places = x.places();
  const long padded = ceil_div(g.out, lanes<T>) * lanes<T>;
  const long tables = lines((places + 2 * k) * long(sizeof(long)));
  char *shared = (char *)workspace(shared_slot, tables + g.groups * k * padded * long(sizeof(T)));
  long *place = (long *)shared, *at = place + places, *filter = at + k;
  T *filters = (T *)(shared + tables);
  x.tables(place, at);
  for (long c = 0; c < g.in; ++c)
    for (long r = 0; r < g.taps[0]; ++r)
      for (long s = 0; s < g.taps[1]; ++s) *filter++ = c * g.w_in + r * g.w_at[0] + s * g.w_at[1];
  filter -= k;
  const bool run = g.w_at[1] == 1 && g.w_at[0] == g.taps[1] && g.w_in == g.taps[0] * g.taps[1];
  each(g.groups * count, share, [&](long t) {
    const long group = t / count;
    const Panel p = panel<T>(g.out, t % count);
    pack_panel(filters + (group * padded + p.first) * k, p, g.w + group * g.w_group + p.first * g.w_out, g.w_out,
               run ? Axis{1, nullptr} : Axis{0, filter}, 0, k);
  });
  const long parts = g.images * g.groups * x.bands;
  const long splits = share ? most(1, least(count, ceil_div(2 * num_threads(), parts))) : 1, all = parts * splits;
  const long pieces = share ? least(all, 16 * num_threads()) : 1, copied = lines(x.bytes(g.in));
  each(pieces, share, [&](long piece) {
    char *own = (char *)workspace(own_slot, copied + (places + lanes<T>)*tile_vectors * vector_bytes);
    const T *from = nullptr;
    long last = -1; // part, whose band is in the room
    for (long t = all * piece / pieces; t < all * (piece + 1) / pieces; ++t) {
      const long split = t % splits, part = t / splits, b = part % x.bands, group = part / x.bands % g.groups,
                 image = part / x.bands / g.groups;
      const long first = b * x.band, rows = least(x.band, g.y_size[0] - first), n = rows * g.y_size[1];
      poll();
      T *room = (T *)(own + copied);
      if (part != last) {
        from = x.open((T *)own, last >= 0, g.x + image * g.x_image + group * g.in * g.x_channel, g.in, first, rows);
      }
      last = part;
      for (long q = count * split / splits; q < count * (split + 1) / splits; ++q) {
        const Panel p = panel<T>(g.out, q);
        const long row = p.vectors * lanes<T>, channel = group * g.out + p.first;
        const T *b0 = filters + (group * padded + p.first) * k;
        for (long k0 = 0; k0 < k; k0 += block)
          multiply(p, from, place, n, at + k0, least(block, k - k0), b0 + k0 * row, room, k0 > 0);
        T *y = g.y + image * g.y_image + channel * g.y_channel + first * g.y_at[0];
        const T *bias = g.bias ? g.bias + channel * g.bias_step : nullptr;
        if (g.y_at[0] == g.y_size[1] * g.y_at[1]) turn(room, p, n, y, g.y_channel, g.y_at[1], bias, g.bias_step);
        else
          for (long i = 0; i < rows; ++i)
            turn(room + i * g.y_size[1] * row, p, g.y_size[1], y + i * g.y_at[0], g.y_channel, g.y_at[1], bias,
                 g.bias_step);
      }
    }
  });
}

template <class T> void weights(const Windows<T> &g, bool share) {
  const Reading<T> x(g);
  const long window = g.taps[0] * g.taps[1], k = x.sum(), count = panels<T>(g.out), places = x.places();
  char *shared = (char *)workspace(shared_slot, (2 * places + k) * long(sizeof(long)));
  long *place = (long *)shared, *at = place + places, *result = at + k;
  x.tables(place, at);
  for (long i = 0; i < x.band; ++i)
    for (long j = 0; j < g.y_size[1]; ++j) result[i * g.y_size[1] + j] = i * g.y_at[0] + j * g.y_at[1];
  const bool run = g.y_at[1] == 1 && g.y_at[0] == g.y_size[1];
  const long wanted = share ? ceil_div(2 * num_threads(), g.groups) : 1;
  const long ranges = least(g.in, wanted), splits = least(count, ceil_div(wanted, ranges));
  each(g.groups * ranges * splits, share, [&](long t) {
    const long group = t / (ranges * splits), range = t / splits % ranges, split = t % splits;
    const long c0 = g.in * range / ranges, channels = g.in * (range + 1) / ranges - c0, rows = channels * window;
    const long q0 = count * split / splits, q1 = count * (split + 1) / splits;
    const long copied = lines(x.bytes(channels)), block_most = least(places, deep);
    constexpr long wide = tile_vectors * vector_bytes;
    const long each_room = (rows + lanes<T>)*wide;
    char *own = (char *)workspace(own_slot, copied + block_most * wide + (q1 - q0) * each_room);
    T *gy = (T *)(own + copied);
    char *rooms = own + copied + block_most * wide;
    bool add = false;
    for (long image = 0; image < g.images; ++image)
      for (long b = 0; b < x.bands; ++b) {
        poll();
        const long first = b * x.band, some = least(x.band, g.y_size[0] - first), n = some * g.y_size[1];
        const T *from = x.open((T *)own, image || b, g.x + image * g.x_image + (group * g.in + c0) * g.x_channel,
                               channels, first, some);
        const long block = block_of(n);
        for (long k0 = 0; k0 < n; k0 += block, add = true)
          for (long q = q0; q < q1; ++q) {
            const Panel p = panel<T>(g.out, q);
            const long depth = least(block, n - k0);
            pack_panel(gy, p, g.y + image * g.y_image + (group * g.out + p.first) * g.y_channel + first * g.y_at[0],
                       g.y_channel, run ? Axis{1, nullptr} : Axis{0, result}, k0, depth);
            multiply(p, from, at, rows, place + k0, depth, gy, (T *)(rooms + (q - q0) * each_room), add);
          }
      }
    for (long q = q0; q < q1; ++q) {
      const Panel p = panel<T>(g.out, q);
      turn((const T *)(rooms + (q - q0) * each_room), p, rows,
           g.w + group * g.w_group + p.first * g.w_out + c0 * g.w_in, g.w_out, 1, (const T *)nullptr, 0);
    }
  });
}

} // namespace

void convolve(const Windows<float> &g, bool share) { forward(g, share); }
void convolve(const Windows<double> &g, bool share) { forward(g, share); }
void convolve_weights(const Windows<float> &g, bool share) { weights(g, share); }
void convolve_weights(const Windows<double> &g, bool share) { weights(g, share); }

} // namespace hadamard::LEVEL
