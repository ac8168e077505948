"""torch.distributed for a group of one process: scripts that would run on many run alone, unchanged.

init_process_group() with a world of one needs no network, and every collective gives back what this process put in. A
larger world is refused.
"""

import os
from datetime import timedelta

from .._modes import no_grad

__all__ = [
    "Backend",
    "GroupMember",
    "ProcessGroup",
    "ReduceOp",
    "Work",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "default_pg_timeout",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "is_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "is_ucc_available",
    "is_xccl_available",
    "monitored_barrier",
    "new_group",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "scatter_object_list",
]

default_pg_timeout = timedelta(minutes=30)


class ReduceOp:
    """The ways of reducing: over one process they all give its own value."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR = (
        f"RedOpType.{name}" for name in "SUM AVG PRODUCT MIN MAX BAND BOR BXOR".split()
    )


class Backend(str):
    """The name of a backend, in small letters."""

    UNDEFINED, GLOO, NCCL, UCC, MPI, XCCL = "undefined", "gloo", "nccl", "ucc", "mpi", "xccl"

    def __new__(cls, name):
        return super().__new__(cls, str(name).lower())


class ProcessGroup:
    """A group of one process."""

    def __init__(self, backend):
        self._backend = backend

    def rank(self):
        """0."""
        return 0

    def size(self):
        """1."""
        return 1


class Work:
    """What a collective with async_op=True returns: it is done."""

    def wait(self, timeout=None):
        """True, at once."""
        return True

    def is_completed(self):
        """True."""
        return True


class group:
    """Names of the group of all processes."""

    WORLD = None


class GroupMember:
    """Names of the group of all processes, and of none."""

    WORLD = None
    NON_GROUP_MEMBER = -100


_world: list = []  # the default group, once there is one


def is_available():
    """True."""
    return True


def is_gloo_available():
    """True: what "gloo" stands for is served, for one process."""
    return True


def is_nccl_available():
    """False."""
    return False


is_mpi_available = is_ucc_available = is_xccl_available = is_nccl_available


def is_torchelastic_launched():
    """Whether torchrun started this process."""
    return os.getenv("TORCHELASTIC_RUN_ID") is not None


def is_initialized():
    """Whether init_process_group() has been called."""
    return bool(_world)


def _default():
    if not _world:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return _world[0]


def _env(name):
    value = os.environ.get(name)
    if value is None:
        raise ValueError(
            f"Error initializing torch.distributed using env:// rendezvous: environment variable {name} "
            "expected, but not set"
        )
    return value


def init_process_group(
    backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None, group_name="", **kwargs
):
    """Makes the group of this one process. A world of more, by arguments or environment, is a NotImplementedError."""
    if _world:
        raise ValueError("trying to initialize the default process group twice!")
    if init_method is None and store is None or str(init_method).startswith("env://"):
        rank = int(_env("RANK")) if rank < 0 else rank
        world_size = int(_env("WORLD_SIZE")) if world_size < 0 else world_size
        _env("MASTER_ADDR"), _env("MASTER_PORT")
    if world_size != 1 or rank != 0:
        raise NotImplementedError(
            f"Hadamard's process group is one process; asked for was rank {rank} of {world_size}\n"
            "  try without torchrun, or with world_size=1, rank=0"
        )
    _world.append(ProcessGroup(Backend(backend or "gloo")))
    group.WORLD = GroupMember.WORLD = _world[0]


def destroy_process_group(group_=None, **kwargs):
    """Ends the group."""
    if kwargs.get("group", group_) in (None, _default()):
        _world.clear()
        group.WORLD = GroupMember.WORLD = None


def new_group(ranks=None, timeout=None, backend=None, **kwargs):
    """Another group of this process."""
    return ProcessGroup(Backend(backend or _default()._backend))


def get_rank(group=None):
    """0, once there is a group; ValueError before."""
    _default()
    return 0


def get_world_size(group=None):
    """1, once there is a group; ValueError before."""
    _default()
    return 1


def get_backend(group=None):
    """The name of the backend that was asked for."""
    return str((group or _default())._backend)


def get_process_group_ranks(group=None):
    """[0]."""
    _default()
    return [0]


def _done(async_op):
    _default()
    return Work() if async_op else None


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """`tensor` holds the sum over this one process already."""
    return _done(async_op)


def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """`tensor` is the source's own."""
    return _done(async_op)


def reduce(tensor, dst=None, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """`tensor` holds the sum over this one process already."""
    return _done(async_op)


def barrier(group=None, async_op=False, device_ids=None):
    """Everybody is here."""
    return _done(async_op)


monitored_barrier = barrier


def _copy(to, tensor):
    with no_grad():
        to.copy_(tensor)


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Copies `tensor` into tensor_list[0]."""
    _default()
    _copy(tensor_list[0], tensor)
    return _done(async_op)


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """Copies the input into the output."""
    _default()
    _copy(output_tensor, input_tensor.view(output_tensor.shape))
    return _done(async_op)


all_to_all_single = all_gather_into_tensor


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op=False):
    """Copies the input into the output."""
    return all_gather_into_tensor(output, input, group, async_op)


def gather(tensor, gather_list=None, dst=None, group=None, async_op=False, group_dst=None):
    """Copies `tensor` into gather_list[0]."""
    return all_gather(gather_list, tensor, group, async_op)


def scatter(tensor, scatter_list=None, src=None, group=None, async_op=False, group_src=None):
    """Copies scatter_list[0] into `tensor`."""
    return all_gather([tensor], scatter_list[0], group, async_op)


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None, async_op=False):
    """Copies input_list[0] into the output."""
    return all_gather([output], input_list[0], group, async_op)


def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    """Copies the one input into the one output."""
    return all_gather(output_tensor_list, input_tensor_list[0], group, async_op)


def all_gather_object(object_list, obj, group=None):
    """object_list[0] = obj."""
    _default()
    object_list[0] = obj


def gather_object(obj, object_gather_list=None, dst=None, group=None, group_dst=None):
    """object_gather_list[0] = obj."""
    all_gather_object(object_gather_list, obj)


def broadcast_object_list(object_list, src=None, group=None, device=None, group_src=None):
    """The objects are the source's own."""
    _default()


def scatter_object_list(scatter_object_output_list, scatter_object_input_list=None, src=None, group=None, **kwargs):
    """scatter_object_output_list[0] = scatter_object_input_list[0]."""
    all_gather_object(scatter_object_output_list, scatter_object_input_list[0])
