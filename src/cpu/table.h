// The tables that the files of one level share.
#pragma once
#include "level.h"

namespace hadamard::LEVEL {

struct Row {
  Loop at[dtype_count];
};
struct ReduceTable {
  Reduce at[fold_count][dtype_count][dtype_count];
};
struct ScanTable {
  ScanLine at[scan_count][dtype_count];
};

extern const Row rows_cast[dtype_count];
extern const ReduceTable reduce_table;
extern const ScanTable scan_table;
void map(const Loop &, const Grid &);
void gemm(const Gemm &);

} // namespace hadamard::LEVEL
