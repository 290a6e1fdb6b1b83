"""Naming the kernels costs nothing: numba comes with the first that is asked for."""

from __future__ import annotations

import subprocess
import sys


def test_numba_is_imported_with_the_first_kernel() -> None:
    code = """
import sys
from matinee import kernels
assert not {"numba", "scipy", "torch"} & set(sys.modules)
kernels.sampling
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
