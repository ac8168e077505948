// The loops of the ops of ELEMENTWISE_SPECIAL.
#include "elementwise.h"

namespace hadamard::LEVEL {
extern constinit const Row rows_special[] = {
#define X(op) row<ops::op>(),
    ELEMENTWISE_SPECIAL(X)
#undef X
};
} // namespace hadamard::LEVEL
