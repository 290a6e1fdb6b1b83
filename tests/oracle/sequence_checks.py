"""The sequence models' states from their weights, in plain float64 numpy: one prefix at a time, one place at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.models.bert4rec import BERT4Rec
from matinee.models.cl4srec import CL4SRec
from matinee.models.families import sequence
from matinee.models.gru4rec import GRU4Rec
from matinee.models.narm import NARM
from matinee.models.prod2vec import Prod2vec
from matinee.models.sasrec import SASRec
from matinee.models.stamp import STAMP
from matinee.nn.sequences import pack
from oracle import truths

N_USERS, N_ITEMS, MAX_LEN = 37, 23, 11
LOG = truths.random_log(6, N_USERS, N_ITEMS)
DATA = truths.as_dataset(LOG, N_ITEMS)
LONG = [5, 4, 5, 1, 0, 9, 13, 22, 7, 7, 3, 5, 20, 11, 2, 8]
HISTORIES = [[3], [0, 5, 9], LONG, [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], LONG[:MAX_LEN], [22, 20, 1]]
SMALL: dict[str, Any] = {"epochs": 1, "batch_size": 8, "max_len": MAX_LEN, "dim": 6}
Row = NDArray[np.float64]
Weights = dict[str, Row]
State = Callable[[Weights, Sequence[int]], Row]


def drawn(model: sequence.Sequence) -> Weights:
    """A fitted model's weights, replaced by large ones: small ones would leave every layer nearly linear, and the
    vector of empty slots, which is 0 otherwise, would hide where it is read."""
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter.normal_(std=0.5)
    return {name: value.numpy().astype(np.float64) for name, value in model.net.state_dict().items()}


def close(found: Any, truth: Any) -> None:
    wanted = np.asarray(truth)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def check_states(model: sequence.Sequence, state: State, *, vectors: str = "items.weight") -> None:
    """state(weights, prefix) -> (dim,): at every slot that of the prefix up to it; scores of the last MAX_LEN items."""
    model.fit(DATA)
    w = drawn(model)
    rows = [row[-MAX_LEN:] for row in HISTORIES]
    packed = pack(Ragged.from_lists(rows), N_ITEMS)
    with torch.no_grad():
        states = model.net(packed).numpy()
    for row, first in zip(rows, packed.first.tolist(), strict=True):
        close(states[first : first + len(row)], [state(w, row[: t + 1]) for t in range(len(row))])
    scores = model.score(truths.histories(HISTORIES))
    close(scores, [w[vectors][:N_ITEMS] @ state(w, row) for row in rows])


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def linear(w: Weights, name: str, x: Row) -> Row:
    """torch keeps (out, in)."""
    bias: Any = w.get(f"{name}.bias", 0.0)
    out: Row = w[f"{name}.weight"] @ x + bias
    return out


# --- recurrent --------------------------------------------------------------------------------------------------------


def gru(w: Weights, name: str, inputs: list[Row]) -> list[Row]:
    """The states after each input (Cho et al., 2014), gate by gate."""
    h = np.zeros(w[f"{name}.weight_hh_l0"].shape[1])
    states = []
    for x in inputs:
        of_x = np.split(w[f"{name}.weight_ih_l0"] @ x + w[f"{name}.bias_ih_l0"], 3)
        of_h = np.split(w[f"{name}.weight_hh_l0"] @ h + w[f"{name}.bias_hh_l0"], 3)
        reset, keep = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
        h = keep * h + (1.0 - keep) * np.tanh(of_x[2] + reset * of_h[2])
        states.append(h)
    return states


def check_gru4rec() -> None:
    def state(w: Weights, prefix: Sequence[int]) -> Row:
        x = [w["items.weight"][item] for item in prefix]
        for layer in range(2):
            x = gru(w, f"gru.layers.{layer}", x)
        return linear(w, "output", x[-1])

    def alone(w: Weights, prefix: Sequence[int]) -> Row:
        return gru(w, "gru.layers.0", [w["items.weight"][item] for item in prefix])[-1]

    check_states(GRU4Rec(hidden=5, layers=2, **SMALL), state)
    check_states(GRU4Rec(hidden=6, tied=False, **SMALL), alone, vectors="others.weight")


def check_narm() -> None:
    def state(w: Weights, prefix: Sequence[int]) -> Row:
        h = gru(w, "gru.layers.0", [w["items.weight"][item] for item in prefix])
        local = np.zeros(5)
        for h_j in h:
            alpha = w["weight.weight"][0] @ sigmoid(w["asking.weight"] @ h[-1] + w["asked.weight"] @ h_j)
            local += alpha * h_j
        decoded: Row = w["decoder.weight"] @ np.concatenate([h[-1], local])
        return decoded

    check_states(NARM(hidden=5, **SMALL), state)


def check_stamp() -> None:
    def state(w: Weights, prefix: Sequence[int]) -> Row:
        x = [w["items.weight"][item] for item in prefix]
        mean = sum(x) / len(x)
        W2, W3 = np.split(w["asking.weight"], 2, axis=1)
        memory = np.zeros(6)
        for x_j in x:
            inner = w["asked.weight"] @ x_j + W2 @ x[-1] + W3 @ mean + w["asking.bias"]
            memory += (w["weight.weight"][0] @ sigmoid(inner)) * x_j
        mixed: Row = np.tanh(linear(w, "memory", memory)) * np.tanh(linear(w, "last", x[-1]))
        return mixed

    check_states(STAMP(**SMALL), state)


# --- transformers -----------------------------------------------------------------------------------------------------


def norm(w: Weights, name: str, x: Row) -> Row:
    scaled: Row = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]
    return scaled


def attention(w: Weights, name: str, x: list[Row], heads: int, t: int, *, causal: bool) -> Row:
    """What slot t takes from the others: softmax of dot products, head by head."""
    q, k, v = zip(*(np.split(linear(w, f"{name}.inputs", one), 3) for one in x), strict=True)
    seen = range(t + 1) if causal else range(len(x))
    found = []
    for head in np.split(np.arange(len(x[0])), heads):
        logits = np.array([q[t][head] @ k[j][head] / np.sqrt(len(head)) for j in seen])
        weights = np.exp(logits - logits.max())
        found.append(sum(p * v[j][head] for p, j in zip(weights / weights.sum(), seen, strict=True)))
    return linear(w, f"{name}.output", np.concatenate(found))


def transformer(
    w: Weights, codes: Sequence[int], heads: int, feed_forward: Callable[[Row], Row], *, causal: bool, gated: bool
) -> Row:
    """The last slot's state after two blocks, each norm, layer, sum."""
    x = [w["items.weight"][code] + w["positions.weight"][place] for place, code in enumerate(codes)]

    def gate(name: str, of: Row) -> Any:
        return sigmoid(linear(w, name, of)) if gated else 1.0

    for number in range(2):
        block = f"transformer.blocks.{number}"
        normed = [norm(w, f"{block}.norms.0", one) for one in x]
        more = [attention(w, f"{block}.attention", normed, heads, t, causal=causal) for t in range(len(x))]
        x = [one + gate(f"{block}.gates.0", one) * m for one, m in zip(x, more, strict=True)]
        for t, one in enumerate(x):
            inner = feed_forward(linear(w, f"{block}.mixing.first", norm(w, f"{block}.norms.1", one)))
            x[t] = one + gate(f"{block}.gates.1", one) * linear(w, f"{block}.mixing.second", inner)
    return norm(w, "transformer.norm", x[-1])


def relu(x: Row) -> Row:
    return np.maximum(x, 0.0)


def gelu(x: Row) -> Row:
    from scipy.special import ndtr

    out: Row = x * ndtr(x)
    return out


def swiglu(x: Row) -> Row:
    gate, value = np.split(x, 2)
    out: Row = gate * sigmoid(gate) * value
    return out


def check_sasrec() -> None:
    def plain(w: Weights, prefix: Sequence[int]) -> Row:
        return transformer(w, prefix, 2, relu, causal=True, gated=False)

    def with_gates(w: Weights, prefix: Sequence[int]) -> Row:
        return transformer(w, prefix, 1, swiglu, causal=True, gated=True)

    check_states(SASRec(n_heads=2, **SMALL), plain)
    check_states(SASRec(gated=True, feed_forward="swiglu", ffn_multiplier=2, **SMALL), with_gates)


def check_cl4srec() -> None:
    check_states(CL4SRec(n_heads=3, **SMALL), lambda w, row: transformer(w, row, 3, relu, causal=True, gated=False))


def check_bert4rec() -> None:
    """A [MASK], the code after that of empty slots, follows the history, and its state answers."""
    model = BERT4Rec(n_heads=2, **SMALL).fit(DATA)
    w = drawn(model)
    asked = [[*row[-MAX_LEN:], N_ITEMS + 1] for row in HISTORIES]
    states = [transformer(w, row, 2, gelu, causal=False, gated=False) for row in asked]
    close(model.score(truths.histories(HISTORIES)), np.array(states) @ w["items.weight"][:N_ITEMS].T)


# --- vectors ----------------------------------------------------------------------------------------------------------


def check_prod2vec_gradient() -> None:
    """A pass over one history moves the vectors by the gradient of each pair's loss, taken by differences in turn."""
    from matinee.kernels.skip_gram import alias_draw as negative
    from matinee.kernels.skip_gram import skip_gram_rows

    rng = np.random.default_rng(2)
    n, dim, rate, key = 4, 3, 0.1, np.uint64(5)
    x, y = rng.normal(size=(2, n, dim)).astype(np.float32)
    history = np.array([2, 0, 3, 2], np.int32)
    table = np.array([0, 1, 3]), np.array([0.5, 1.0, 0.25]), np.array([1, 1, 0])
    wanted_x, wanted_y = x.astype(np.float64), y.astype(np.float64)
    losses, counter = [], 0
    for p, event in enumerate(history.tolist()):
        for neighbour in history[max(0, p - 1) : p].tolist():  # a window of 1 has no chance in it
            others = [negative(key, np.uint64(counter + k), *table) for k in range(2)]
            counter += 2
            losses.append(descend(wanted_x, wanted_y, neighbour, event, others, rate - 0.01 * p))
    told = skip_gram_rows(np.array([0, 4]), history, 1, False, 2, *table, key, rate, 0.01, x, y)
    np.testing.assert_allclose(x, wanted_x, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(y, wanted_y, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(told, np.mean(losses), rtol=1e-4)


def descend(x: Row, y: Row, neighbour: int, event: int, others: list[int], rate: float) -> float:
    """One step in place. word2vec takes the draws one after the other: a vector drawn twice moves twice."""
    total, of_x = 0.0, np.zeros(x.shape[1])
    for j, sign in [(event, 1.0), *((j, -1.0) for j in others if j != event)]:

        def loss(theta: Row, sign: float = sign) -> float:
            a, b = np.split(theta, 2)
            return float(np.log1p(np.exp(-sign * a @ b)))

        theta, step = np.concatenate([x[neighbour], y[j]]), 1e-6
        gradient = [(loss(theta + step * e) - loss(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]
        total += loss(theta)
        of_x -= rate * np.array(gradient[: x.shape[1]])
        y[j] -= rate * np.array(gradient[x.shape[1] :])
    x[neighbour] += of_x
    return total


def check_prod2vec_scores() -> None:
    """A history's mean vector, of its last events, faded or not; against output vectors, or cosines of input ones."""
    rows = [*HISTORIES, [4]]
    for against, last, half_life in (("output", 20, None), ("output", 3, 2.0), ("input", 5, 1.5)):
        hyper = {"against": against, "max_len": last, "half_life": half_life}
        model = Prod2vec.model_validate({"dim": 5, "epochs": 3, **hyper}).fit(DATA)
        left, right = model.fitted.learned.left.astype(np.float64), model.fitted.learned.right.astype(np.float64)
        assert np.abs(left).max() > 0.1 / 5, "it has learned"
        if against == "input":
            np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1.0, rtol=1e-5)
            np.testing.assert_array_equal(left, right.T)
        wanted = []
        for row in rows:
            mean, total = np.zeros(5), 0.0
            for age, item in enumerate(reversed(row[-last:])):
                voice = 1.0 if half_life is None else 0.5 ** (age / half_life)
                mean, total = mean + voice * left[item], total + voice
            wanted.append([float(mean / total @ right[:, j]) for j in range(N_ITEMS)])
        close(model.score(truths.histories(rows)), wanted)


def check_prod2vec_learns_log_odds() -> None:
    """With vectors as long as items are many x_i.y_j nears ln(p(j | i) / (k q_j)) (Levy & Goldberg, NeurIPS 2014)."""
    rng = np.random.default_rng(1)
    n, k = 6, 2
    P = rng.dirichlet(np.full(n, 2.0), size=n)
    rows, item = [], 0
    for _ in range(40_000):  # a Markov chain
        item = int(rng.choice(n, p=P[item]))
        rows.append(item)
    from matinee.data.dataset import Dataset
    from matinee.data.ids import IdMap

    time = np.arange(len(rows))
    data = Dataset(IdMap([0]), IdMap(np.arange(n)), np.zeros(len(rows), np.int32), np.array(rows, np.int32), None, time)
    model = Prod2vec(dim=n, window=1, n_negatives=k, alpha=0.0, subsample=0.0, learning_rate=0.1, epochs=60).fit(data)
    found = model.score(truths.histories([[i] for i in range(n)]))
    # a draw that is the event itself does not count: of j's the share 1 - p(j | i) of k / n are left
    truth = np.log(P / (k / n * (1.0 - P)))
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.99
    assert np.abs(found - truth).max() < 0.35  # chance in 40,000 transitions, and the step size of the last epochs


CHECKS: dict[str, list[Callable[[], None]]] = {
    "gru4rec": [check_gru4rec],
    "narm": [check_narm],
    "stamp": [check_stamp],
    "sasrec": [check_sasrec],
    "cl4srec": [check_cl4srec],
    "bert4rec": [check_bert4rec],
    "prod2vec": [check_prod2vec_gradient, check_prod2vec_scores, check_prod2vec_learns_log_odds],
}
