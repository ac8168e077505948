// The loops of the ops of ELEMENTWISE_PARTS.
#include "elementwise.h"

namespace hadamard::LEVEL {
extern constinit const Row rows_parts[] = {
#define X(op) row<ops::op>(),
    ELEMENTWISE_PARTS(X)
#undef X
};
} // namespace hadamard::LEVEL
