#!/bin/sh
# Makes .bench-venv: Matinee (editable) and its peers side by side. BENCH_PYTHON names a Python 3.13.
set -eu
cd "$(dirname "$0")/.."
for python in ${BENCH_PYTHON:-python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python python3}; do
    "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && break
    python=
done
[ -n "$python" ] || { echo "no Python 3.13 found: name one with BENCH_PYTHON=/path/to/python3.13" >&2; exit 2; }
[ -x .bench-venv/bin/python ] || "$python" -m venv .bench-venv
.bench-venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
.bench-venv/bin/python -m pip install --quiet --no-deps --only-binary :all: --requirement benchmarks/requirements.txt
echo "ready: .bench-venv/bin/python benchmarks/static.py --data-dir ../shared/data"
