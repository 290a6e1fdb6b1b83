"""CDAE: a denoising autoencoder that also knows who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.models.base import Shapes, tunable
from matinee.models.dae import DAE
from matinee.models.families.factors import hash_rows
from matinee.models.families.network import NetWeights, device_of, import_torch, log_odds

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLD_IN_STEPS, FOLD_IN_RATE = 20, 0.05


@dataclass(frozen=True)
class UserNetWeights(NetWeights):
    """seen: uint64 (n_users,), a hash of the history that each user's vector was learned on."""

    history_hashes: NDArray[np.uint64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {**super().shapes(n_users, n_items), "history_hashes": (n_users,)}


class CDAE(DAE):
    """Collaborative denoising autoencoder (Wu, DuBois, Zheng & Ester, WSDM 2016).

    DAE with a vector V_u of each user added to the hidden layer's input (eq. 3).
    Loss: binary cross-entropy over all items (the paper samples negatives). A user whose history has changed, or was
    never seen, gets a vector by a few gradient steps on it alone, from 0, down the same loss on their history.
    """

    learned_type: ClassVar[type[NetWeights]] = UserNetWeights
    exemptions = {"history_alone": "learns a vector of each user; a newcomer's is fitted to the history alone"}

    hidden: int = tunable(200, "units of the hidden layer", choices=[64, 200, 400], ge=1)

    def build(self, data: Dataset) -> nn.Module:
        from matinee.nn.vae import DenoisingAutoencoder

        start = log_odds(data)
        return DenoisingAutoencoder(data.n_items, self.hidden, self.dropout, start=start, n_users=data.n_users)

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> UserNetWeights:
        learned = super().learn(data, valid, seed)
        return UserNetWeights(learned.weights, learned.curve, history_hashes_of(data))

    def score_histories(self, queries: Queries) -> Floats:
        torch = import_torch()
        rows = self.history_rows(queries).to(device_of(self.net))
        user = self.user_vectors(queries)
        with torch.inference_mode():
            scores: Floats = self.net(rows, user).cpu().numpy()
        return scores

    def user_vectors(self, queries: Queries) -> Tensor:
        """float32 (B, hidden): learned where the history is the one learned on, else folded in."""
        torch = import_torch()
        from matinee.nn.losses import logistic
        from matinee.nn.train import fold_in

        learned = self.fitted.learned
        history_hashes = (
            learned.history_hashes if isinstance(learned, UserNetWeights) else history_hashes_of(self.data)
        )  # within training: the latter
        own = (queries.user >= 0) & (hash_rows(queries.history, None) == history_hashes[np.maximum(queries.user, 0)])
        known = torch.from_numpy(np.maximum(queries.user, 0).astype(np.int64))
        vectors: Tensor = self.net.users.weight.detach()[known]
        new = np.flatnonzero(~own)
        if len(new):
            rows = self.history_rows(queries.take(new)).to(vectors.device)
            zero = torch.zeros(len(new), self.hidden, device=vectors.device)
            folded = fold_in(
                zero, lambda user: logistic(self.net(rows, user), rows), steps=FOLD_IN_STEPS, learning_rate=FOLD_IN_RATE
            )
            vectors[torch.from_numpy(new)] = folded
        return vectors


def history_hashes_of(data: Dataset) -> NDArray[np.uint64]:
    return hash_rows(data.histories(), None)
