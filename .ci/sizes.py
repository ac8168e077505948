"""Prints the wheel's size, the installed size and the import time; fails over 5 MB of wheel.

The wheel is its files, deflated: it is put together again from what pip has installed.
"""

import io
import subprocess
import sys
import zipfile
from importlib.metadata import files

program = "import time; t = time.perf_counter(); import hadamard; print(time.perf_counter() - t)"
runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(9)]
seconds = min(float(run.stdout) for run in runs)
installed = [path for path in files("hadamard") if path.suffix != ".pyc"]
wheel = io.BytesIO()
with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
    for path in installed:
        archive.write(path.locate(), str(path))
size, unpacked = wheel.tell(), sum(path.locate().stat().st_size for path in installed)
print(f"wheel {size / 1e6:.2f} MB, installed {unpacked / 1e6:.2f} MB")
print(f"import hadamard: {seconds * 1e3:.1f} ms")
if size > 5e6:
    sys.exit("the wheel is over 5 MB")
