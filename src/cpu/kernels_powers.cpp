// The loops of the ops of ELEMENTWISE_POWERS.
#include "elementwise.h"

namespace hadamard::LEVEL {
extern constinit const Row rows_powers[] = {
#define X(op) row<ops::op>(),
    ELEMENTWISE_POWERS(X)
#undef X
};
} // namespace hadamard::LEVEL
