"""The command line: `matinee`, and `python -m matinee`.

Exit codes: 0 done, 2 the user can mend it (one message on stderr), 1 a bug, 130 interrupted, 141 the reader of our
output left. Command modules import what they need inside their functions, so that `matinee --help` loads none of
polars, scipy, numba or torch.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that sys.argv asks for, and exit."""
    try:
        from matinee.cli.app import app

        app(prog_name="matinee")
    except KeyboardInterrupt:  # while the application itself was loading
        sys.exit(130)
