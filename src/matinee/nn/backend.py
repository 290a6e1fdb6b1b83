"""PyTorch, imported when it is first needed, with the environment that suits it."""

from __future__ import annotations

import os
import sys
from typing import Any

from matinee.errors import MatineeError

ENVIRONMENT = {
    # How long torch's threads on Linux spin after each operation, waiting for the next. The default is milliseconds,
    # which they take from the compiled kernels' threads: on two cores an epoch of AutoInt+ falls from 18 s to 14 s with
    # this setting, and one of SASRec, which has no such kernels, from 14 s to 11.5 s.
    "GOMP_SPINCOUNT": "1000",
    # How many compiled bfloat16 products oneDNN keeps. Batches of histories keep having new sizes, so its default of
    # 1,024 grows by a gigabyte in one training.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
"""Read by torch when it is imported, so set before that, unless the user has set them."""


def set_environment() -> None:
    """Set ENVIRONMENT, but for what the user has set."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def import_torch() -> Any:
    """The module torch. Raises MatineeError where it is not installed."""
    if "torch" not in sys.modules:
        set_environment()
    try:
        import torch
    except ImportError:
        raise MatineeError("this model needs PyTorch", hint="pip install 'matinee[torch]'") from None
    return torch
