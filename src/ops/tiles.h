// Products of small matrices where they lie, for ops that make many of them inside.
#pragma once
#include <algorithm>

#include "contraction.h"
#include "tensor.h"

namespace hadamard::ops {

// A matrix in memory: rows and columns and their strides.
template <class T> struct View {
  T *at;
  long rows, columns, row, column;
  View t() const { return {at, columns, rows, column, row}; }
  View part(long first, long count) const { return {at + first * row, count, columns, row, column}; }
  View across(long first, long count) const { return {at + first * column, rows, count, row, column}; }
};

template <class T> Contraction plan_of(const View<T> &a, const View<T> &b, const View<T> &c) {
  constexpr DType type = sizeof(T) == 8 ? DType::F64 : DType::F32;
  return Contraction(type, type,
                     Matrices{a.rows, b.columns, a.columns, a.row, a.column, b.row, b.column, c.row, c.column, 0, 0});
}
// c = a b, or c += a b.
template <class T> void multiply(const View<T> &a, const View<T> &b, const View<T> &c, bool add) {
  plan_of(a, b, c).run(reinterpret_cast<const char *>(a.at), reinterpret_cast<const char *>(b.at),
                       reinterpret_cast<char *>(c.at), {add, nullptr, Activation::none});
}

// n elements rounded up to an odd number of lines of the cache: rows so far apart fall on different lines.
template <class T> long odd_lines(long n) {
  constexpr long line = 64 / long(sizeof(T));
  return ((n + line - 1) / line | 1) * line;
}

} // namespace hadamard::ops
