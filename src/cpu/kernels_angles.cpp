// The loops of the ops of ELEMENTWISE_ANGLES.
#include "elementwise.h"

namespace hadamard::LEVEL {
extern constinit const Row rows_angles[] = {
#define X(op) row<ops::op>(),
    ELEMENTWISE_ANGLES(X)
#undef X
};
} // namespace hadamard::LEVEL
