"""Fixtures of the whole suite: seeds, warnings, and the strict list of known differences."""

import os

import numpy as np
import pytest
from harness import OURS, H
from hypothesis import HealthCheck, settings
from known_failures import KNOWN

settings.register_profile(
    "suite", deadline=None, max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck)
)
settings.register_profile("long", deadline=None, max_examples=1000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_report_header(config):
    return f"module under test: {H.__name__} {H.__version__}, level {os.environ.get('HADAMARD_LEVEL', 'native')}"


def pytest_collection_modifyitems(items):
    """A known difference must fail: one that passes is an error, so the list only ever shrinks."""
    for item in items:
        where = item.nodeid.rpartition("/")[2]
        for pattern, reason in KNOWN.items():
            if OURS and pattern.matches(where):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(autouse=True)
def steady():
    """Every test starts from the same seeds and leaves no mode behind."""
    H.manual_seed(0)
    np.random.seed(0)
    yield
    left_on = H.is_grad_enabled()
    H.set_grad_enabled(True)
    assert left_on, "a test left gradients switched off"
    assert H.get_default_dtype() == H.float32, "a test left another default dtype"
