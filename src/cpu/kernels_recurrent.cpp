// One step of LSTM, GRU and plain recurrent layers, forward and backward: all functions of a unit in one pass.
#include "fused.h"

#include "level.h"
#include "rows.h"

namespace hadamard::LEVEL {
namespace {

// f(i, load, store) for the units of every row, `begin` being called with each row before.
template <class T, class Begin, class F> HD_INLINE void each_row(const CellStep<T> &s, const Begin &begin, const F &f) {
  for (long r = 0; r < s.rows; ++r) {
    begin(r);
    vectors<T>(s.n, T(0), f);
  }
}

template <class T> void lstm_step(const CellStep<T> &s) {
  const long n = s.n;
  T *gates, *c, *h;
  const T *before;
  each_row<T>(
      s, [&](long r) { gates = s.gates + 4 * n * r, before = s.before + n * r, c = s.c + n * r, h = s.h + n * r; },
      [&](long j, auto get, auto put) {
        Lane<T> i = math::sigmoid(get((const T *)gates + j)), f = math::sigmoid(get((const T *)gates + n + j));
        Lane<T> g = math::tanh(get((const T *)gates + 2 * n + j)), o = math::sigmoid(get((const T *)gates + 3 * n + j));
        Lane<T> now = f * get(before + j) + i * g;
        put(gates + j, i);
        put(gates + n + j, f);
        put(gates + 2 * n + j, g);
        put(gates + 3 * n + j, o);
        put(c + j, now);
        put(h + j, o * math::tanh(now));
      });
}
template <class T> void lstm_step_backward(const CellStep<T> &s) {
  const long n = s.n;
  const T *gates, *before, *c, *gy;
  T *gh, *gc, *gg;
  each_row<T>(
      s,
      [&](long r) {
        gates = s.gates + 4 * n * r, before = s.before + n * r, c = s.c + n * r, gy = s.gy ? s.gy + n * r : nullptr;
        gh = s.gh + n * r, gc = s.gc + n * r, gg = s.ggates + 4 * n * r;
      },
      [&](long j, auto get, auto put) {
        Lane<T> i = get(gates + j), f = get(gates + n + j), g = get(gates + 2 * n + j), o = get(gates + 3 * n + j);
        Lane<T> up = get((const T *)gh + j), t = math::tanh(get(c + j));
        if (gy) up = up + get(gy + j);
        Lane<T> by_c = get((const T *)gc + j) + up * o * (1 - t * t);
        put(gg + j, by_c * g * i * (1 - i));
        put(gg + n + j, by_c * get(before + j) * f * (1 - f));
        put(gg + 2 * n + j, by_c * i * (1 - g * g));
        put(gg + 3 * n + j, up * t * o * (1 - o));
        put(gc + j, by_c * f);
      });
}

template <class T> void gru_step(const CellStep<T> &s) {
  const long n = s.n;
  T *gates, *h, *of_new;
  const T *hidden, *before;
  each_row<T>(
      s,
      [&](long row) {
        gates = s.gates + 3 * n * row, hidden = s.hidden + 3 * n * row, of_new = s.of_new + n * row;
        before = s.before + n * row, h = s.h + n * row;
      },
      [&](long j, auto get, auto put) {
        Lane<T> r = math::sigmoid(get((const T *)gates + j) + get(hidden + j));
        Lane<T> z = math::sigmoid(get((const T *)gates + n + j) + get(hidden + n + j)), u = get(hidden + 2 * n + j);
        Lane<T> now = math::tanh(get((const T *)gates + 2 * n + j) + r * u);
        put(gates + j, r);
        put(gates + n + j, z);
        put(gates + 2 * n + j, now);
        put(of_new + j, u);
        put(h + j, now + z * (get(before + j) - now));
      });
}
template <class T> void gru_step_backward(const CellStep<T> &s) {
  const long n = s.n;
  const T *gates, *of_new, *before, *gy;
  T *gh, *gg;
  each_row<T>(
      s,
      [&](long row) {
        gates = s.gates + 3 * n * row, of_new = s.of_new + n * row, before = s.before + n * row;
        gy = s.gy ? s.gy + n * row : nullptr, gh = s.gh + n * row, gg = s.ggates + 4 * n * row;
      },
      [&](long j, auto get, auto put) {
        Lane<T> r = get(gates + j), z = get(gates + n + j), now = get(gates + 2 * n + j), up = get((const T *)gh + j);
        if (gy) up = up + get(gy + j);
        Lane<T> by_new = up * (1 - z) * (1 - now * now);
        put(gg + j, by_new);
        put(gg + n + j, by_new * get(of_new + j) * r * (1 - r));
        put(gg + 2 * n + j, up * (get(before + j) - now) * z * (1 - z));
        put(gg + 3 * n + j, by_new * r);
        put(gh + j, up * z);
      });
}

// gates is where h is written to.
template <class T, bool relu> void plain_step(const CellStep<T> &s) {
  T *h = s.gates;
  vectors<T>(s.rows * s.n, T(0), [&](long j, auto get, auto put) {
    Lane<T> x = get((const T *)h + j);
    if constexpr (relu) put(h + j, where(x < 0, Lane<T>(T(0)), x));
    else put(h + j, math::tanh(x));
  });
}
template <class T, bool relu> void plain_step_backward(const CellStep<T> &s) {
  vectors<T>(s.rows * s.n, T(0), [&](long j, auto get, auto put) {
    Lane<T> h = get((const T *)s.gates + j), up = get((const T *)s.gh + j);
    if (s.gy) up = up + get(s.gy + j);
    if constexpr (relu) put(s.ggates + j, where(h <= 0, Lane<T>(T(0)), up));
    else put(s.ggates + j, up * (1 - h * h));
  });
}

} // namespace

#define HD_CELL(name, step)                                                                                            \
  void name(const CellStep<float> &s) { step<float>(s); }                                                              \
  void name(const CellStep<double> &s) { step<double>(s); }
#define HD_PLAIN(name, step, relu)                                                                                     \
  void name(const CellStep<float> &s) { step<float, relu>(s); }                                                        \
  void name(const CellStep<double> &s) { step<double, relu>(s); }
HD_CELL(lstm, lstm_step)
HD_CELL(lstm_backward, lstm_step_backward)
HD_CELL(gru, gru_step)
HD_CELL(gru_backward, gru_step_backward)
HD_PLAIN(tanh_cell, plain_step, false)
HD_PLAIN(tanh_cell_backward, plain_step_backward, false)
HD_PLAIN(relu_cell, plain_step, true)
HD_PLAIN(relu_cell_backward, plain_step_backward, true)
#undef HD_CELL
#undef HD_PLAIN

} // namespace hadamard::LEVEL
