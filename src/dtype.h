// The one list of dtypes, sets of them, and visit(). Levels include this file, so it uses nothing from std.
#pragma once
#include <stdint.h>

#ifdef __clang__
#define HD_INLINE __attribute__((always_inline)) inline
#else
#define HD_INLINE __attribute__((always_inline)) inline
#endif

namespace hadamard {

struct f16 {
  uint16_t bits;
};
struct bf16 {
  uint16_t bits;
};
template <class T> struct complex {
  T re, im;
};
using c64 = complex<float>;
using c128 = complex<double>;

// X(enumerator, C++ storage type, torch's name, torch's alias or "", name in messages, legacy tensor type)
#define HD_DTYPES(X)                                                                                                   \
  X(Bool, bool, "bool", "", "Bool", "BoolTensor")                                                                      \
  X(U8, uint8_t, "uint8", "", "Byte", "ByteTensor")                                                                    \
  X(I8, int8_t, "int8", "", "Char", "CharTensor")                                                                      \
  X(I16, int16_t, "int16", "short", "Short", "ShortTensor")                                                            \
  X(I32, int32_t, "int32", "int", "Int", "IntTensor")                                                                  \
  X(I64, int64_t, "int64", "long", "Long", "LongTensor")                                                               \
  X(F16, f16, "float16", "half", "Half", "HalfTensor")                                                                 \
  X(BF16, bf16, "bfloat16", "", "BFloat16", "BFloat16Tensor")                                                          \
  X(F32, float, "float32", "float", "Float", "FloatTensor")                                                            \
  X(F64, double, "float64", "double", "Double", "DoubleTensor")                                                        \
  X(C64, c64, "complex64", "cfloat", "ComplexFloat", "ComplexFloatTensor")                                             \
  X(C128, c128, "complex128", "cdouble", "ComplexDouble", "ComplexDoubleTensor")

enum class DType : uint8_t {
#define X(e, ...) e,
  HD_DTYPES(X)
#undef X
};
constexpr int dtype_count = 12;

struct DTypeInfo {
  const char *name, *alias, *scalar, *legacy;
  int size;
};
inline constexpr DTypeInfo dtype_info[] = {
#define X(e, T, name, alias, scalar, legacy) {name, alias, scalar, legacy, int(sizeof(T))},
    HD_DTYPES(X)
#undef X
};
constexpr const DTypeInfo &info(DType t) { return dtype_info[int(t)]; }
constexpr long size_of(DType t) { return dtype_info[int(t)].size; }

// Sets of dtypes, as bits.
using Set = unsigned;
constexpr Set set_of(DType t) { return 1u << unsigned(t); }
constexpr Set boolean = set_of(DType::Bool);
constexpr Set integers =
    set_of(DType::U8) | set_of(DType::I8) | set_of(DType::I16) | set_of(DType::I32) | set_of(DType::I64);
constexpr Set floats = set_of(DType::F16) | set_of(DType::BF16) | set_of(DType::F32) | set_of(DType::F64);
constexpr Set complexes = set_of(DType::C64) | set_of(DType::C128);
constexpr Set reals = integers | floats;
constexpr Set numbers = reals | complexes;
constexpr Set everything = numbers | boolean;
constexpr bool dtype_in(DType t, Set s) { return set_of(t) & s; }

template <class T> struct Type {
  using type = T;
};
template <class T> struct DTypeOf;
#define X(e, T, ...)                                                                                                   \
  template <> struct DTypeOf<T> {                                                                                      \
    static constexpr DType value = DType::e;                                                                           \
  };
HD_DTYPES(X)
#undef X
template <class T> constexpr DType dtype_of = DTypeOf<T>::value;

// Calls f(Type<T>{}) for the storage type of t: the only switch over dtypes.
template <class F> HD_INLINE decltype(auto) visit(DType t, F &&f) {
  switch (t) {
#define X(e, T, ...)                                                                                                   \
  case DType::e: return f(Type<T>{});
    HD_DTYPES(X)
#undef X
  }
  __builtin_unreachable();
}

} // namespace hadamard
