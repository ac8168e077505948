"""What the parts of linalg share: checks and their messages, arrays for LAPACK, named results."""

import math

import hadamard as H
from hadamard import _C
from hadamard._common import expect_tensor, scalar_name


class _LinAlgError(RuntimeError):
    """The numbers in a matrix do not allow what was asked: it is singular, not positive definite, not finite."""


LinAlgError = _LinAlgError


def numpy():
    try:
        import numpy
    except ImportError as e:
        raise ImportError("hadamard.linalg needs NumPy for its decompositions: pip install numpy") from e
    return numpy


_LONG = 1 << 27  # multiply-adds, roughly, of what takes a good part of a second


def lapack(name, a, *rest, **options):
    """The function of numpy.linalg. A long one runs in a thread of its own, so that ctrl-C is heard at once; that
    thread then comes to its end unseen."""
    import atexit
    import threading
    from contextvars import copy_context

    function = getattr(numpy().linalg, name)
    if a.size * a.shape[-1] < _LONG or threading.current_thread() is not threading.main_thread():
        return function(a, *rest, **options)
    found: list = []
    failed: list = []
    done = threading.Lock()

    def run():
        try:
            found.append(function(a, *rest, **options))
        except BaseException as error:
            failed.append(error)
        finally:
            done.release()

    done.acquire()
    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        done.acquire()
    except BaseException:
        atexit.register(_leave, thread)
        raise
    if failed:
        raise failed[0]
    return found[0]


def _leave(thread):
    """Lets the process end while LAPACK still works: OpenBLAS takes its threads down when the process exits, and that
    hangs or crashes if they have work. glibc can end it before that; elsewhere the work is waited for."""
    import ctypes

    if not thread.is_alive():
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)  # gets the status; what is registered later runs earlier
        libc.__cxa_atexit(libc.fflush, None, None)
    else:
        thread.join()


def array_of(x):
    return x.detach().numpy()


def tensor_of(a):
    return H.from_numpy(numpy().asarray(a, order="C"))


def conj_transposed(x):
    return x.mT.conj() if x.is_complex() else x.mT


def real_part(x):
    return x.real if x.is_complex() else x


def check_matrix(x, name, arg="A"):
    expect_tensor(name.removeprefix("torch.").replace(".", "_"), arg, 1, x)
    if x.dim() < 2:
        raise RuntimeError(f"{name}: The input tensor {arg} must have at least 2 dimensions.")


def check_kind(x, name):
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {scalar_name(x.dtype)}")


def check_float(x, name, kernel=None):
    # Where torch has got as far as a kernel, it is the kernel that refuses float16, and takes empty matrices.
    check_kind(x, name)
    if kernel:
        check_kernel(x, kernel)
    elif x.dtype in (H.float16, H.bfloat16):
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {scalar_name(x.dtype)}")


def check_kernel(x, kernel, empty=True):
    if (x.numel() or not empty) and (
        not (x.is_floating_point() or x.is_complex()) or x.dtype in (H.float16, H.bfloat16)
    ):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(x.dtype)}'")


def widened(function, *tensors):
    # Empty matrices of any dtype: the shapes, by way of a dtype that the decomposition knows.
    dtype = tensors[0].dtype
    y = function(*[t.float() if t.dtype == dtype else t for t in tensors])
    if isinstance(y, tuple):
        return type(y)(*[v.to(dtype) if v.dtype == H.float32 else v for v in y])
    return y.to(dtype)


def foreign(x):
    return not x.is_complex() and x.dtype not in (H.float32, H.float64)


def check_square(x, name, arg="A"):
    check_matrix(x, name, arg)
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: {arg} must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )


def eliminate(a):
    # Row-pivoted LU of one matrix in place; the permutation of rows, the swaps, and 1 + the first zero pivot (or 0).
    np = numpy()
    m, n = a.shape
    rows, swaps, info = np.arange(m), [], 0
    with np.errstate(all="ignore"):
        for k in range(min(m, n)):
            column = a[k:, k]  # LAPACK measures complex numbers by |re| + |im|
            p = k + int(np.argmax(np.abs(column.real) + np.abs(column.imag)))
            swaps.append(p + 1)
            if a[p, k] == 0:
                info = info or k + 1
                continue
            if p != k:
                a[[k, p]], rows[[k, p]] = a[[p, k]], rows[[p, k]]
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return rows, swaps, info


def matrices(a):
    return a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])


SMALL = 8  # matrices of up to so many rows are solved by the core, all at once


def zero_pivots(a):
    np = numpy()
    if a.shape[-1] <= SMALL:
        return _C._solve_small(H.from_numpy(a))[1].numpy()
    info = [eliminate(m.copy())[2] for m in matrices(a)]
    return np.array(info, dtype=np.int32).reshape(a.shape[:-2])


def first_failure(info):
    # The first that failed, and how messages begin.
    flat = info.reshape(-1)
    i = int((flat != 0).argmax())
    return int(flat[i]), "" if info.ndim == 0 else f"(Batch element {i}): "


def raise_singular(name, info):
    pivot, where = first_failure(info)
    raise LinAlgError(
        f"{name}: {where}The diagonal element {pivot} is zero, the inversion could not be completed because the input "
        "matrix is singular."
    )


def differences(x):
    # x_j - x_i, with 1 on the diagonal, where it is divided by.
    d = x.unsqueeze(-2) - x.unsqueeze(-1)
    return d + H.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def off_diagonal(x):
    return x - H.diag_embed(x.diagonal(0, -2, -1))


def sum_to(x, shape):
    return x.sum_to_size(shape) if x.shape != shape else x


def check_equation(name, A, B, left):
    if A.shape[-2] != B.shape[-2 if left else -1]:
        kind = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {kind} ({A.shape[-2]}x{A.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )
