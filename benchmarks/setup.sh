#!/bin/sh
# Makes .bench-venv (Python 3.13): Matinee (editable) and its peers side by side. With the word `torch`: .bench-torch
# (Python 3.11), for peers that train nets. BENCH_PYTHON names the Python.
set -eu
cd "$(dirname "$0")/.."
case "${1:-static}" in
    static) venv=.bench-venv version=3.13 extra="" requirements=benchmarks/requirements.txt script=static.py ;;
    torch) venv=.bench-torch version=3.11 extra="[torch]" requirements=benchmarks/requirements-torch.txt script=nets.py ;;
    *) echo "usage: setup.sh [static|torch]" >&2; exit 2 ;;
esac
for python in ${BENCH_PYTHON:-python$version "$HOME"/.pyenv/versions/$version*/bin/python python3}; do
    "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null && break
    python=
done
[ -n "$python" ] || { echo "no Python $version found: name one with BENCH_PYTHON=/path/to/python$version" >&2; exit 2; }
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --constraint constraints.txt --editable ".$extra"
"$venv/bin/python" -m pip install --quiet --no-deps --only-binary :all: --requirement "$requirements"
echo "ready: $venv/bin/python benchmarks/$script --data-dir ../shared/data"
