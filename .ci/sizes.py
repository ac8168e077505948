"""Prints the wheel's size, the installed size and the import time; fails over 5 MB of wheel."""

import subprocess
import sys
from pathlib import Path

wheel = Path(sys.argv[1])
program = "import time; t = time.perf_counter(); import hadamard; print(time.perf_counter() - t, hadamard.__file__)"
runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(9)]
seconds, file = min((float(t), f) for t, f in (run.stdout.split(maxsplit=1) for run in runs))
files = [path for path in Path(file.strip()).parent.rglob("*") if path.is_file() and path.suffix != ".pyc"]
installed = sum(path.stat().st_size for path in files)
print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, installed {installed / 1e6:.2f} MB")
print(f"import hadamard: {seconds * 1e3:.1f} ms")
if wheel.stat().st_size > 5e6:
    sys.exit("the wheel is over 5 MB")
