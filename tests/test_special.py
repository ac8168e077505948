"""hadamard.special against torch where it is installed, and against identities always."""

import math

import numpy as np
import pytest
from harness import H, torch, values_of

POINTS = {
    "entr": np.array([0.0, 0.5, 1.0, 3.0, -1.0, np.nan]),
    "ndtr": np.array([-30.0, -2.0, 0.0, 1.0, 9.0]),
    "ndtri": np.array([0.0, 1e-9, 0.3, 0.5, 0.999, 1.0]),
    "log_ndtr": np.array([-300.0, -20.0, -1.5, -1.0, 0.0, 2.0, 30.0]),
    "erfcx": np.array([-3.0, -0.5, 0.0, 1.0, 3.9, 4.1, 50.0, 1e10]),
    "i0": np.array([-20.0, -3.0, 0.0, 1e-9, 1.0, 15.9, 16.1, 80.0]),
    "i0e": np.array([-20.0, -3.0, 0.0, 1e-9, 1.0, 15.9, 16.1, 800.0]),
    "i1": np.array([-20.0, -3.0, 0.0, 1e-9, 1.0, 15.9, 16.1, 80.0]),
    "i1e": np.array([-20.0, -3.0, 0.0, 1e-9, 1.0, 15.9, 16.1, 800.0]),
    "spherical_bessel_j0": np.array([0.0, 0.3, 4.0, -2.0]),
    "psi": np.array([0.3, 1.0, 7.0]),
    "expit": np.array([-3.0, 0.0, 9.0]),
    "gammaln": np.array([0.3, 1.0, 7.0]),
}
POLYNOMIALS = [
    "chebyshev_polynomial_t",
    "chebyshev_polynomial_u",
    "chebyshev_polynomial_v",
    "chebyshev_polynomial_w",
    "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u",
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
]


def close(got, want, tolerance=1e-10):
    np.testing.assert_allclose(values_of(got), values_of(want), rtol=tolerance, atol=1e-14)


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", POINTS)
def test_same_as_torch(name):
    x = POINTS[name]
    close(getattr(H.special, name)(H.from_numpy(x)), getattr(torch.special, name)(torch.from_numpy(x)))


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_polynomials(name, n):
    x = np.linspace(-0.9, 0.9, 7)
    close(getattr(H.special, name)(H.from_numpy(x), n), getattr(torch.special, name)(torch.from_numpy(x), n), 1e-8)


@pytest.mark.skipif(torch is None, reason="torch is not installed")
def test_of_two():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([-1.0, 0.5, 3.0])
    for name in ("xlog1py", "xlogy"):
        close(
            getattr(H.special, name)(H.from_numpy(x), H.from_numpy(y)),
            getattr(torch.special, name)(torch.from_numpy(x), torch.from_numpy(y)),
        )
    s, q = np.array([1.5, 2.0, 7.0, 20.0]), np.array([0.1, 1.0, 3.0, 50.0])
    close(
        H.special.zeta(H.from_numpy(s), H.from_numpy(q)), torch.special.zeta(torch.from_numpy(s), torch.from_numpy(q))
    )
    for n in range(4):
        close(H.special.polygamma(n, H.from_numpy(q)), torch.special.polygamma(n, torch.from_numpy(q)), 1e-9)
    close(H.special.multigammaln(H.from_numpy(s + 2), 3), torch.special.multigammaln(torch.from_numpy(s + 2), 3))


def test_identities():
    x = H.linspace(-3, 3, 13, dtype=H.float64)
    close(H.special.ndtr(x) + H.special.ndtr(-x), H.ones(13, dtype=H.float64))
    close(H.special.log_ndtr(x).exp(), H.special.ndtr(x))
    theta = H.linspace(0.1, 3, 5, dtype=H.float64)
    close(H.special.chebyshev_polynomial_t(theta.cos(), 4), (4 * theta).cos())
    two = H.tensor(2.0, dtype=H.float64)
    assert float(H.special.zeta(two, H.ones((), dtype=H.float64))) == pytest.approx(math.pi**2 / 6)


@pytest.mark.parametrize("name", ["entr", "ndtr", "ndtri", "log_ndtr", "erfcx", "i0", "i0e", "i1", "i1e"])
def test_gradients(name):
    f = getattr(H.special, name)
    x = H.tensor([0.2, 0.7], dtype=H.float64, requires_grad=True)
    (g,) = H.autograd.grad(f(x).sum(), x)
    h = 1e-6
    close(g, (f(x.detach() + h) - f(x.detach() - h)) / (2 * h), 1e-7)
