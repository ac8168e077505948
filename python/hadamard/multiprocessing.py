"""torch.multiprocessing: Python's multiprocessing under torch's name, and spawn() of one function in several processes.

Tensors travel through queues and pipes as file descriptors of their memory, which is shared from then on.
"""

import multiprocessing
from multiprocessing import *  # noqa: F403

from . import _sharing  # noqa: F401  (says how tensors travel)

__all__ = [*multiprocessing.__all__, "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy"]  # type: ignore[attr-defined]
__all__ += ["ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException", "spawn"]


def get_all_sharing_strategies():
    """{"file_descriptor"}."""
    return {"file_descriptor"}


def get_sharing_strategy():
    """\"file_descriptor\": shared memory is known by a descriptor, which processes pass on."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy):
    """Accepted for torch's sake: descriptors are always used."""


class ProcessException(Exception):
    """A process of spawn() did not end well."""

    def __init__(self, msg, error_index, pid):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """It raised an exception, whose traceback is in the message."""


class ProcessExitedException(ProcessException):
    """It was ended by a signal, or by an exit code."""

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _call(fn, i, args, errors):
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        import sys
        import traceback

        errors.put(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """The processes that spawn(join=False) started."""

    def __init__(self, processes, errors):
        self.processes, self._errors = processes, errors

    def pids(self):
        """The ids of the processes."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout=None, grace_period=None):
        """Waits for all, or `timeout` seconds for the next to end; True when all have. The first that failed ends the
        others and is raised here."""
        from multiprocessing.connection import wait

        running = {process.sentinel: process for process in self.processes if process.exitcode is None}
        # One that has failed already is not waited for: the others may never end by themselves.
        if running and not any(process.exitcode for process in self.processes):
            wait(list(running), timeout)
        for i, process in enumerate(self.processes):
            if process.exitcode in (None, 0):
                continue
            for other in self.processes:
                if other.is_alive():
                    other.terminate()
            for other in self.processes:
                other.join()
            if process.exitcode == 1 and not self._errors[i].empty():
                text = f"\n\n-- Process {i} terminated with the following error:\n{self._errors[i].get()}"
                raise ProcessRaisedException(text, i, process.pid)
            if process.exitcode < 0:
                import signal

                name = signal.Signals(-process.exitcode).name
                message = f"process {i} terminated with signal {name}"
                raise ProcessExitedException(message, i, process.pid, process.exitcode, name)
            message = f"process {i} terminated with exit code {process.exitcode}"
            raise ProcessExitedException(message, i, process.pid, process.exitcode)
        return all(process.exitcode == 0 for process in self.processes)


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """fn(i, *args) in a process for each i below nprocs. Waits for them (None), or gives their ProcessContext.

    ProcessRaisedException with the traceback of the first that raised; then the others are ended.
    """
    context = multiprocessing.get_context(start_method)
    errors = [context.SimpleQueue() for _ in range(nprocs)]
    processes = []
    for i in range(nprocs):
        process = context.Process(target=_call, args=(fn, i, args, errors[i]), daemon=daemon)
        process.start()
        processes.append(process)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None
