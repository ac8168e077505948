// Kernels that take several steps in one pass over memory, for float and double: what a level offers besides single
// ops.
#pragma once
#include "chain.h"

namespace hadamard {

// Rows of n elements, one after another: y = softmax(x), or its logarithm.
template <class T> using Softmax = void (*)(T *y, const T *x, long rows, long n, bool log);
// The gradient for x from the result y and its gradient g.
template <class T> using SoftmaxBackward = void (*)(T *gx, const T *g, const T *y, long rows, long n, bool log);

// One tile of scores in attention: `keys` rows in steps of `stride`, `n` queries in a row, a whole number of lines of
// the cache (but for 1). s becomes exp(s - largest so far), `largest` and `sum` are brought up to date for each query,
// and `shrink` is what earlier sums and results have to be multiplied by.
template <class T> struct Scores {
  T *s;
  long keys, n, stride;
  T *largest, *sum, *shrink;
};
template <class T> using UpdateScores = void (*)(const Scores<T> &);
// A mask on the same tile, its strides for queries and keys: numbers are added, where a truth value is false stays
// -inf. `room` is for mask_room(keys) numbers.
template <class T> struct ScoreMask {
  const void *at;
  bool truth;
  long query, key;
  T *room;
};
constexpr long mask_strip = 16; // queries that are taken together
constexpr long mask_room(long keys) { return 2 * mask_strip * keys; }
template <class T> using MaskScores = void (*)(const Scores<T> &, const ScoreMask<T> &, long queries);
// Of each query at the end: the logarithm of its sum of exponentials, and what makes its weights add up to 1. One that
// saw nothing has infinity and 0.
template <class T> using FinishScores = void (*)(const Scores<T> &, T *logs);
// The same tile in backward: p = exp(s - of_query) in place, and ds = p * (dp - delta) in place of dp.
template <class T>
using ScoreGradients = void (*)(T *s, T *dp, const T *of_query, const T *delta, long keys, long n, long stride);
// sums[i] = the sum of a[i, j] b[i, j]
template <class T> using RowDots = void (*)(T *sums, const T *a, long a_row, const T *b, long b_row, long rows, long n);
// Each of the rows of y times its factor.
template <class T> using ScaleRows = void (*)(T *y, long stride, const T *factor, long rows, long n);

// One step of an optimiser on n elements; pointers that it does not use are null.
template <class T> struct Update {
  T *p;
  const T *g;
  T *first, *second, *largest; // Adam: running means of g and g²; SGD: first is the velocity
  long n;
  bool negate;   // climb instead of descend
  bool fresh;    // SGD: the velocity begins as the gradient
  bool nesterov; // SGD
  T decay;       // added to the gradient, times p
  T shrink;      // p is multiplied by it first (decoupled decay); 1: not
  T rate;        // SGD: lr; Adam: lr over the first correction
  T beta1, beta2, eps;
  T root;   // Adam: the square root of the second correction
  T weight; // SGD: of the gradient in the velocity (1 - dampening); Adam: 1 - beta1
  T square; // Adam: 1 - beta2
};
template <class T> using Step = void (*)(const Update<T> &);

// One plane of a depthwise convolution: y[i, j] = bias + sum of w[t] x[i * x_row + j + at[t]]. x can be read up to a
// whole vector past the last column.
template <class T> struct Plane {
  T *y;
  const T *x, *w;
  const long *at;
  long taps, rows, columns, y_row, x_row;
  T bias;
};
template <class T> using Depthwise = void (*)(const Plane<T> &);
// sums[t] += sum of y[i, j] x[i * x_row + j + at[t]]
template <class T> using DepthwiseSums = void (*)(const Plane<T> &, double *sums);

// Normalisation of n neighbouring elements, all with the same mean: a row, or a plane of one channel.
template <class T> struct Stretch {
  const T *x, *g; // g: the gradient that arrives
  T *y;           // the result, or the gradient for x
  long n;
  T mean, scale, factor, shift, slope;
  const T *weight, *bias;     // one for each element, or null
  T *weight_sums, *bias_sums; // likewise
};
struct Moment {                            // of the elements seen so far
  double count = 0, mean = 0, squares = 0; // squares: of the distances from the mean
};
template <class T> struct NormOf {
  void (*moments)(const T *x, long n, Moment &);
  double (*squares)(const T *x, long n);
  void (*forward)(const Stretch<T> &); // y = (x - mean) * scale * weight + shift + bias
  // The sums of g * weight and of g * weight * (x - mean); weight_sums += g * (x - mean) * scale, bias_sums += g.
  void (*sums)(const Stretch<T> &, double &first, double &second);
  void (*backward)(const Stretch<T> &); // y = (g * weight * factor - shift - (x - mean) * slope) * scale
};

// y[i, j] = the length of row i of a minus column j of b, whose rows go on to a whole vector.
template <class T> struct Distances {
  T *y;
  const T *a, *b;
  long rows, others, width, y_row, a_row, b_row;
};

// A convolution: y[n, o, i, j] = bias[o] + the sum over c, r, s of w[o, c, r, s] x[n, c, i * step[0] + r * apart[0] -
// low[0], j * step[1] + s * apart[1] - low[1]], where there is nothing but zeros around x. Strides in elements; `out`
// and `in` count the channels of one group, whose groups follow each other in x and y and are `w_group` apart in w.
template <class T> struct Windows {
  T *x, *w, *y;
  const T *bias; // or nullptr
  long bias_step;
  long images, groups, in, out;
  long x_size[2], y_size[2], taps[2], step[2], apart[2], low[2];
  long x_image, x_channel, x_at[2];
  long w_group, w_out, w_in, w_at[2];
  long y_image, y_channel, y_at[2];
};
template <class T> using Convolve = void (*)(const Windows<T> &, bool share);

// Rows of n elements, from one stride to another.
template <class T> using CopyRows = void (*)(T *to, long to_row, const T *from, long from_row, long rows, long n);
// to[j, i] = factor * from[i, j], and zeros for rows up to `padded`.
template <class T>
using TransposeRows = void (*)(T *to, long to_row, const T *from, long from_row, long rows, long n, long padded,
                               T factor);

// One step of a recurrent layer, forward or backward, on rows of n units, everything contiguous. The gates of a row lie
// one after another, n of each; what a kernel does not use is null.
enum class Cell : unsigned char { lstm, gru, tanh, relu };
template <class T> struct CellStep {
  long rows, n;
  T *gates;        // i, f, g, o or r, z, n or the new h; forward: before their functions, and then what these gave
  const T *hidden; // GRU: the products of the last h, their biases added
  T *of_new;       // GRU: hidden's part for n, kept for backward
  const T *before; // c or (GRU) h of the step before
  T *c, *h;
  // Backward, of this step on: gradients of the result, of h and (LSTM) c from the steps after, which become those for
  // the step before as far as they do not pass through the gates; and of the gates before their functions (GRU: n, r, z
  // for the input, and n for the last h).
  const T *gy;
  T *gh, *gc, *ggates;
};
template <class T> using CellKernel = void (*)(const CellStep<T> &);

// Connectionist temporal classification, a step for n states: to[i] = log(e^a[i] + e^b[i] + e^(c[i] + skip[i])) +
// emitted[i].
template <class T>
using CtcStep = void (*)(T *to, const T *a, const T *b, const T *c, const T *skip, const T *emitted, long n);
// share[i] = e^(alpha[i] + beta[i] - emitted[i] + loss), 0 where alpha is -inf
template <class T> using CtcShare = void (*)(T *share, const T *alpha, const T *beta, const T *emitted, T loss, long n);

template <class T> struct FusedOf {
  Softmax<T> softmax;
  SoftmaxBackward<T> softmax_backward;
  UpdateScores<T> update_scores;
  MaskScores<T> mask_scores;
  FinishScores<T> finish_scores;
  ScoreGradients<T> score_gradients;
  RowDots<T> row_dots;
  ScaleRows<T> scale_rows;
  Step<T> adam, sgd;
  Depthwise<T> depthwise;
  DepthwiseSums<T> depthwise_sums;
  CopyRows<T> copy_rows;
  TransposeRows<T> transpose_rows;
  NormOf<T> norm;
  void (*distances)(const Distances<T> &);
  CellKernel<T> cell[4], cell_backward[4]; // by Cell
  CtcStep<T> ctc_step;
  CtcShare<T> ctc_share;
  Convolve<T> convolve, convolve_weights; // writes y; writes w
  Chain chain;
};
struct Fused {
  FusedOf<float> single;
  FusedOf<double> real;
};
template <class T> const FusedOf<T> &of(const Fused &f) {
  if constexpr (sizeof(T) == sizeof(float)) return f.single;
  else return f.real;
}

} // namespace hadamard
