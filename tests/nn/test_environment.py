"""torch reads some environment variables when it is imported: ours are set just then, unless the user has set them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

OURS = {"GOMP_SPINCOUNT": "1000", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}

NAMING = """
import os, sys
import polars  # it sets a variable of its own allocator's
before = dict(os.environ)
from matinee import nn
from matinee.models import registry
from matinee.nn import sampling
for name in registry.names():
    cls = registry.model_class(name)
    if not any(field.is_required() for field in cls.model_fields.values()):  # ensemble and rerank need members
        cls()
assert nn.sampling is sampling
assert not hasattr(nn, "nonsense")
assert dict(os.environ) == before
assert "torch" not in sys.modules
"""

FITTING = """
import os, warnings
import numpy as np
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.models import MultiDAE
user, item = (np.array(codes, np.int32) for codes in ([0, 0, 1, 1], [0, 1, 1, 2]))
warnings.simplefilter("ignore")
MultiDAE(epochs=1).fit(Dataset(IdMap(["a", "b"]), IdMap([1, 2, 3]), user, item))
print(os.environ["GOMP_SPINCOUNT"], os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"])
"""


def run(code: str, **given: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    done = subprocess.run([sys.executable, "-c", code], env=environment | given, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout


def test_naming_and_making_models_leaves_the_environment_alone() -> None:
    run(NAMING)


@pytest.mark.parametrize("given", [{}, {"GOMP_SPINCOUNT": "7"}], ids=["none", "one of them"])
def test_fitting_a_net_sets_both_unless_the_user_has(given: dict[str, str]) -> None:
    assert run(FITTING, **given).split() == list((OURS | given).values())


@pytest.mark.parametrize("name", ["losses", "train"])
def test_a_file_that_needs_torch_sets_both_before_it(name: str) -> None:
    said = run(f"import os, sys; from matinee import nn; nn.{name}; print(os.environ, 'torch' in sys.modules)")
    assert "'GOMP_SPINCOUNT': '1000'" in said
    assert "True" in said.split()[-1]
