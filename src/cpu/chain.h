// Steps of fuse() that are cheap enough for the way to the first-level cache and back to count: they leave their
// results in registers for the next one.
#pragma once

namespace hadamard {

#define CHAIN_UNARY(X) X(neg) X(abs) X(square) X(sqrt) X(reciprocal) X(relu)
#define CHAIN_BINARY(X) X(add) X(sub) X(mul) X(div) X(maximum) X(minimum)
#define CHAIN_SLOPES(X) X(sigmoid) X(tanh) // of their first operand, from the gradient in the register and y

// What a link does with x, the number in the register.
enum class Linked : unsigned char {
  none, // cannot be in a chain
  load,
  store,
#define X(op) op,
  CHAIN_UNARY(X) CHAIN_BINARY(X)
#undef X
#define X(op) op##_second, // x is the second operand
      CHAIN_BINARY(X)
#undef X
#define X(op) op##_slope,
          CHAIN_SLOPES(X)
#undef X
};

struct Link {
  Linked kind;
  char *at;  // the other operand, or where x is stored
  long step; // to the next vector, in bytes; 0: `chain_vectors` equal ones
};
constexpr int chain_vectors = 8;
using Chain = void (*)(const Link *begin, const Link *end, long vectors);

} // namespace hadamard
