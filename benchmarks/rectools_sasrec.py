"""RecTools' SASRec trained to convergence on one of our leave-one-out splits, and measured by matinee.evaluate.

    .bench-torch/bin/python benchmarks/rectools_sasrec.py --data-dir ../shared/data --threads 1
    .bench-torch/bin/python benchmarks/rectools_sasrec.py --data-dir ../shared/data --log ml-100k --length 50 \\
        --dropout 0.3 --ours --recipe recipes/ml-100k-sequences.toml \\
        --work-dir runs/rectools_100k --out benchmarks/results/rectools_sasrec_100k.jsonl

Full cross-entropy, length 200, dim 64, two blocks, one head, dropout .1, batch 128, Adam at 1e-3: what sequences.py
times. Learns from train, stops `patience` epochs after the best ndcg@10 on valid (all items ranked, seen ones masked),
and then answers the test from train + valid. After every epoch the state goes to --work-dir and the curve to --out, so
a run that is killed goes on when started again, to the same numbers: shuffling and dropout are seeded epoch by epoch.
--ours trains Matinee's SASRec after it, by the same settings, patience and split; --recipe by settings of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import matinee as mt
import rectools_nets
from matinee.data.dataset import Holdout, Scorer, Split
from matinee.files import atomic_path
from matinee.models import registry
from matinee.study.recipe import load_recipe
from sequences import transformer
from splits import SPLITS
from timing import environment

HERE = Path(__file__).parent
K = 10


@dataclass
class Run:
    """A RecTools model under training, and what is kept of it. curve: one dict an epoch."""

    split: Split
    model: Any
    loader: Any
    patience: int
    max_epochs: int
    seed: int
    steps: int | None
    curve: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def lightning(self) -> Any:
        return self.model.lightning_model

    def epoch(self) -> None:
        """RecTools' own epoch under Lightning. A trainer an epoch: the optimiser's state lies in its module."""
        number = len(self.curve)
        torch.manual_seed(1_000_003 * self.seed + number)
        seconds, cpu = rectools_nets.Seconds(), time.process_time()
        self.lightning.train()  # Lightning leaves the modes as evaluation left them: dropout would be off
        rectools_nets.trainer(1, seconds, steps=self.steps).fit(self.lightning, self.loader)
        cpu, start = time.process_time() - cpu, time.perf_counter()
        ndcg = self.evaluate(self.split.valid)["ndcg"].value
        if not self.curve or ndcg > max(row["valid_ndcg@10"] for row in self.curve):
            self.best = {name: value.clone() for name, value in self.model.torch_model.state_dict().items()}
        self.curve.append(
            {
                "epoch": number,
                "seconds": round(seconds.seconds[0], 3),
                "cpu_seconds": round(cpu, 3),  # of all its threads: what others on the machine do not change
                "loss": seconds.losses[0],
                "valid_ndcg@10": ndcg,
                "evaluation_seconds": round(time.perf_counter() - start, 3),
            }
        )

    def evaluate(self, holdout: Holdout) -> dict[str, Any]:
        """`measured`, of the weights as they are."""
        return measured(rectools_nets.Scorer(self.model, self.split.train.users, self.split.train.items), holdout)

    @property
    def best_epoch(self) -> int:
        return max(range(len(self.curve)), key=lambda row: self.curve[row]["valid_ndcg@10"])

    @property
    def done(self) -> bool:
        epochs = len(self.curve)
        return epochs >= self.max_epochs or (bool(epochs) and epochs - 1 - self.best_epoch >= self.patience)

    def save(self, path: Path, plan: dict[str, Any]) -> None:
        state = {
            "plan": plan,
            "curve": self.curve,
            "best": self.best,
            "net": self.model.torch_model.state_dict(),
            "optimiser": self.lightning.optimizer.state_dict(),
        }
        with atomic_path(path) as temp:
            torch.save(state, temp)

    def resume(self, path: Path, plan: dict[str, Any]) -> None:
        """Go on from a state of this plan where there is one."""
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["plan"] != plan:
            raise SystemExit(f"{path} belongs to another run ({state['plan']}): name another --work-dir")
        self.curve, self.best = state["curve"], state["best"]
        self.model.torch_model.load_state_dict(state["net"])
        self.lightning.configure_optimizers().load_state_dict(state["optimiser"])
        self.lightning.is_fitted = True  # Lightning's hook would draw the weights anew


def measured(scorer: Scorer, holdout: Holdout) -> dict[str, Any]:
    """hit_rate@10 and ndcg@10 with their intervals."""
    found = mt.evaluate(mt.recommend(scorer, holdout.queries, K), holdout, k=K, metrics=("hit_rate", "ndcg"))
    return {metric: found.mean(metric, K) for metric in ("hit_rate", "ndcg")}


def build(split: Split, settings: dict[str, Any]) -> tuple[Any, Any]:
    """RecTools' model and its loader of train, made as its own fit makes them."""
    from rectools.models import SASRecModel

    model = SASRecModel(**settings)
    model._build_model_from_dataset(rectools_nets.dataset(split.train))
    return model, model.data_preparator.get_dataloader_train()


def ours(split: Split, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """Matinee's SASRec by these settings: what it reached on valid, and has on the test."""
    start = time.perf_counter()
    model = registry.create("sasrec", settings)
    model.fit(split.train, valid=split.valid, seed=seed)
    line: dict[str, Any] = {"library": "matinee", "settings": settings, "seconds": time.perf_counter() - start}
    for part, holdout in (("valid", split.valid), ("test", split.test)):
        line |= {f"{part}_{metric}@10": mean.value for metric, mean in measured(model, holdout).items()}
    return line


def test(run: Run) -> dict[str, Any]:
    """The best epoch's weights on the test; and how many lists are those that RecTools itself recommends."""
    run.model.torch_model.load_state_dict(run.best)
    found = run.evaluate(run.split.test)
    line: dict[str, Any] = {"best_epoch": run.best_epoch, "seconds": sum(row["seconds"] for row in run.curve)}
    for metric, mean in found.items():
        line |= {f"test_{metric}@10": mean.value, f"test_{metric}@10_half": mean.half}
    scorer = rectools_nets.Scorer(run.model, run.split.train.users, run.split.train.items)
    queries = run.split.test.queries
    ours = mt.recommend(scorer, queries, K).item
    run.model.is_fitted = True
    assert run.split.train_valid is not None
    theirs = rectools_nets.own_lists(run.model, run.split.train_valid, queries.user, K)
    return {**line, "lists_equal_to_its_own": float((ours == theirs).all(1).mean())}


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    """The whole file anew: what it says is always what the checkpoint holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temp:
        temp.write_text("".join(json.dumps(line) + "\n" for line in lines))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds the log")
    parser.add_argument("--log", choices=["ml-1m", "ml-100k"], default="ml-1m")
    parser.add_argument("--ours", action="store_true", help="Matinee's SASRec too, by the same settings")
    parser.add_argument("--recipe", type=Path, help="Matinee's SASRec too, by this recipe's settings")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--max-epochs", type=int, default=500)
    parser.add_argument("--patience", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="stop each epoch after so many batches: only to see that it runs")
    parser.add_argument("--toy", action="store_true", help="200 x 100 made-up events: only to see that it runs")
    parser.add_argument("--work-dir", type=Path, default=HERE.parent / "runs" / "rectools_sasrec")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "rectools_sasrec.jsonl")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    rectools_nets.quiet()
    split = SPLITS["toy, next" if given.toy else f"{given.log}, next"](given.data_dir)
    own_settings, settings = transformer(length=given.length, dropout=given.dropout)
    torch.manual_seed(given.seed)
    run = Run(split, *build(split, settings), given.patience, given.max_epochs, given.seed, given.steps)
    words = {"data": split.train.fingerprint, "seed": given.seed, "steps": given.steps, "patience": given.patience}
    plan = {**words, "settings": settings}
    head = {**environment(), "threads": given.threads, **plan, "protocol": split.test.protocol.fingerprint}
    given.work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = given.work_dir / "state.pt"
    run.resume(checkpoint, plan)
    while not run.done:
        run.epoch()
        run.save(checkpoint, plan)
        write(given.out, [head, *run.curve])
        print(json.dumps(run.curve[-1]), flush=True)
    ends = [test(run)]
    own = [{**own_settings, "patience": given.patience, "epochs": given.max_epochs}] if given.ours else []
    if given.recipe is not None:
        own += [table.model_extra or {} for table in load_recipe(given.recipe).model if table.name == "sasrec"]
    ends += [ours(split, one, given.seed) for one in own]
    write(given.out, [head, *run.curve, *ends])
    print(*map(json.dumps, ends), sep="\n")


if __name__ == "__main__":
    main()
