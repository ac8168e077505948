// Kernels that take several steps in one pass over memory, for float and double: what a level offers besides single
// ops.
#pragma once

namespace hadamard {

// Rows of n elements, one after another: y = softmax(x), or its logarithm.
template <class T> using Softmax = void (*)(T *y, const T *x, long rows, long n, bool log);
// The gradient for x from the result y and its gradient g.
template <class T> using SoftmaxBackward = void (*)(T *gx, const T *g, const T *y, long rows, long n, bool log);

// One tile of scores in attention, rows of `n` in steps of `stride`: s becomes exp(s - largest so far), `largest` and
// `sum` are brought up to date, and `shrink` is what earlier sums and results have to be multiplied by.
template <class T> struct Scores {
  T *s;
  long rows, n, stride;
  T *largest, *sum, *shrink;
};
template <class T> using UpdateScores = void (*)(const Scores<T> &);
// The same tile in backward: p = exp(s - of_row) in place, and ds = p * (dp - delta) in place of dp.
template <class T>
using ScoreGradients = void (*)(T *s, T *dp, const T *of_row, const T *delta, long rows, long n, long stride);
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

// Rows of n elements, from one stride to another.
template <class T> using CopyRows = void (*)(T *to, long to_row, const T *from, long from_row, long rows, long n);

template <class T> struct FusedOf {
  Softmax<T> softmax;
  SoftmaxBackward<T> softmax_backward;
  UpdateScores<T> update_scores;
  ScoreGradients<T> score_gradients;
  ScaleRows<T> scale_rows;
  Step<T> adam, sgd;
  Depthwise<T> depthwise;
  DepthwiseSums<T> depthwise_sums;
  CopyRows<T> copy_rows;
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
