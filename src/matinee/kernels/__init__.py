"""Compiled loops for what scipy and BLAS cannot do fast: pure functions on arrays, which know no model.

Each kernel works on a range of rows and releases the GIL; `parallel` spreads ranges over plain threads. Every row is
computed by one thread in one fixed order, so results do not depend on the number of threads. A file is imported, and
numba with it, when a kernel of it is first asked for: `kernels.linear.gram_rows`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matinee.kernels.threads import n_threads as n_threads
from matinee.kernels.threads import parallel as parallel

if TYPE_CHECKING:
    from matinee.kernels import additive_attention as additive_attention
    from matinee.kernels import biased_attention as biased_attention
    from matinee.kernels import factors as factors
    from matinee.kernels import field_attention as field_attention
    from matinee.kernels import fusion as fusion
    from matinee.kernels import histories as histories
    from matinee.kernels import linear as linear
    from matinee.kernels import ranking as ranking
    from matinee.kernels import sampling as sampling
    from matinee.kernels import skip_gram as skip_gram

FILES = (
    "additive_attention", "biased_attention", "factors", "field_attention", "fusion", "histories", "linear", "ranking",
    "sampling", "skip_gram",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
