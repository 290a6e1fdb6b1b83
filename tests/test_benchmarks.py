"""The benchmarks run, on made-up data, in every library that benchmarks/setup.sh has installed."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee import split

ROOT = Path(__file__).parents[1]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """module(name): one of benchmarks/, which are scripts and no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def command(venv: str, script: str, *words: str) -> list[str]:
    python = ROOT / venv / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {venv}: made by benchmarks/setup.sh")
    return [str(python), str(ROOT / "benchmarks" / script), "--toy", *words]


def rows(venv: str, script: str, out: Path, *words: str) -> dict[str, Any]:
    """Work's title -> its row, from the JSON line a run leaves."""
    subprocess.run([*command(venv, script, *words), "--out", str(out)], check=True, capture_output=True, timeout=600)
    return {row["work"]: row for row in json.loads(out.read_text(encoding="utf-8"))["rows"]}


@pytest.mark.slow
def test_ials_is_raced_in_four_libraries_and_two_with_one_loss_agree(tmp_path: Path) -> None:
    row = rows(".bench-venv", "static.py", tmp_path / "out", "--work", "ials_fit", "--repeats", "1")["iALS fit"]
    assert set(row["seconds"]) == {"matinee", "rectools", "irspack", "implicit"}
    ndcg = {name: facts["ndcg@10"] for name, facts in row["facts"].items()}
    assert ndcg["matinee"] == pytest.approx(ndcg["irspack"], abs=0.03)
    assert ndcg["rectools"] == pytest.approx(ndcg["implicit"], abs=0.01)


@pytest.mark.slow
def test_nets_learn_in_both_libraries(tmp_path: Path) -> None:
    words = ("--work", "multi_vae,rec_vae", "--epochs", "3", "--threads", "1")
    found = rows(".bench-torch", "nets.py", tmp_path / "out", *words)
    assert len(found) == 2
    for row in found.values():
        assert set(row["seconds"]) == {"matinee", "recbole"}
        for library, seconds in row["seconds"].items():
            assert len(seconds) == 2  # the first warms up
            losses = row["facts"][library]["losses"]
            assert losses[2] < losses[1] < losses[0]


@pytest.mark.slow
def test_sequences_are_counted_in_events_that_both_libraries_learn_from(tmp_path: Path, module: Any) -> None:
    words = ("--work", "sasrec_100,bert4rec", "--epochs", "2", "--threads", "1")
    found = rows(".bench-torch", "sequences.py", tmp_path / "out", *words)
    lengths = split.leave_one_out(module("splits").toy()).train.histories().lengths
    guessed = int(np.maximum(np.minimum(lengths, 101) - 1, 0).sum())
    seen = int(np.minimum(lengths[lengths > 1], 200).sum())
    for title, events in (("SASRec, length 100, ML-1M", guessed), ("BERT4Rec, length 200, ML-100K", seen)):
        facts = found[title]["facts"]
        assert {name: facts[name]["events"] for name in facts} == {"matinee": events, "rectools": events}


@pytest.mark.slow
def test_a_killed_training_of_rectools_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    words = ("--length", "20", "--threads", "1", "--max-epochs", "4")

    def start(name: str) -> list[str]:
        where = ("--work-dir", str(tmp_path / name), "--out", str(tmp_path / f"{name}.jsonl"))
        return command(".bench-torch", "rectools_sasrec.py", *words, *where)

    subprocess.run(start("whole"), check=True, capture_output=True, timeout=600)
    with subprocess.Popen(start("killed"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()  # the first epoch is kept
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    assert len((tmp_path / "killed.jsonl").read_text().splitlines()) < 6
    subprocess.run(start("killed"), check=True, capture_output=True, timeout=600)
    whole, resumed = (list(numbers(tmp_path / f"{name}.jsonl")) for name in ("whole", "killed"))
    assert resumed == whole
    assert whole[-1]["lists_equal_to_its_own"] == 1.0
    assert [line["epoch"] for line in whole[:-1]] == [0, 1, 2, 3]


def numbers(path: Path) -> Iterator[dict[str, float]]:
    """The lines after the head, without times."""
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        yield {name: value for name, value in json.loads(line).items() if "seconds" not in name}


def test_recbole_is_given_histories_in_their_order(tmp_path: Path, module: Any) -> None:
    nets, data = module("recbole_nets"), module("splits").toy()
    (tmp_path / "log").mkdir()
    arguments = nets._one_log(split.leave_one_out(data), tmp_path)
    assert arguments["eval_args"]["split"] == {"LS": "valid_and_test"}
    user, item, row = np.loadtxt(tmp_path / "log" / "log.inter", skiprows=1, dtype=np.int64).T
    assert (np.diff(row) > 0).all()
    for code in range(data.n_users):
        np.testing.assert_array_equal(item[user == code], data.histories()[code])


def test_the_log_to_read_has_its_size_and_is_the_same_each_time(module: Any, tmp_path: Path) -> None:
    reading = module("reading")
    for name in ("a.csv", "b.csv"):
        reading.write_log(tmp_path / name, 20_000)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    data = mt.read(tmp_path / "a.csv")
    users, items = (reading.USERS * 20_000 // reading.ROWS, reading.ITEMS * 20_000 // reading.ROWS)
    assert (len(data), data.n_users) == (20_000, users)
    assert 0.8 * items < data.n_items <= items
    assert data.user_counts().min() >= 20
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text("utf-8").splitlines()[1:]]
    pairs = [(int(row[0]), int(row[1])) for row in rows]
    assert pairs == sorted(pairs)
    assert {float(row[2]) for row in rows} == {half / 2 for half in range(1, 11)}


def test_versions_that_read_different_events_end_the_race(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = module("reading")
    found = {"events": 3, "users": 2, "items": 2, "seconds": 2.0, "processor_seconds": 1.0, "peak_mb": 100.0}

    def child(path: Path, src: Path, *, fingerprint: bool) -> dict[str, Any]:
        return found | {"fingerprint": src.name if fingerprint else "", "seconds": float(len(src.name))}

    monkeypatch.setattr(reading, "child", child)
    (row,) = reading.race("log", Path("log.csv"), {"this": Path("src")}, 2)
    measured = {"seconds": [3.0, 3.0], "processor_seconds": [1.0, 1.0], "peak_mb": [100.0, 100.0]}
    assert row == {"log": "log", "version": "this", **found, **measured}
    with pytest.raises(SystemExit, match="log: the versions read different events"):
        reading.race("log", Path("log.csv"), {"this": Path("src"), "against": Path("other")}, 2)


def test_indices_of_vectors_are_measured_against_an_exact_search(module: Any) -> None:
    pytest.importorskip("faiss")
    found = dict(module("vector_index").measured(2_000, 300)[1])
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert found["HNSW, M = 32, efSearch = 256"] > 0.95
    probes = [value for name, value in found.items() if name.startswith("IVF")]
    assert probes == sorted(probes)
    assert probes[0] < probes[-1]


def test_recall_of_an_index_is_the_share_of_the_exact_items(module: Any) -> None:
    pytest.importorskip("faiss")
    exact = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert module("vector_index").recall(np.array([[4, 9, 1, 0], [5, 6, 7, 9]]), exact) == pytest.approx(5 / 8)
