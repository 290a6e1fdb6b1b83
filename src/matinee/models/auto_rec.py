"""AutoRec: autoencoders of rating vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from matinee import nn
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset
from matinee.models.base import Learned, Shapes
from matinee.models.families.autoencoder import rows_of
from matinee.models.families.factors import RatingFactors, RatingVectors, Vectors, regress
from matinee.models.families.network import NO_CURVE, Trained, device_of, import_torch
from matinee.models.families.user_vectors import hashes_of
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, TRAINED, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Autoencoded(RatingVectors):
    """encoder: float32 (n_items, hidden), bias (hidden,), what turns a user's ratings into a code; zeros if on items.

    mean: what was taken off every rating. curve: float64 (epochs, 3), nn.CURVE without its seconds.
    """

    encoder: Floats
    bias: Floats
    mean: float
    curve: NDArray[np.float64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        hidden = len(self.bias)
        return {**super().shapes(n_users, n_items), "encoder": (n_items, hidden), "bias": (hidden,)}


class AutoRec(Trained, RatingFactors):
    """Autoencoders meet collaborative filtering (Sedhain, Menon, Sanner & Xie, WWW 2015, eq. 1-2).

    h(r) = W g(V r + mu) + b, g the sigmoid, squared error on the known ratings. based = "users": r is a user's ratings,
    and the code g(V r + mu) is the user vector. "items": r is an item's ratings; the code is the item vector and a
    user's row of W the user vector; for a new user, or a changed history, that row is solved by ridge regression
    (code_l2) on the codes of what they rated. Deviations: ratings lose the log's mean first, so that a missing one
    counts as average, not as 0; AdamW's decoupled decay for the paper's L2; early stopping on the RMSE of `valid`.
    """

    learned_type: ClassVar[type[Learned]] = Autoencoded
    exemptions = {
        "taste": "learns ratings, which are drawn at random in the suite's log",
        "history_alone": "solves for a newcomer's vector; those of users are decoder rows",
    }

    based: Literal["users", "items"] = tunable(
        "items", "encode users' or items' rating vectors", choices=["users", "items"]
    )
    hidden: int = tunable(100, "length of the code", choices=[50, 100, 300], ge=1)
    code_l2: float = tunable(8.0, "ridge on a user's decoder row (items)", low=0.5, high=50.0, log=True, gt=0.0)
    batch_size: int = tunable(64, "users or items in a step", ge=1)
    weight_decay: float = tunable(2.0, "AdamW's decay", low=0.01, high=10.0, log=True, ge=0.0)

    def learn(self, data: Dataset, context: FitContext) -> Autoencoded:
        torch = import_torch()

        X = data.matrix(values=True)
        low, high, mean = float(X.data.min()), float(X.data.max()), float(X.data.mean(dtype=np.float64))
        # ratings less their mean, so that an unseen item, 0 in the input, says nothing
        X.data -= np.float32(mean)
        R = X if self.based == "users" else X.T.tocsr()
        ragged = Ragged(R.indptr.astype(np.int64), R.indices.astype(np.int32))
        present = np.flatnonzero(ragged.lengths > 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            net = nn.vae.RatingAutoencoder(R.shape[1], self.hidden)

        def loss(batch: NDArray[np.int64], step: Any) -> Any:
            chosen = present[batch]
            rows = rows_of(ragged.take(chosen), R.data[ragged.positions(chosen)], chosen).to(device_of(net))
            return nn.losses.squared_seen(net(rows), rows)

        def learned(curve: NDArray[np.float64]) -> Autoencoded:
            return self.of_net(net, data, ragged, R.data, (low, high, mean), curve)

        def validate() -> float:
            measure = context.measuring(self.standing(data, learned(NO_CURVE)))
            return float("nan") if measure is None else measure()

        passes = [nn.train.Pass("all", loss, list(net.parameters()))]
        measured = validate if context.measuring(self) is not None else None
        return learned(self.train(net, passes, len(present), data, context, measured))

    @property
    def curve_names(self) -> tuple[str, str]:
        return "loss", self.fitted.metric or "rmse"

    def of_net(
        self,
        net: Any,
        data: Dataset,
        ragged: Ragged,
        value: Floats,
        scale: tuple[float, float, float],
        curve: NDArray[np.float64],
    ) -> Autoencoded:
        """The net's layers as vectors: (code, 1) on the side that is encoded, (row of W, b + mean) on the other."""
        low, high, mean = scale
        torch = import_torch()
        with torch.inference_mode():
            codes = net.code(rows_of(ragged, value, np.arange(len(ragged))).to(device_of(net))).cpu().numpy()
            weight, bias = (getattr(net.decoder, part).cpu().numpy() for part in ("weight", "bias"))
            encoder, first = (getattr(net.encoder, part).cpu().numpy().copy() for part in ("weight", "bias"))
        coded = np.column_stack([codes, np.ones(len(codes))]).astype(np.float32)
        decoded = np.column_stack([weight, bias + np.float32(mean)])
        U, V = (coded, decoded) if self.based == "users" else (decoded, coded)
        if self.based == "items":
            encoder = np.zeros((data.n_items, self.hidden), np.float32)  # nothing of a query passes through it
        hashes = hashes_of(data, rated=True)
        return Autoencoded(U, V, hashes, low, high, encoder, first, mean, curve)

    def width(self, size: LogSize) -> int:
        return self.hidden + 1

    def learned_bytes(self, size: LogSize) -> float:
        return super().learned_bytes(size) + FLOAT * self.hidden * (size.items + 1)

    def fit_bytes(self, size: LogSize) -> float:
        """Two layers under training, a batch of rows, and then the vectors of both sides."""
        columns = size.items if self.based == "users" else size.users
        net = TRAINED * 2 * self.hidden * columns + 4 * FLOAT * self.batch_size * columns
        return 30 * size.events + net + self.learned_bytes(size)

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        assert isinstance(learned, Autoencoded)
        X = X.copy()
        X.data = X.data - np.float32(learned.mean)
        if self.based == "users":
            code = 1.0 / (1.0 + np.exp(-(X @ learned.encoder + learned.bias)))
            return np.column_stack([code, np.ones(len(code))]).astype(np.float32)
        P = np.zeros((X.shape[0], learned.V.shape[1]))
        penalty = np.full(P.shape, self.code_l2)
        regress(X, learned.V, np.zeros(len(learned.V)), P, penalty=penalty)
        P[:, -1] += learned.mean
        return P.astype(np.float32)
