"""RecBole 1.2.1 on our splits, with numpy 2 and without what it imports and training does not need.

RecBole asks for numpy < 2, ray, tensorboard, thop and more. Its training needs none of them, so it is installed with
--no-deps and `import_recbole` gives it: the aliases that numpy 2 took away (np.float_ and the like, before its own
compatibility_settings reads them) and a SummaryWriter that writes nothing. recbole.quick_start, which imports ray, is
not used. Nothing in RecBole's own files is changed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from matinee.data.dataset import Dataset, Holdout, Split

NO_MORE_IN_NUMPY = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}


class NoSummary:
    """Takes torch.utils.tensorboard.SummaryWriter's place: every method is there and does nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None


def import_recbole() -> None:
    """Make RecBole importable here. To be called before its modules are imported."""
    for name, kind in NO_MORE_IN_NUMPY.items():
        if not hasattr(np, name):
            setattr(np, name, kind)
    if "torch.utils.tensorboard" not in sys.modules:
        writer = ModuleType("torch.utils.tensorboard")
        writer.SummaryWriter = NoSummary  # type: ignore[attr-defined]
        sys.modules["torch.utils.tensorboard"] = writer
    import recbole.config
    import recbole.data
    import recbole.trainer  # noqa: F401


class RecBole:
    """One of its models with one of our splits, in a folder of its own: RecBole reads files and leaves some.

    general: it trains on split.train and is evaluated on split.valid. sequential: it is given train, valid and test as
    one log and cuts the last two events of each user off itself, which is the same split where it is leave-one-out.
    """

    def __init__(
        self, model: str, settings: Mapping[str, Any], split: Split, folder: Path, *, sequential: bool
    ) -> None:
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.utils import get_model, get_trainer, init_seed

        (folder / "log").mkdir()
        protocol = _one_log(split, folder) if sequential else _three_logs(split, folder)
        arguments, sys.argv = sys.argv, sys.argv[:1]  # it reads the command line for itself
        try:
            config = Config(model=model, dataset="log", config_dict={**_common(folder), **protocol, **settings})
        finally:
            sys.argv = arguments
        init_seed(0, reproducibility=False)
        self.train_data, self.valid_data, _ = data_preparation(config, create_dataset(config))
        net = get_model(model)(config, self.train_data.dataset).to("cpu")
        self.trainer = get_trainer(config["MODEL_TYPE"], model)(config, net)
        self.trainer.eval_collector.data_collect(self.train_data)

    def train(self, epochs: int) -> tuple[list[float], list[float]]:
        """Seconds of each epoch, and its loss: what Trainer.fit calls, without what it logs, keeps and evaluates.

        RecBole adds up its batches' mean losses; here that is divided by the number of batches.
        """
        seconds, losses = [], []
        for epoch in range(epochs):
            start = time.perf_counter()
            total = self.trainer._train_epoch(self.train_data, epoch)
            seconds.append(time.perf_counter() - start)
            losses.append(float(np.sum(total)) / len(self.train_data))
        return seconds, losses

    def evaluate(self) -> float:
        """ndcg@10 on the valid part, all items ranked, among the five metrics that RecBole measures by default."""
        return float(self.trainer.evaluate(self.valid_data, load_best_model=False)["ndcg@10"])


def _common(folder: Path) -> dict[str, Any]:
    return {
        "data_path": str(folder),
        "checkpoint_dir": str(folder),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "valid_metric": "NDCG@10",
    }


def _three_logs(split: Split, folder: Path) -> dict[str, Any]:
    train = split.train
    _write(folder, "train", train.user, train.item)
    for name, part in (("valid", split.valid), ("test", split.test)):
        _write(folder, name, *_hidden(part))
    arguments = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"}  # not applied
    return {"benchmark_filename": ["train", "valid", "test"], "eval_args": arguments}


def _one_log(split: Split, folder: Path) -> dict[str, Any]:
    whole = split.train.histories().join(_by_user(split.valid, split.train)).join(_by_user(split.test, split.train))
    _write(folder, "", whole.rows, whole.values)
    arguments = {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"}
    return {"eval_args": arguments}


def _by_user(part: Holdout, train: Dataset) -> Any:
    from matinee.data.arrays import Ragged

    user, item = _hidden(part)
    return Ragged.from_rows(user, item, train.n_users)


def _hidden(part: Holdout) -> tuple[Any, Any]:
    """User and item codes of a holdout's answers."""
    return part.queries.user[part.truth.rows], part.truth.values


def _write(folder: Path, part: str, user: Any, item: Any) -> None:
    """An atomic file. The time is the row number: rows of one user are in the order they are to keep."""
    name = f"log.{part}.inter" if part else "log.inter"
    with (folder / "log" / name).open("w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{u}\t{i}\t{row}\n" for row, (u, i) in enumerate(zip(user, item, strict=True)))
