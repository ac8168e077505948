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


# x: J0, J1, Y0, Y1, K0, K1, from SciPy
BESSEL = {
    0.5: (
        0.938469807240813,
        0.24226845767487387,
        -0.4445187335067066,
        -1.4714723926702433,
        0.9244190712276656,
        1.6564411200033007,
    ),
    2.0: (
        0.22389077914123562,
        0.5767248077568734,
        0.5103756726497451,
        -0.10703243154093756,
        0.1138938727495334,
        0.13986588181652246,
    ),
    30.0: (
        -0.08636798358104031,
        -0.11875106261662305,
        -0.11729573168666398,
        0.08442557066174713,
        2.1324774964630563e-14,
        2.1677320018915495e-14,
    ),
}


def test_bessel_functions():
    names = "bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1".split()
    for x, values in BESSEL.items():
        for name, value in zip(names, values, strict=True):
            got = float(getattr(H.special, name)(H.tensor(x, dtype=H.float64)))
            assert abs(got - value) < 2e-14 * max(abs(value), 1e-3 if "bessel_k" not in name else 0), (name, x)
    x = H.linspace(0.01, 60, 500, dtype=H.float64)
    s = H.special
    # Wronskians: J1 Y0 - J0 Y1 = 2 / (πx) and I0 K1 + I1 K0 = 1 / x.
    w = s.bessel_j1(x) * s.bessel_y0(x) - s.bessel_j0(x) * s.bessel_y1(x)
    H.testing.assert_close(w, 2 / (math.pi * x), rtol=1e-12, atol=1e-13)
    w = s.i0e(x) * s.scaled_modified_bessel_k1(x) + s.i1e(x) * s.scaled_modified_bessel_k0(x)
    H.testing.assert_close(w, 1 / x, rtol=1e-11, atol=0)
    H.testing.assert_close(s.modified_bessel_k0(x), s.scaled_modified_bessel_k0(x) * (-x).exp(), rtol=1e-13, atol=0)
    assert s.bessel_y0(H.tensor([0.0, -1.0])).tolist()[0] == -math.inf
    assert s.modified_bessel_k1(H.tensor([0.0, math.inf])).tolist() == [math.inf, 0.0]
    assert s.bessel_j0(H.tensor([1, 2])).dtype == H.float32
    with pytest.raises(NotImplementedError, match="\"bessel_j0_cpu\" not implemented for 'Half'"):
        s.bessel_j0(H.ones(1, dtype=H.float16))


def test_incomplete_gamma_functions():
    s = H.special
    n = H.arange(1, 40, dtype=H.float64)
    x = H.tensor([0.1, 1.0, 7.0, 30.0, 90.0], dtype=H.float64).unsqueeze(1)
    # Q(n, x) = e^-x Σ x^k / k! for k < n.
    k = H.arange(40, dtype=H.float64)
    terms = (k * x.log() - x - (k + 1).lgamma()).exp()
    H.testing.assert_close(s.gammaincc(n, x), terms.cumsum(-1)[:, :-1], rtol=1e-11, atol=0)
    H.testing.assert_close(s.gammainc(n, x) + s.gammaincc(n, x), H.ones(5, 39, dtype=H.float64))
    half = H.tensor(0.5, dtype=H.float64)
    H.testing.assert_close(s.gammainc(half, x), x.sqrt().erf(), rtol=1e-12, atol=0)
    big = H.tensor([1e3, 1e5], dtype=H.float64)
    assert ((s.gammainc(big, big) - 0.5).abs() < 0.01).all()
    z = H.rand(4, dtype=H.float64).add(0.5).requires_grad_()
    for f in (H.igamma, H.igammac):
        assert H.autograd.gradcheck(lambda z, f=f: f(H.tensor([0.3, 1.0, 2.0, 5.0], dtype=H.float64), z), z)
        assert H.autograd.gradgradcheck(lambda z, f=f: f(H.tensor([0.3, 1.0, 2.0, 5.0], dtype=H.float64), z), z)
    with pytest.raises(NotImplementedError, match="the derivative for 'igamma: input' is not implemented"):
        H.igamma(z, z).sum().backward()


def test_logaddexp_of_complex_numbers():
    """log(exp(a) + exp(b)) as NumPy has it, also where the exponentials overflow."""
    a, b = np.array([1 + 2j, -3 + 1j, 0.5j]), np.array([0.5 - 1j, 2 + 3j, -0.5j])
    got = H.logaddexp(H.tensor(a), H.tensor(b)).numpy()
    assert np.allclose(got, np.log(np.exp(a) + np.exp(b)), rtol=1e-14)
    assert np.allclose(H.logaddexp(H.tensor(a + 1000), H.tensor(b + 1000)).numpy(), got + 1000, rtol=1e-14)
    x, y = (H.tensor(v).requires_grad_() for v in (a, b))
    assert H.autograd.gradcheck(H.logaddexp, (x, y))


def test_sums_of_nothing_have_every_dtype():
    """Where no kernel runs, none refuses."""
    assert not H.mm(H.empty(5, 0, dtype=H.bool), H.empty(0, 3, dtype=H.bool)).any()
    assert H.softmax(H.empty(2, 0, dtype=H.int64), -1).shape == (2, 0)
    assert H.nn.functional.batch_norm(H.empty(0), None, None, training=True).shape == (0,)
