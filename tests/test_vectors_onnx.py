"""A net as an ONNX file, run without us: of any padded batch it makes the vectors that the model makes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.models import registry
from test_vectors import fitted

pytestmark = pytest.mark.filterwarnings("ignore:left out")
LENGTHS = [1, 4, 9, 2, 7]  # max_len is 6 here


@pytest.mark.slow  # torch's exporter takes seconds
@pytest.mark.parametrize(
    ("name", "hyper"),
    [
        ("sasrec", {"item_features": ["genre"], "n_heads": 2}),
        ("sasrec", {"gated": True, "feed_forward": "swiglu", "n_blocks": 3}),
        ("cl4srec", {"feed_forward": "gelu"}),
    ],
)
def test_onnx_makes_the_vectors_of_the_model(name: str, hyper: dict[str, Any], tmp_path: Path) -> None:
    _, _, onnxruntime = (
        pytest.importorskip(package, reason=f"{package} is not installed")
        for package in ("onnx", "onnxscript", "onnxruntime")
    )
    model = fitted(name, **{"dim": 8, "max_len": 6, **hyper})
    mt.write_vectors(model, tmp_path / "items.parquet", onnx=tmp_path / "net.onnx")
    table = pl.read_parquet(tmp_path / "items.parquet")
    ids, V = table["item_id"].to_list(), table["vector"].to_numpy()
    net = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    rng = np.random.default_rng(3)
    histories = [rng.integers(0, len(ids), n).tolist() for n in LENGTHS]
    if "item_features" in hyper:
        histories[1][2] = ids.index(3 + (1 << 40))  # it can be recommended, and does not count in a history
    for rows, before in ((histories, 0), (histories[:1], 0), (histories[1:2], 2)):
        latest = [[len(ids)] * before + row[before - 6 :] for row in rows]
        places = max(map(len, latest))
        (found,) = net.run(None, {"item": np.array([row + [len(ids)] * (places - len(row)) for row in latest])})
        asked = [mt.query(model, history=[ids[n] for n in row], exclude_seen=False) for row in rows]
        expected = np.concatenate([model.vectors(each) for each in asked])  # type: ignore[attr-defined]
        assert (expected.std(axis=1) > 0.01).all()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        score = np.concatenate([model.score(each) for each in asked])
        np.testing.assert_allclose(found @ V.T, score[:, np.isfinite(score[0])], rtol=1e-4, atol=1e-4)
    assert not net.run(None, {"item": np.full((2, 3), len(ids))})[0].any()


def test_what_cannot_be_written_as_onnx_is_refused_before_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, net = tmp_path / "items.parquet", tmp_path / "net.onnx"
    cases: list[tuple[str, dict[str, Any], Path, str]] = [
        ("gru4rec", {}, net, r"GRU4Rec .* is not written as ONNX"),
        ("svd", {}, net, r"SVD .* is not written as ONNX"),
        ("sasrec", {"relative": True}, net, "with relative is not"),
        ("sasrec", {"time_gaps": True}, net, "with time_gaps is not"),
        ("sasrec", {}, tmp_path / "net.pt", "written as ONNX"),
    ]
    for name, hyper, file, what in cases:
        with pytest.raises(MatineeError, match=what):
            mt.write_vectors(registry.create(name, hyper), items, onnx=file)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MatineeError, match="an ONNX file needs onnx") as error:
        mt.write_vectors(fitted("sasrec"), items, onnx=net)
    assert error.value.hint == "pip install 'matinee[onnx]'"
    assert not list(tmp_path.iterdir())
