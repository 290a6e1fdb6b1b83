"""RecTools' transformers (PyTorch Lightning) on our splits: their data set, their training, and their scores."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer

from matinee.data.arrays import Bools, Floats, Ints
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import IdMap

ROWS = 256  # histories encoded at once where a model answers


def quiet() -> None:
    """Lightning tells on every fit that there is no GPU, and RecTools' own pandas code warns of itself."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="rectools")
    warnings.filterwarnings("ignore", module="lightning_fabric")
    warnings.filterwarnings("ignore", "Pydantic serializer warnings", UserWarning)


def dataset(data: Dataset) -> Any:
    """A log as RecTools' own Dataset, codes for ids; times are row numbers, as equal ones would lose the order."""
    import pandas as pd
    from rectools.dataset import Dataset as Theirs

    order = data.order
    when = pd.to_datetime(np.arange(len(order)), unit="s")
    events = {"user_id": data.user[order], "item_id": data.item[order], "weight": 1.0, "datetime": when}
    return Theirs.construct(pd.DataFrame(events))


class Seconds(Callback):  # type: ignore[misc]
    """Lightning's own hooks around an epoch of training: seconds and mean loss of each."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.start = 0.0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.seconds.append(time.perf_counter() - self.start)
        self.losses.append(float(trainer.callback_metrics["train_loss"]))


def trainer(epochs: int, *callbacks: Callback, steps: int | None = None) -> Trainer:
    """As RecTools makes its own by default, with callbacks; steps: stop an epoch after so many batches."""
    return Trainer(
        max_epochs=epochs,
        min_epochs=epochs,
        accelerator="cpu",
        devices=1,
        callbacks=list(callbacks),
        limit_train_batches=steps,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )


class Scorer:
    """A trained transformer of RecTools as Matinee's Scorer: the state at a history's end times the item vectors.

    Histories are cut and padded as RecTools does it: the last session_max_len items it knows, zeros on the left, which
    its attention sees, so rows are never shortened.
    """

    def __init__(self, model: Any, users: IdMap, items: IdMap) -> None:
        self.users, self.items = users, items
        self.net, self.length = model.torch_model, model.data_preparator.session_max_len
        known = model.data_preparator.get_known_item_ids().astype(np.int64)
        self.code: NDArray[np.int64] = np.zeros(len(items), np.int64)  # ours -> theirs; 0, padding, where not known
        self.code[known] = model.data_preparator.get_known_items_sorted_internal_ids()

    def score(self, queries: Queries) -> Floats:
        """float32 (B, n_items); -inf where RecTools does not know the item."""
        sessions = torch.from_numpy(self.sessions(queries))
        scores = np.empty((len(queries), len(self.items)), np.float32)
        self.net.eval()
        with torch.inference_mode():
            vectors = self.net.item_model.get_all_embeddings()
            for start in range(0, len(queries), ROWS):
                block = {"x": sessions[start : start + ROWS]}
                state = self.net.encode_sessions(block, vectors)[:, -1]
                scores[start : start + ROWS] = (state @ vectors.T).numpy()[:, self.code]
        scores[:, self.code == 0] = -np.inf
        return scores

    def sessions(self, queries: Queries) -> NDArray[np.int64]:
        """(B, session_max_len): their item codes, the latest on the right."""
        history = queries.history.keep(self.code[queries.history.values] > 0)
        back = history.offsets[1:][history.rows] - np.arange(len(history.values))  # 1 = the latest
        kept = back <= self.length
        x = np.zeros((len(queries), self.length), np.int64)
        x[history.rows[kept], self.length - back[kept]] = self.code[history.values[kept]]
        return x

    def fallback(self, queries: Queries) -> Bools:
        nothing: Bools = queries.history.keep(self.code[queries.history.values] > 0).lengths == 0
        return nothing


def own_lists(model: Any, data: Dataset, users: Ints, k: int = 10) -> Ints:
    """int32 (len(users), k): the item codes that model.recommend itself gives from these histories, -1 where none."""
    answer = model.recommend(users, dataset(data), k=k, filter_viewed=True)
    row = np.full(data.n_users, -1)
    row[users] = np.arange(len(users))
    item = np.full((len(users), k), -1, np.int32)
    item[row[answer["user_id"]], answer["rank"] - 1] = answer["item_id"]
    return item
