"""The command line: `matinee`, and `python -m matinee`.

Exit codes: 0 success, 2 an error the user can fix (one message on stderr), 1 a bug, 130 interrupted, 141 the reader of
the output closed the pipe. A command's module is imported when the command is used, so `matinee --help` is quick.
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
