// The kernels of fused.h, with those that stand in files of their own.
#include "fused.h"

#include "level.h"
#include "rows.h"

namespace hadamard::LEVEL {

void chain_single(const Link *, const Link *, long), chain_real(const Link *, const Link *, long);
void depthwise(const Plane<float> &), depthwise(const Plane<double> &);
void depthwise_sums(const Plane<float> &, double *), depthwise_sums(const Plane<double> &, double *);
void copy_rows(float *, long, const float *, long, long, long),
    copy_rows(double *, long, const double *, long, long, long);
void transpose_rows(float *, long, const float *, long, long, long, long, float),
    transpose_rows(double *, long, const double *, long, long, long, long, double);
void update_scores(const Scores<float> &), update_scores(const Scores<double> &);
void mask_scores(const Scores<float> &, const ScoreMask<float> &, long),
    mask_scores(const Scores<double> &, const ScoreMask<double> &, long);
void finish_scores(const Scores<float> &, float *), finish_scores(const Scores<double> &, double *);
void score_gradients(float *, float *, const float *, const float *, long, long, long),
    score_gradients(double *, double *, const double *, const double *, long, long, long);
void row_dots(float *, const float *, long, const float *, long, long, long),
    row_dots(double *, const double *, long, const double *, long, long, long);
void scale_rows(float *, long, const float *, long, long), scale_rows(double *, long, const double *, long, long);
void norm_moments(const float *, long, Moment &), norm_moments(const double *, long, Moment &);
double norm_squares(const float *, long), norm_squares(const double *, long);
void norm_forward(const Stretch<float> &), norm_forward(const Stretch<double> &);
void norm_sums(const Stretch<float> &, double &, double &), norm_sums(const Stretch<double> &, double &, double &);
void norm_backward(const Stretch<float> &), norm_backward(const Stretch<double> &);
void ctc_step(float *, const float *, const float *, const float *, const float *, const float *, long),
    ctc_step(double *, const double *, const double *, const double *, const double *, const double *, long);
void ctc_share(float *, const float *, const float *, const float *, float, long),
    ctc_share(double *, const double *, const double *, const double *, double, long);
void distances(const Distances<float> &), distances(const Distances<double> &);
#define HD_CELL(name) void name(const CellStep<float> &), name(const CellStep<double> &)
HD_CELL(lstm);
HD_CELL(gru);
HD_CELL(tanh_cell);
HD_CELL(relu_cell);
HD_CELL(lstm_backward);
HD_CELL(gru_backward);
HD_CELL(tanh_cell_backward);
HD_CELL(relu_cell_backward);
#undef HD_CELL
void convolve(const Windows<float> &, bool), convolve(const Windows<double> &, bool);
void convolve_weights(const Windows<float> &, bool), convolve_weights(const Windows<double> &, bool);

namespace {

template <class T> void softmax(T *y, const T *x, long rows, long n, bool log) {
  for (long r = 0; r < rows; ++r, x += n, y += n) {
    const T m = row_largest(x, n);
    const Lane<T> shift(m);
    // What is missing at the end reads as m: e^0 is no exception to math::exp, as e^-inf would be.
    const auto shifted_exp = [&](long i, auto get) { return first_lanes<T>(math::exp(get(x + i) - shift), n - i); };
    if (log) {
      double sum = row_sum<T>(n, m, [&](long i, auto get, auto) { return shifted_exp(i, get); });
      const Lane<T> rest(T(__builtin_log(sum)));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(y + i, get(x + i) - shift - rest); });
    } else {
      double sum = row_sum<T>(n, m, [&](long i, auto get, auto put) {
        Lane<T> e = shifted_exp(i, get);
        put(y + i, e);
        return e;
      });
      const Lane<T> by(T(1 / sum));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(y + i, get((const T *)y + i) * by); });
    }
  }
}
template <class T> void softmax_backward(T *gx, const T *g, const T *y, long rows, long n, bool log) {
  for (long r = 0; r < rows; ++r, gx += n, g += n, y += n) {
    if (log) {
      const Lane<T> sum(T(row_sum<T>(n, T(0), [&](long i, auto get, auto) { return get(g + i); })));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(gx + i, get(g + i) - math::exp(get(y + i)) * sum); });
    } else {
      const Lane<T> sum(T(row_sum<T>(n, T(0), [&](long i, auto get, auto) { return get(g + i) * get(y + i); })));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(gx + i, (get(g + i) - sum) * get(y + i)); });
    }
  }
}

// ---- optimisers: the operations and their order are those of the optimisers written out in Python

template <class T> void adam(const Update<T> &u) {
  const Lane<T> decay(u.decay), shrink(u.shrink), rate(u.rate), beta2(u.beta2), eps(u.eps), root(u.root),
      weight(u.weight), square(u.square);
  vectors<T>(u.n, T(0), [&](long i, auto get, auto put) {
    Lane<T> p = get((const T *)u.p + i), g = get(u.g + i);
    if (u.negate) g = -g;
    if (u.shrink != T(1)) p = p * shrink;
    if (u.decay != T(0)) g = g + decay * p;
    Lane<T> m = get((const T *)u.first + i), v = get((const T *)u.second + i);
    m = m + weight * (g - m);
    v = v * beta2 + square * g * g;
    put(u.first + i, m);
    put(u.second + i, v);
    if (u.largest) {
      v = larger<T>(get((const T *)u.largest + i), v);
      put(u.largest + i, v);
    }
    put(u.p + i, p - rate * m / (math::sqrt(v) / root + eps));
  });
}
template <class T> void sgd(const Update<T> &u) {
  const Lane<T> decay(u.decay), rate(u.rate), momentum(u.beta1), weight(u.weight);
  vectors<T>(u.n, T(0), [&](long i, auto get, auto put) {
    Lane<T> p = get((const T *)u.p + i), g = get(u.g + i);
    if (u.negate) g = -g;
    if (u.decay != T(0)) g = g + decay * p;
    if (u.first) {
      Lane<T> v = u.fresh ? g : get((const T *)u.first + i) * momentum + weight * g;
      put(u.first + i, v);
      g = u.nesterov ? g + momentum * v : v;
    }
    put(u.p + i, p - rate * g);
  });
}

template <class T>
constexpr FusedOf<T> kernels = {
    softmax<T>,
    softmax_backward<T>,
    update_scores,
    mask_scores,
    finish_scores,
    score_gradients,
    row_dots,
    scale_rows,
    adam<T>,
    sgd<T>,
    depthwise,
    depthwise_sums,
    copy_rows,
    transpose_rows,
    {norm_moments, norm_squares, norm_forward, norm_sums, norm_backward},
    distances,
    {lstm, gru, tanh_cell, relu_cell},
    {lstm_backward, gru_backward, tanh_cell_backward, relu_cell_backward},
    ctc_step,
    ctc_share,
    convolve,
    convolve_weights,
    sizeof(T) == sizeof(float) ? chain_single : chain_real,
};

} // namespace

extern constinit const Fused fused = {kernels<float>, kernels<double>};

} // namespace hadamard::LEVEL
