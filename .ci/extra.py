"""Prints what an extra of the installed package asks for, one requirement a line."""

import sys
from importlib.metadata import requires

for requirement in requires("hadamard"):
    needed, _, condition = requirement.partition(";")
    if condition.replace('"', "'").strip() == f"extra == '{sys.argv[1]}'":
        print(needed.strip())
