"""`python -m benchmarks`: every row of the table beside the peers that are installed, into benchmarks/results/."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from . import peers, report

RESULTS = Path(__file__).with_name("results")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="rows whose 'group: name' matches")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no large rows")
    parser.add_argument("--threads", type=int, action="append", help="may be repeated (default: 1, then all cores)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", default=",".join(peers.ORDER), help="which libraries, ours first")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="seconds of the processor, not of the clock: for a busy machine, with one thread",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the JSON, the table and the plots")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_here(given):
    # Before any library starts its threads, because some, XLA's for one, start them whatever they are told.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.threads[0] :])
    from . import measure

    names = []

    def say(found):
        if not names:
            names.extend(given.peers.split(","))
            print(report.heading(names), flush=True)
        print(report.line(found, names), flush=True)

    threads = given.threads[0]
    clock = time.process_time if given.cpu_time else time.perf_counter
    result = measure.main(given.only, threads, given.rounds, given.quick, given.peers.split(","), say, clock)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"threads-{threads}.json").write_text(json.dumps(result, indent=1))


def main():
    given = arguments()
    if given.child:
        return measure_here(given)
    counts = given.threads or sorted({1, os.cpu_count() or 1})
    results = []
    for threads in counts:
        # A process for each number of threads: several libraries take it only when they are imported.
        command = [sys.executable, "-m", "benchmarks", "--child", f"--threads={threads}", f"--only={given.only}"]
        command += [f"--rounds={given.rounds}", f"--peers={given.peers}", f"--out={given.out}"]
        command += ["--quick"] * given.quick + ["--cpu-time"] * (given.cpu_time and threads == 1)
        subprocess.run(command, check=True, env=peers.environment(threads))
        result = json.loads((given.out / f"threads-{threads}.json").read_text())
        text = report.table(result)
        (given.out / f"threads-{threads}.txt").write_text(text)
        print(report.shortfall(result))
        results.append(result)
    if len(results) > 1:
        for name, gain in report.scaling(results[0], results[-1]):
            print(f"threads: {name} {gain:.2f} times as fast with {results[-1]['threads']}")
    try:
        from . import plots

        print("plots:", ", ".join(str(p) for p in plots.draw(results, given.out)))
    except ImportError:
        print("no plots: matplotlib is not installed")


if __name__ == "__main__":
    main()
