// What this level exports.
#include "elementwise.h"

#define HD_TEXT_(x) #x
#define HD_TEXT(x) HD_TEXT_(x)

namespace hadamard::LEVEL {

#define COUNT(op) +1
extern const Row rows_parts[0 ELEMENTWISE_PARTS(COUNT)], rows_arithmetic[0 ELEMENTWISE_ARITHMETIC(COUNT)],
    rows_powers[0 ELEMENTWISE_POWERS(COUNT)], rows_angles[0 ELEMENTWISE_ANGLES(COUNT)],
    rows_special[0 ELEMENTWISE_SPECIAL(COUNT)];
#undef COUNT
extern const Row rows_slopes[ops::slope_count];

extern const Fused fused;

namespace {

struct Loops {
  const Loop *of[ops::elementwise_count + ops::slope_count];
};
// The groups' rows, one after the other.
constexpr Loops all() {
  Loops r{};
  int to = 0;
  auto append = [&](const auto &rows) {
    for (const Row &row : rows) r.of[to++] = row.at;
  };
  append(rows_parts), append(rows_arithmetic), append(rows_powers), append(rows_angles), append(rows_special);
  append(rows_slopes);
  return r;
}
constinit const Loops loops = all();

} // namespace

extern constinit const Level level = {
    HD_TEXT(LEVEL), width, loops.of, &rows_cast[0].at, reduce_table.at, scan_table.at, map, gemm, &fused,
};

} // namespace hadamard::LEVEL
