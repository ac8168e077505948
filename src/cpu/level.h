// What the host asks of a level: plain structs and one constinit table per level. Nothing from std.
#pragma once
#include "../dtype.h"

namespace hadamard {

constexpr int max_dims = 64;
constexpr int max_operands = 5; // the result and up to four inputs

// One row of a level's table: an op on one dtype. Whole vectors only; map() sees to strides, repeats and tails.
struct Loop {
  void (*vectors)(char *const *at, const long *step, long vectors); // nullptr: not defined for this dtype
  unsigned char lanes, operands;
  unsigned char size[max_operands]; // element sizes in bytes, result first
  DType result;
  bool copy; // stores what it reads
};

// A strided iteration over up to max_dims dimensions, outermost first. Strides in bytes; operand 0 is the result;
// stride 0 repeats an operand.
struct Grid {
  int ndim;
  char *data[max_operands];
  long shape[max_dims];
  long stride[max_dims][max_operands];
};

// A reduction: for every index of the kept dimensions, over all indices of the reduced ones. Strides in bytes.
enum class Fold : uint8_t { sum, prod, max, min, any, all, argmax, argmin, sumsq };
constexpr int fold_count = 9;
struct Reduction {
  char *out;
  const char *in;
  int kept, reduced; // numbers of dimensions, outermost first, coalesced by the host
  long kept_shape[max_dims], out_stride[max_dims], in_stride[max_dims];
  long reduced_shape[max_dims], reduced_stride[max_dims];
};
using Reduce = void (*)(const Reduction &);

// A scan along one dimension of n elements; for cummax and cummin `index` gets int64 positions.
enum class Scan : uint8_t { cumsum, cumprod, cummax, cummin, logcumsumexp };
constexpr int scan_count = 5;
using ScanLine = void (*)(char *out, long out_stride, int64_t *index, long index_stride, const char *in, long in_stride,
                          long n);

// C[m,n] (+)= sum over k of A[m,k] B[k,n], for every index of the batch. Strides in elements; where a table of offsets
// is given (one entry per index, in elements) it takes the place of the stride, so that any group of dimensions can
// play the part of m, n or k without a copy.
struct Axis {
  long stride;
  const long *offsets; // or nullptr
};
enum class Activation : uint8_t { none, relu, gelu, sigmoid, tanh };
enum class Route : uint8_t { reference, dot, gemv, direct, packed, skinny, tall, split_k };
struct Gemm {
  DType dtype;  // of A and B; bool is not defined
  DType result; // of C: dtype itself, or I32 for I8 and U8
  Route route;
  long m, n, k, batch;
  const char *a, *b;
  char *c;
  Axis a_m, a_k, b_k, b_n, c_m, c_n, a_batch, b_batch, c_batch;
  bool accumulate;  // add to what C holds
  const char *bias; // nullptr, or added once: dtype of C, strides below (0 repeats)
  Axis bias_m, bias_n, bias_batch;
  Activation activation;
  int threads; // at most this many
};

struct Fused; // fused.h: kernels of several steps
struct Level {
  const char *name;                                 // "v2", "v3", "v4", "neon"
  int width;                                        // bytes in a vector
  const Loop *const *elementwise;                   // [op id][dtype]: the ops, then the slopes
  const Loop (*cast)[dtype_count];                  // [from][to]
  const Reduce (*reduce)[dtype_count][dtype_count]; // [fold][in][out], nullptr where not defined
  const ScanLine (*scan)[dtype_count];              // [scan][dtype]
  void (*map)(const Loop &, const Grid &);
  void (*gemm)(const Gemm &);
  const Fused *fused;
};

// The level in use: chosen once from the machine (or HADAMARD_LEVEL) by level.cpp.
const Level &level();
const Level *find_level(const char *name); // nullptr: unknown, or not for this machine
const char *available_levels();            // "v2, v3", lowest first

} // namespace hadamard
