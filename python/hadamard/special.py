"""Special functions under the names of torch.special: error functions, gamma functions, orthogonal polynomials."""

import math

import hadamard as H
from hadamard import _C

softmax = _C.softmax
log_softmax = _C.log_softmax
logsumexp = _C.logsumexp
