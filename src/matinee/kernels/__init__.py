"""Compiled loops for what scipy and BLAS cannot do fast: pure functions on arrays, which know no model.

Each kernel works on a range of rows and releases the GIL; `parallel` spreads ranges over plain threads. Every row is
computed by one thread in one fixed order, so results do not depend on the number of threads. A file is imported, and
numba with it, when a kernel of it is first asked for: `kernels.linear.gram_rows`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matinee.kernels.threads import n_threads, parallel

if TYPE_CHECKING:
    from matinee.kernels import additive_attention, biased_attention, factors, field_attention, fusion, histories

    # isort: split
    from matinee.kernels import linear, lists, listwise, ranking, rules, sampling, skip_gram

__all__ = [
    "additive_attention", "biased_attention", "factors", "field_attention", "fusion", "histories", "linear",
    "lists", "listwise", "n_threads", "parallel", "ranking", "rules", "sampling", "skip_gram",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
