"""A few epochs of one library's net in a process of its own: seconds, loss, peak memory and quality, as JSON.

python train_child.py JOB    JOB: a trainings.Job as JSON
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from child import megabytes, settled_megabytes
from matinee.data.dataset import Split
from splits import SPLITS


class Ours:
    """A model of Matinee by its registry name."""

    def __init__(self, model: str, settings: Mapping[str, Any], split: Split, folder: Path) -> None:
        from matinee.models.registry import create

        self.model: Any = create(model, settings)
        self.split = split

    def train(self, epochs: int) -> tuple[list[float], list[float]]:
        from matinee.nn import CURVE

        with watched() as loops:
            self.model = self.model.model_copy(update={"epochs": epochs}).fit(self.split.train)
        curve, terms = loops[-1]
        self.events = terms / getattr(self.model, "mask_share", 1.0)  # BERT4Rec's terms are the share it hides
        return curve[:, CURVE.index("seconds")].tolist(), curve[:, CURVE.index("train_loss")].tolist()

    def evaluate(self) -> float:
        import matinee as mt

        answers = mt.recommend(self.model, self.split.valid.queries, 10)
        metrics = ("recall", "mrr", "ndcg", "hit_rate", "precision")  # as many as RecBole measures
        return mt.evaluate(answers, self.split.valid, k=10, metrics=metrics).mean("ndcg", 10).value


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[Any, float]]]:
    """Every training within: its curve with the seconds that a fitted model does not keep, and how many terms the loss
    of an epoch's last pass has."""
    from matinee.nn.train import Loop

    found: list[tuple[Any, float]] = []
    run = Loop.run

    def watching(loop: Any) -> Any:
        curve = run(loop)
        found.append((curve, float(loop.passes[-1].terms(np.arange(loop.n)))))
        return curve

    with mock.patch.object(Loop, "run", watching):
        yield found


class Recbole:
    def __init__(self, model: str, settings: Mapping[str, Any], split: Split, folder: Path) -> None:
        from recbole.utils import ModelType
        from recbole.utils.utils import get_model

        from recbole_nets import RecBole

        self.sequential = get_model(model).type == ModelType.SEQUENTIAL
        self.library = RecBole(model, settings, split, folder, sequential=self.sequential)

    def train(self, epochs: int) -> tuple[list[float], list[float]]:
        data = self.library.train_data.dataset
        self.events = float(len(data)) if self.sequential else float(data.user_num)
        return self.library.train(epochs)

    def evaluate(self) -> float:
        return self.library.evaluate()


class Rectools:
    def __init__(self, model: str, settings: Mapping[str, Any], split: Split, folder: Path) -> None:
        import rectools.models

        import rectools_nets

        self.split, self.nets = split, rectools_nets
        self.data = rectools_nets.dataset(split.train)
        self.kind, self.settings = getattr(rectools.models, model), settings

    def train(self, epochs: int) -> tuple[list[float], list[float]]:
        def trainer() -> Any:  # RecTools wants its name
            return self.nets.trainer(epochs, self.nets.Seconds())

        self.model = self.kind(**self.settings, get_trainer_func=trainer)
        self.model.fit(self.data)
        kept = self.model.data_preparator
        given = kept.train_dataset
        alone = kept.train_session_max_len_addition  # a history's first event is seen and not guessed
        self.events = float(len(given.interactions.df) - alone * given.user_id_map.size)
        seconds = next(c for c in self.model.fit_trainer.callbacks if isinstance(c, self.nets.Seconds))
        return seconds.seconds, seconds.losses

    def evaluate(self) -> float:
        """RecTools' own lists for the users of valid; judged by workload's judge, as it has one answer each."""
        import workload

        users, truth = self.split.valid.queries.user, self.split.valid.truth
        item = self.nets.own_lists(self.model, self.split.train, users)
        n_items = self.split.train.n_items
        return workload.recall_and_ndcg(item, workload.ones(truth.rows, truth.values, (len(users), n_items)))[1]


def load_libraries(library: str) -> type[Ours] | type[Recbole] | type[Rectools]:
    """What the library needs to be imported, so that its memory is not counted as a training's."""
    if library == "recbole":
        from recbole_nets import import_recbole

        import_recbole()
        return Recbole
    if library == "rectools":
        import rectools.models  # noqa: F401

        import rectools_nets

        rectools_nets.quiet()
        return Rectools
    import matinee.models.families.network
    import matinee.nn.train  # noqa: F401

    return Ours


def measure(job: Mapping[str, Any], split: Split, folder: Path) -> dict[str, Any]:
    kind = load_libraries(job["library"])
    before = settled_megabytes()
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts anew
    trainee = kind(job["model"], job["settings"], split, folder)
    seconds, losses = trainee.train(job["epochs"])
    peak = megabytes("VmHWM")
    found = {"seconds": seconds, "losses": losses, "events": trainee.events, "peak_mb": peak, "mb": peak - before}
    if job["evaluate"]:
        trainee.evaluate()  # compiles and caches
        start = time.perf_counter()
        found["ndcg"] = trainee.evaluate()
        found["evaluation_seconds"] = time.perf_counter() - start
    return found


def main() -> None:
    from matinee.errors import MatineeError

    job = json.loads(sys.argv[1])
    load_libraries(job["library"])  # before torch: ours says how long torch's threads may spin, which others leave
    import torch

    torch.set_num_threads(job["threads"])
    split = SPLITS[job["split"]](Path(job["data_dir"]))
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:  # libraries print
        try:
            found = measure(job, split, Path(folder))
        except MatineeError as error:  # a model or hyper-parameter that is not there yet
            found = {"missing": str(error)}
    print(json.dumps(found), file=answers)


if __name__ == "__main__":
    main()
