"""The command line: hadamard run, hadamard coverage, hadamard info."""

import sys


def main(argv=None) -> int:
    """Entry point of the `hadamard` command; the exit code."""
    import argparse

    from . import __version__

    parser = argparse.ArgumentParser(
        prog="hadamard", description="Tensor products with autograd, in PyTorch's own words."
    )
    parser.add_argument("--version", action="version", version=f"hadamard {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="run an unedited PyTorch script on Hadamard",
        description="Run a PyTorch script on Hadamard, unedited: its imports of torch get Hadamard's modules.",
        usage="hadamard run SCRIPT [ARGS ...]\n       hadamard run -m MODULE [ARGS ...]",
    )
    run.add_argument("-m", dest="module", action="store_true", help="run a module, as python -m does")
    run.add_argument("script", metavar="SCRIPT", help="the file (with -m, the module) to run")
    run.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="its arguments, passed on as they are")
    coverage = commands.add_parser(
        "coverage",
        help="list the torch names a script uses, and which of them are lacking",
        description="Read scripts, without running them, and list the torch names they use and which of these Hadamard "
        "lacks. Names that are only used under try … except, or where CUDA is available, count as guarded, not as "
        "lacking. Exit status: 0 if none is lacking, 1 if any is, 2 if a script cannot be read.",
    )
    coverage.add_argument("scripts", metavar="SCRIPT", nargs="+", help="a file, or a directory and all .py files in it")
    coverage.add_argument("--lacking", action="store_true", help="list only what is lacking")
    commands.add_parser("info", help="what this installation is and has")
    given = parser.parse_args(argv)

    if given.command == "info":
        info()
        return 0
    if given.command == "coverage":
        from . import _coverage

        return _coverage.report(given.scripts, given.lacking)
    from . import _run

    (_run.run_module if given.module else _run.run_script)(given.script, given.args)
    return 0


def info(file=None) -> None:
    """Print the version, the level, threads, allocator, dtypes and optional packages of this installation."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import hadamard

    core = hadamard._C
    extras = []
    for name in ("numpy", "torch", "opt_einsum", "safetensors", "matplotlib", "tqdm", "rich", "mpi4py"):
        try:
            extras.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            extras.append(f"{name} -")
    rows = {
        "hadamard": hadamard.__version__,
        "python": f"{platform.python_version()} on {platform.machine()} {platform.system()}",
        "level": f"{core._level()} (of {core._levels()} on this machine)",
        "threads": hadamard.get_num_threads(),
        "memory": ", ".join(f"{key} {value}" for key, value in hadamard.memory_stats().items()),
        "dtypes": " ".join(sorted({str(x)[6:] for x in vars(core).values() if isinstance(x, hadamard.dtype)})),
        "packages": ", ".join(extras),
    }
    for key, value in rows.items():
        print(f"{key:<10}{value}", file=file or sys.stdout)
