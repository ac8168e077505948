// The loops of the ops of ELEMENTWISE_ARITHMETIC.
#include "elementwise.h"

namespace hadamard::LEVEL {
extern constinit const Row rows_arithmetic[] = {
#define X(op) row<ops::op>(),
    ELEMENTWISE_ARITHMETIC(X)
#undef X
};
} // namespace hadamard::LEVEL
