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
        usage="hadamard run [--strict] [--diagnose] SCRIPT [ARGS ...]\n"
        "       hadamard run [--strict] [--diagnose] -m MODULE [ARGS ...]",
    )
    run.add_argument("--strict", action="store_true", help="what computes without a word and is rarely meant, raises")
    run.add_argument("--diagnose", action="store_true", help="say at the end what hinders the models that it trains")
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
    explain = commands.add_parser(
        "explain",
        help="explain a product of shapes, or an error message of PyTorch",
        description="How a product lines up, what it costs, how it is computed, and what is odd about it.",
        epilog='examples: hadamard explain "(10,2,3) @ (3,4)"; hadamard explain "bij,jk->bik (2,3,4) (4,5)"; '
        'hadamard explain "conv2d((1,3,8,8), (4,3,3,3), stride=2)"; hadamard explain "(4,) uint8 * (4,) int8"',
    )
    explain.add_argument("product", metavar="PRODUCT", nargs="*", help="shapes and an op, as in '(10,2,3) @ (3,4)'")
    explain.add_argument("--measure", action="store_true", help="run it too, and time it")
    explain.add_argument(
        "--plot", metavar="FILE", help="write a picture to FILE: .svg, or .html with the words beside it"
    )
    explain.add_argument(
        "--error", metavar="MESSAGE", help="explain this error message of PyTorch instead (- reads it)"
    )
    commands.add_parser("info", help="what this installation is and has")
    given = parser.parse_args(argv)

    if given.command == "info":
        info()
        return 0
    if given.command == "coverage":
        from . import _coverage

        return _coverage.report(given.scripts, given.lacking)
    if given.command == "explain":
        return _explain(given, explain)
    if given.strict:
        from ._strict import switch_on

        switch_on()
    from . import _run

    run_it = _run.run_module if given.module else _run.run_script
    if not given.diagnose:
        run_it(given.script, given.args)
        return 0
    from ._diagnose.script import Watch

    watch = Watch()
    try:
        run_it(given.script, given.args)
    finally:
        watch.report()
    return 0


def _explain(given, parser) -> int:
    """hadamard explain: 0, or 1 for what does not fit, or 2 for what cannot be read."""
    import os

    if (given.error is None) == (not given.product):
        parser.error("one of PRODUCT and --error is wanted")
    if given.error is not None:
        from .errors import explain_message

        said = explain_message(sys.stdin.read() if given.error == "-" else given.error)
        if not said:
            print("hadamard explain: this message is not among those it knows", file=sys.stderr)
            return 1
        print(said)
        return 0
    from . import explain

    try:
        e = explain(" ".join(given.product), measure=given.measure)
    except ValueError as error:
        print(f"hadamard explain: {error}", file=sys.stderr)
        return 2
    try:
        print(e)
        sys.stdout.flush()
        if given.plot:
            e.plot(given.plot)
    except BrokenPipeError:  # as of | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if e.fits else 1


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
