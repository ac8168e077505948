"""Ctrl-C ends kernels, backward and data loading at once; forks and ends of the process find no lock held."""

import os
import signal
import subprocess
import sys
import time

import pytest
from harness import OURS

pytestmark = [
    pytest.mark.skipif(not OURS, reason="torch's kernels run to their end"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

# Each takes far longer than a test may; `go` is called where the interrupt may come.
LONG = {
    "matmul": "a = H.ones(8000, 8000)\ngo()\nfor _ in range(9): a @ a",
    "matmul-one-thread": "H.set_num_threads(1)\na = H.ones(8000, 8000)\ngo()\na @ a",
    "batch": "a = H.ones(60, 1000, 1000)\ngo()\nfor _ in range(30): a @ a",
    "convolution": "x, w = H.ones(16, 64, 160, 160), H.ones(128, 64, 5, 5)\ngo()\nH.conv2d(x, w)",
    "elementwise": "x = H.ones(30000000)\ngo()\nfor _ in range(999): x.exp_().log_()",
    "scan": "x = H.ones(100000000)\ngo()\nfor _ in range(99): x.logcumsumexp(0)",
    "svd": "a = H.randn(4000, 4000)\ngo()\nH.linalg.svd(a)",
    "sort": "x = H.rand(20000000)\ngo()\nfor _ in range(9): x.sort()",
    "random": "x = H.empty(100000000)\ngo()\nfor _ in range(99): x.normal_()",
    "backward": (
        "x = y = H.ones(1500, 1500, requires_grad=True)\nfor _ in range(9): y = y @ x / 1500\n"
        "loss = y.sum()\ngo()\nfor _ in range(99): loss.backward(retain_graph=True)"
    ),
    "backward-of-a-long-chain": (
        "x = y = H.ones(10, requires_grad=True)\nfor _ in range(200000): y = y * 1.0\n"
        "loss = y.sum()\ngo()\nfor _ in range(999): loss.backward(retain_graph=True)"
    ),
    "training": "m = H.nn.LSTM(64, 128)\ngo()\nwhile True: m(H.ones(100, 8, 64))[0].sum().backward()",
    "loader": (
        "class Slow(H.utils.data.Dataset):\n    def __len__(self): return 1000\n"
        "    def __getitem__(self, i):\n        time.sleep(0.2)\n        return i\n"
        "go()\nfor batch in H.utils.data.DataLoader(Slow(), 2, num_workers=2): pass"
    ),
}
PROGRAM = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
import hadamard as H
def go(): print("go", flush=True)
try:
{body}
except KeyboardInterrupt:
    print(time.time(), flush=True)
# What was interrupted leaves nothing locked or half done.
a = H.arange(90000.0).view(300, 300)
assert H.equal((a @ H.eye(300)), a) and H.ones(10**6).sum() == 10**6
x = H.ones(3, requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2, 2, 2]
print("well", flush=True)
"""


@pytest.mark.parametrize("name", LONG)
def test_interrupt(name):
    body = "\n".join("    " + line for line in LONG[name].splitlines())
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout.readline() == "go\n", child.stderr.read()
        time.sleep(0.5)
        sent = time.time()
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
        lines = out.split()
        assert child.returncode == 0 and lines[-1] == "well", err
        # A second on a machine of its own; this one may be shared, and each of these would go on for far longer.
        assert float(lines[0]) - sent < 12, f"{float(lines[0]) - sent:.1f} s"
        with pytest.raises(ProcessLookupError):
            os.killpg(child.pid, 0)  # no worker is left
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def test_a_process_ends_while_lapack_works():
    """OpenBLAS takes its threads down at the end of the process; here they have half a minute's work left."""
    program = """
import ctypes, os, signal, sys, threading
import hadamard as H
signal.signal(signal.SIGINT, signal.default_int_handler)
a = H.randn(4000, 4000)
ctypes.CDLL(None).printf(b"kept in C\\n")
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    H.linalg.svd(a)
except KeyboardInterrupt:
    print("kept in Python")
    sys.exit(7)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert done.returncode == 7 and not done.stderr, done
        assert sorted(done.stdout.split("\n")) == ["", "kept in C", "kept in Python"]


def test_a_handler_of_ones_own_runs_and_the_work_goes_on():
    program = (
        "import signal, os, time, threading\nimport hadamard as H\n"
        "a = H.eye(3000)\nseen = []\n"
        # It multiplies within a multiplication, in memory of its own.
        "def handler(*_): seen.append(H.equal(a @ a, a))\n"
        "signal.signal(signal.SIGINT, handler)\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "b = a\nt = time.time()\n"
        "while not seen or time.time() - t < 1: b = b @ a\n"
        "assert seen == [True] and H.equal(b, a)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_fork_while_other_threads_work():
    """The child's draws, gradients and memory wait for no lock that a thread left behind in the parent holds."""
    program = """
import os, signal, threading
import hadamard as H
def busy(kind):
    x = H.ones(200, 200, requires_grad=True)
    while True:
        if kind == 0: (x @ x).exp().sum().backward()
        elif kind == 1: H.randn(200000)
        else: [H.empty(n * 1000) for n in range(40, 60)]
for kind in range(3): threading.Thread(target=busy, args=(kind,), daemon=True).start()
for i in range(20):
    child = os.fork()
    if not child:
        signal.alarm(20)
        H.randn(100000)
        x = H.ones(200, 200, requires_grad=True)
        (x @ x).sum().backward()
        assert x.grad.sum() == 2 * 200**3 and H.ones(10**6).exp().isfinite().all()
        [H.empty(n * 1000) for n in range(40, 60)]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, i
"""
    # The threads are in the middle of their work when the process ends: that must not abort it.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
