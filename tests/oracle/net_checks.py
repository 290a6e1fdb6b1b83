"""The nets' scores from their saved weights, in plain numpy: what a reader of the papers would write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Queries
from matinee.models.auto_rec import AutoRec
from matinee.models.cdae import CDAE
from matinee.models.dae import DAE
from matinee.models.families.network import Network
from matinee.models.multi_dae import MultiDAE
from matinee.models.multi_vae import MultiVAE
from matinee.models.rec_vae import RecVAE
from oracle import truths

N_USERS, N_ITEMS = 37, 23
LOG = truths.random_log(6, N_USERS, N_ITEMS)
DATA = truths.as_dataset(LOG, N_ITEMS)
HISTORIES = [[3], [0, 5, 9], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], [22, 20, 1]]
SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01}
SparseBatch = NDArray[np.float64]


def close(found: NDArray[np.float32], truth: SparseBatch) -> None:
    np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-5 * np.abs(truth).max())


def unit_rows() -> SparseBatch:
    """The histories as dense rows of length 1, a repeated item once."""
    X = np.zeros((len(HISTORIES), N_ITEMS))
    for row, history in enumerate(HISTORIES):
        X[row, history] = 1.0
    X /= np.sqrt((X**2).sum(axis=1, keepdims=True))
    return X


def weights(model: Network) -> dict[str, SparseBatch]:
    return {name: value.astype(np.float64) for name, value in model.fitted.learned.weights.items()}


def linear(w: dict[str, SparseBatch], name: str, x: SparseBatch) -> SparseBatch:
    """torch keeps (out, in); our sparse layers (in, out)."""
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def sparse(w: dict[str, SparseBatch], name: str, x: SparseBatch) -> SparseBatch:
    return x @ w[f"{name}.weight"] + w[f"{name}.bias"]


def check_denoising() -> None:
    for kind in (DAE, MultiDAE):
        model = kind(hidden=5, **SMALL).fit(DATA)
        w = weights(model)
        truth = linear(w, "decoder", np.tanh(sparse(w, "encoder", unit_rows())))
        close(model.score(truths.histories(HISTORIES)), truth)


def check_cdae() -> None:
    model = CDAE(hidden=5, **SMALL).fit(DATA)
    w = weights(model)
    everyone = DATA.queries()
    X = truths.dense(LOG, N_ITEMS).astype(np.float64)
    X /= np.sqrt((X**2).sum(axis=1, keepdims=True))
    hidden = sparse(w, "encoder", X)
    close(model.score(everyone), linear(w, "decoder", np.tanh(hidden + w["users.weight"][:-1])))
    # someone new gets a vector under which their own history is likelier than under none
    new = Queries(user=np.full(N_USERS, -1, np.int32), history=everyone.history, exclude=everyone.exclude)
    assert cross_entropy(model.score(new), X > 0) < cross_entropy(linear(w, "decoder", np.tanh(hidden)), X > 0)


def cross_entropy(logits: NDArray[Any], watched: NDArray[np.bool_]) -> float:
    return float((np.logaddexp(0.0, logits) - np.where(watched, logits, 0.0)).sum())


def check_multi_vae() -> None:
    for decoder_hidden in (0, 5):
        model = MultiVAE(hidden=7, latent=3, decoder_hidden=decoder_hidden, **SMALL).fit(DATA)
        w = weights(model)
        mean = linear(w, "code", np.tanh(sparse(w, "encoder", unit_rows())))[:, :3]
        deep = decoder_hidden > 0
        truth = linear(w, "decoder.2", np.tanh(linear(w, "decoder.0", mean))) if deep else linear(w, "decoder", mean)
        close(model.score(truths.histories(HISTORIES)), truth)


def check_rec_vae() -> None:
    model = RecVAE(hidden=7, latent=3, **SMALL).fit(DATA)
    w = weights(model)

    def norm(index: int, x: SparseBatch) -> SparseBatch:
        centred = x - x.mean(axis=1, keepdims=True)
        scaled: SparseBatch = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 0.1)
        scaled *= w[f"encoder.norms.{index}.weight"]
        return scaled + w[f"encoder.norms.{index}.bias"]

    def swish(x: SparseBatch) -> SparseBatch:
        return x / (1.0 + np.exp(-x))

    layers = [norm(0, swish(sparse(w, "encoder.first", unit_rows())))]
    for index in range(4):
        layers.append(norm(index + 1, swish(linear(w, f"encoder.others.{index}", layers[-1]) + sum(layers))))
    truth = linear(w, "decoder", linear(w, "encoder.code", layers[-1])[:, :3])
    close(model.score(truths.histories(HISTORIES)), truth)


def check_auto_rec() -> None:
    rng = np.random.default_rng(3)
    data = replace(DATA, value=rng.integers(1, 6, len(DATA)).astype(np.float32))
    R = data.matrix(values=True).toarray().astype(np.float64)  # of a pair that is rated twice, the later rating
    known = R > 0
    mean = float(R[known].mean())
    R = np.where(known, R - mean, 0.0)
    model = AutoRec(based="users", hidden=4, **SMALL).fit(data)
    learned = model.fitted.learned
    code = 1 / (1 + np.exp(-(R @ learned.encoder + learned.bias)))
    close(model.score(data.queries()), code @ learned.V[:, :-1].T + learned.V[:, -1])
    new = replace(data.queries(), user=np.full(N_USERS, -1, np.int32))
    close(model.score(new), code @ learned.V[:, :-1].T + learned.V[:, -1])
    model = AutoRec(based="items", hidden=4, code_l2=2.0, **SMALL).fit(data)
    H = model.fitted.learned.V.astype(np.float64)
    for user, row in enumerate(model.score(new)):
        A = H[known[user]]
        w = np.linalg.solve(A.T @ A + 2.0 * np.eye(H.shape[1]), A.T @ R[user, known[user]])
        close(row, H @ w + mean)


CHECKS: dict[str, list[Callable[[], None]]] = {
    "dae": [check_denoising],
    "multi_dae": [check_denoising],
    "cdae": [check_cdae],
    "multi_vae": [check_multi_vae],
    "rec_vae": [check_rec_vae],
    "auto_rec": [check_auto_rec],
}
