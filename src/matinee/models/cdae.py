"""CDAE: a denoising autoencoder that also knows who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import nn
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Learned, Shapes
from matinee.models.dae import DAE
from matinee.models.families.autoencoder import log_odds
from matinee.models.families.network import NetWeights, device_of, import_torch
from matinee.models.families.user_vectors import Hashes, hashes_of, still_learned
from matinee.models.fields import tunable
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

FOLD_IN_STEPS, FOLD_IN_RATE = 20, 0.05


@dataclass(frozen=True)
class UserNetWeights(NetWeights):
    """history_hashes: uint64 (n_users,), a hash of the history that each user's vector was learned on."""

    history_hashes: Hashes

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {**super().shapes(n_users, n_items), "history_hashes": (n_users,)}


class CDAE(DAE):
    """Collaborative denoising autoencoder (Wu, DuBois, Zheng & Ester, WSDM 2016).

    DAE with a vector V_u of each user added to the hidden layer's input (eq. 3).
    Loss: binary cross-entropy over all items (the paper samples negatives). A user whose history has changed, or was
    never seen, gets a vector by a few gradient steps on it alone, from 0, down the same loss on their history.
    """

    learned_type: ClassVar[type[Learned]] = UserNetWeights
    exemptions = {"history_alone": "learns a vector of each user; a newcomer's is fitted to the history alone"}

    hidden: int = tunable(200, "units of the hidden layer", choices=[64, 200, 400], ge=1)

    def build(self, data: Dataset) -> Module:
        start = log_odds(data)
        return nn.vae.DenoisingAutoencoder(data.n_items, self.hidden, self.dropout, start=start, n_users=data.n_users)

    def n_weights(self, size: LogSize) -> float:
        return super().n_weights(size) + self.hidden * (size.users + 1)

    def learned_bytes(self, size: LogSize) -> float:
        return super().learned_bytes(size) + 8 * size.users

    def learned_from(
        self, net: Any, data: Dataset, weights: dict[str, NDArray[Any]], curve: NDArray[np.float64]
    ) -> UserNetWeights:
        return UserNetWeights(weights, curve, hashes_of(data, weighed=True), net=net)

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

        known = torch.from_numpy(np.maximum(queries.user, 0).astype(np.int64))
        vectors: Tensor = self.net.users.weight.detach()[known]
        own = still_learned(queries, self.fitted.learned.history_hashes, weights=queries.history_weights)
        new = np.flatnonzero(~own)
        if len(new):
            rows = self.history_rows(queries.take(new)).to(vectors.device)
            zero = torch.zeros(len(new), self.hidden, device=vectors.device)
            vectors[torch.from_numpy(new)] = nn.train.fold_in(
                zero,
                lambda user: nn.losses.logistic(self.net(rows, user), rows),
                steps=FOLD_IN_STEPS,
                learning_rate=FOLD_IN_RATE,
            )
        return vectors
