"""The process of a worker: `python -m matinee.study.tuning.worker`. It speaks JSON lines over stdin and stdout."""

from __future__ import annotations

import os
import sys

from matinee.study.tuning.workers import serve

if __name__ == "__main__":
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not come between
    serve(sys.stdin.buffer, pipe)
