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
from pathlib import Path
from typing import Any

from matinee.cli.options import settings
from matinee.data.dataset import Split
from matinee.models import registry
from matinee.models.families.network import import_torch
from matinee.models.sasrec import SASRec
from splits import SPLITS
from timing import environment

HERE = Path(__file__).parent


def curve_until(ndcg: float, split: Split, hyper: dict[str, Any], seed: int) -> list[tuple[float, float]]:
    """(seconds since the start, ndcg@10) after every epoch, to the first that is good enough, or the last."""
    curve: list[tuple[float, float]] = []
    start = time.perf_counter()

    def watched(epoch: int, loss: float, measured: float) -> bool:
        curve.append((time.perf_counter() - start, measured))
        print(f"epoch {epoch}: {curve[-1][0]:.1f} s, ndcg@10 {measured:.4f}", flush=True)
        return measured >= ndcg

    SASRec(**hyper).fit(split.train, valid=split.test, seed=seed, on_round=watched)
    return curve


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-1m")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ndcg", type=float, default=0.155)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", dest="hyper", metavar="NAME=VALUE", help="a hyper-parameter")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "time_to_quality.jsonl")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    import_torch().set_num_threads(given.threads)
    hyper = registry.from_text("sasrec", settings(given.hyper))
    head = {**environment(), "threads": given.threads, "seed": given.seed, "settings": hyper, "ndcg": given.ndcg}
    curve = curve_until(given.ndcg, SPLITS["ml-1m, next"](given.data_dir), hyper, given.seed)
    seconds, found = curve[-1]
    print(f"{given.ndcg} after {seconds:.0f} s" if found >= given.ndcg else f"never reached {given.ndcg}")
    with given.out.open("a") as out:
        out.write(json.dumps({**head, "curve": curve}) + "\n")


if __name__ == "__main__":
    main()
