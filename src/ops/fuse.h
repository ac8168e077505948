// fuse(): element-wise ops that wait for each other, to be run in one pass over memory.
#pragma once
#include "call.h"

namespace hadamard {

// Whether a result of this shape, made of these, is to wait: this thread is inside of a fused function, and the result
// is large or an operand waits itself.
bool waits(const Dims &shape, const Tensor *in, int n);
// Puts off y = op(in…); y is on the meta device and has no memory before it is needed.
void put_off(const char *name, const Loop &loop, DType operands, int conditions, const Tensor *in, int n,
             const Tensor &y);
// The same for self = op(self, …) of the same shape and dtype, where self waits and nobody else sees it.
bool put_off_inplace(const char *name, const Loop &loop, DType operands, int conditions, const Tensor *in, int n);
// x cast to a dtype, or copied, where that can wait; nothing where not.
Tensor put_off_copy(const Tensor &x, DType t);
// The same for a reduction over the last `dims` dimensions to a result of this shape.
Tensor put_off_fold(const char *name, Fold f, const Tensor &x, int dims, const Dims &shape, DType result);
// Runs what waits in this thread.
void run_waiting();
// The same, where memory that is not only ours is involved, so that a write to `t` may change it unseen.
void run_before_write(const Tensor &t);

// What explain() is told of each pass before it runs.
struct FusedStep {
  const char *name;
  DType dtype;      // of the result
  const char *data; // where the result is written; nullptr: nowhere
  int operands;
  int of[max_operands - 1]; // number of the step or, from -2 down, of the tensor it reads; -1: a number
  Scalar number[max_operands - 1];
};
struct FusedRead {
  Dims shape;
  const char *data;
};
struct FusedPass {
  Dims shape;
  long tile, tiles, slots; // elements in a tile, tiles, results that there is room for in one
  std::vector<FusedStep> steps;
  std::vector<FusedRead> read;
  double bytes_read, bytes_written; // of memory, in this pass
  double alone;                     // bytes that its steps would move one by one
};
using FuseHook = void (*)(const FusedPass &);
extern constinit thread_local FuseHook fuse_hook;

} // namespace hadamard
