"""Wall seconds until SASRec, learning from train, has a given ndcg@10 on ML-1M's test, validation included.

    .venv/bin/python benchmarks/time_to_quality.py --data-dir ../shared/data --threads 2 [--set loss=sampled_softmax]

The test stands where valid would: it is measured after every epoch, and nothing is chosen by it but the moment to stop.
Appends one JSON line to benchmarks/results/time_to_quality.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from matinee.cli.options import settings
from matinee.data.dataset import Holdout
from matinee.models import registry
from matinee.models.network import import_torch
from matinee.models.sasrec import SASRec
from splits import SPLITS
from timing import environment

HERE = Path(__file__).parent


class Reached(Exception):  # noqa: N818 - it is no error
    """The quality that was asked for."""


class Watched(SASRec):
    """SASRec that says after every epoch when it ended, and stops where it is good enough."""

    def validation(self, valid: Holdout) -> Callable[[], float]:
        measure = super().validation(valid)

        def watched() -> float:
            found = measure()
            CURVE.append((time.perf_counter() - START, found))
            print(f"epoch {len(CURVE)}: {CURVE[-1][0]:.1f} s, ndcg@10 {found:.4f}", flush=True)
            if found >= given.ndcg:
                raise Reached
            return found

        return watched


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-1m")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ndcg", type=float, default=0.155)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", dest="hyper", metavar="NAME=VALUE", help="a hyper-parameter")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "time_to_quality.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    import_torch().set_num_threads(given.threads)
    split = SPLITS["ml-1m, next"](given.data_dir)
    hyper = registry.from_text("sasrec", settings(given.hyper))
    CURVE: list[tuple[float, float]] = []
    START = time.perf_counter()
    try:
        Watched(**hyper).fit(split.train, valid=split.test, seed=given.seed)
        print(f"never reached {given.ndcg}")
    except Reached:
        print(f"{given.ndcg} after {CURVE[-1][0]:.0f} s")
    line = {**environment(), "threads": given.threads, "seed": given.seed, "settings": hyper, "ndcg": given.ndcg}
    with given.out.open("a") as out:
        out.write(json.dumps({**line, "curve": CURVE}) + "\n")
