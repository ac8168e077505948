// The plan of a product of two operands: which indices are rows, columns, summed or batch, how they lie in memory,
// which route the kernels take and what it costs. Pure: looks at sizes, strides and dtype, never at data.
#pragma once
#include "cpu/level.h"

#include <memory>

namespace hadamard {

// One index of a product; strides in elements, 0 where an operand lacks the index or repeats along it.
enum class Role : uint8_t { batch, row, column, summed };
struct Index {
  Role role; // batch: in both operands and in the result; row: left only; column: right only; summed: not in the result
  long size;
  long a, b, c; // strides in the left and right operand and in the result
  long bias;    // of the bias, where there is one
};

// A product with at most one index in each role; strides in elements.
struct Matrices {
  long m, n, k;
  long a_m, a_k, b_k, b_n, c_m, c_n;
  long bias_m, bias_n;
};

struct Epilogue {
  bool accumulate = false;    // add to what the result holds
  const char *bias = nullptr; // dtype of the result, strides as in the indices
  Activation activation = Activation::none;
};

class Contraction {
public:
  // `result` is `dtype`, or I32 for I8, U8 and I16. At most max_dims indices.
  // A plan that is only looked at, as on the meta device, does not fill the tables that running would need.
  Contraction(DType dtype, DType result, const Index *indices, int count, bool to_run = true);
  Contraction(DType dtype, DType result, const Matrices &s);

  void run(const char *a, const char *b, char *c, const Epilogue &epilogue = {});

  long batch() const { return gemm_.batch; }
  long rows() const { return swapped_ ? gemm_.n : gemm_.m; }
  long columns() const { return swapped_ ? gemm_.m : gemm_.n; }
  long depth() const { return gemm_.k; }
  bool swapped() const { return swapped_; } // computed as its transpose, because the result is stored by columns
  Route route() const { return gemm_.route; }
  int threads() const { return gemm_.threads; }
  double multiply_adds() const { return double(gemm_.batch) * double(gemm_.m) * double(gemm_.n) * double(gemm_.k); }
  double bytes() const { return bytes_; } // read once and written once
  const char *reason() const { return reason_; }
  const char *name() const;  // of the route
  DType sum_type() const;    // in which the sums are kept
  const char *order() const; // of the summation, in words

  // Computed by other kernels than those of products: what the plan says of them.
  void elsewhere(const char *name, const char *reason, const char *order) {
    name_ = name, reason_ = reason, order_ = order;
  }
  void force(Route route) { gemm_.route = route, reason_ = "asked for"; } // for tests and measurements

private:
  void build(DType dtype, DType result, const Index *indices, int count, bool to_run);
  void decide(); // the route and the threads, once sizes, strides and bytes_ are known

  Gemm gemm_;
  std::unique_ptr<long[]> tables_;
  const char *reason_, *name_ = nullptr, *order_ = nullptr;
  double bytes_;
  bool swapped_;
};

// While it is set, sees every plan before it runs; then products on the meta device have plans too.
extern void (*plan_hook)(const Contraction &);

} // namespace hadamard
