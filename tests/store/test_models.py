"""Models on disk: whole or not at all, checked before use, executing nothing."""

from __future__ import annotations

import ast
import json
import os
import pickle
import random
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee
from contract.logs import groups, one_query
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.files import sha256
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.item_knn import ItemKNN
from matinee.models.popularity import Popularity
from matinee.models.user_knn import UserKNN
from matinee.rank import recommend
from matinee.store import folders, load_model, read_manifest, save_model
from matinee.store import logs as store_logs
from store.sealing import LOG, OWN, Arrays, contents, each, edit_arrays, edit_manifest, put, set_, sign

FILES = sorted([*OWN, *LOG])


def data_with_tables() -> Any:
    data = groups()
    titles = [f"Film {i}" for i in range(data.n_items)]
    genres = [["drama", "war"][: i % 3] for i in range(data.n_items)]
    return replace(
        data,
        item_features=pl.DataFrame(
            {"title": titles, "genres": genres}, schema_overrides={"genres": pl.List(pl.String)}
        ),
        user_features=pl.DataFrame({"age": [None, *range(1, data.n_users)]}),
        name="small film log",
    )


@pytest.fixture(scope="module")
def ease() -> Model:
    return EASE(l2=20.0, half_life=7.0).fit(data_with_tables())


@pytest.fixture
def saved(ease: Model, tmp_path: Path) -> Path:
    return save_model(ease, tmp_path / "model")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


class TestRoundTrip:
    def test_a_loaded_model_is_the_saved_one(self, ease: Model, saved: Path) -> None:
        assert list(contents(saved)) == FILES
        loaded = load_model(saved)
        queries = ease.data.queries()
        assert loaded == ease
        assert loaded.score(queries).tobytes() == ease.score(queries).tobytes()
        assert loaded.data.name == "small film log"
        assert loaded.data.item_features is not None
        assert ease.data.item_features is not None
        assert loaded.data.item_features.equals(ease.data.item_features)
        assert loaded.data.user_features is not None
        assert ease.data.user_features is not None
        assert loaded.data.user_features.equals(ease.data.user_features)
        assert loaded.data.fingerprint == ease.data.fingerprint
        assert loaded.data.side_fingerprint == ease.data.side_fingerprint

    def test_saving_again_gives_the_same_folder(self, saved: Path, tmp_path: Path) -> None:
        again = save_model(load_model(saved), tmp_path / "again")
        assert contents(again) == contents(saved)

    def test_the_manifest_says_what_is_here(self, ease: Model, saved: Path) -> None:
        manifest = read_manifest(saved)
        assert manifest.model == "ease"
        assert manifest.hyper_parameters == ease.model_dump(mode="json")
        assert (manifest.hyper_parameters["l2"], manifest.hyper_parameters["half_life"]) == (20.0, 7.0)
        assert manifest.matinee == matinee.__version__
        assert manifest.data_fingerprint == ease.data.fingerprint
        assert manifest.n_events == len(ease.data)
        assert manifest.sha256 == {"weights.safetensors": sha256(saved / "weights.safetensors")}
        assert manifest.log == json.loads((saved / "log" / "manifest.json").read_text())["digest"]

    def test_errors_name_users_and_items_as_before(self, saved: Path) -> None:
        loaded = load_model(saved)
        with pytest.raises(MatineeError, match="unknown user 'nobody'"):
            loaded.users.code("nobody")
        with pytest.raises(MatineeError, match="unknown item -1"):
            loaded.items.code(-1)

    @pytest.mark.parametrize(
        "model", [Popularity(), ItemKNN(k=5), UserKNN(k=5), EASE()], ids=lambda m: type(m).__name__
    )
    def test_without_histories_nobody_can_be_looked_up(self, model: Model, tmp_path: Path) -> None:
        data = groups()
        loaded = load_model(save_model(model.fit(data), tmp_path / "m", histories=False))
        assert list(contents(tmp_path / "m")) == sorted(set(FILES) - {"log/events.safetensors"})
        assert len(loaded.data) == 0
        assert loaded.users == data.users
        history = data.histories()[0].tolist()
        for query in (one_query(history), one_query([])):
            assert loaded.score(query).tobytes() == model.score(query).tobytes()
        forgotten = recommend(loaded, loaded.data.queries(["u000"]), 5)
        assert forgotten.item.tolist() == recommend(loaded, one_query([]), 5).item.tolist()

    def test_other_people_may_read_it(self, saved: Path) -> None:
        assert all((saved / name).stat().st_mode & 0o044 == 0o044 for name in FILES)

    def test_an_extra_file_is_not_looked_at(self, ease: Model, saved: Path) -> None:
        (saved / "weights.pkl").write_bytes(pickle.dumps(Bomb()))
        assert load_model(saved) == ease


class TestWhereToSave:
    def test_a_model_is_replaced(self, saved: Path) -> None:
        save_model(Popularity().fit(groups()), saved)
        assert load_model(saved) == Popularity()
        assert names(saved.parent) == ["model"]

    def test_an_empty_folder_is_filled(self, ease: Model, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert load_model(save_model(ease, tmp_path / "empty")) == ease

    def test_parents_are_made(self, ease: Model, tmp_path: Path) -> None:
        assert load_model(save_model(ease, tmp_path / "a" / "b" / "c")) == ease

    @pytest.mark.parametrize("beside", [False, True])
    def test_other_files_are_never_removed(self, ease: Model, saved: Path, tmp_path: Path, beside: bool) -> None:
        folder = saved if beside else tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        (folder / "notes.txt").write_text("mine")
        with pytest.raises(MatineeError, match=r"notes\.txt"):
            save_model(ease, folder)
        assert (folder / "notes.txt").read_text() == "mine"

    def test_a_file_is_not_replaced_by_a_folder(self, ease: Model, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("mine")
        with pytest.raises(MatineeError, match="is a file"):
            save_model(ease, tmp_path / "taken")
        assert (tmp_path / "taken").read_text() == "mine"

    def test_models_outside_the_registry_are_refused(self, tmp_path: Path) -> None:
        class Mine(Popularity):
            pass

        with pytest.raises(MatineeError, match="not in the registry"):
            save_model(Mine().fit(groups()), tmp_path / "mine")
        assert names(tmp_path) == []


class TestDamage:
    @pytest.mark.parametrize("name", [n for n in FILES if n != "manifest.json"])
    @pytest.mark.parametrize("at", [0, 0.3, 0.5, 0.9, -1])
    def test_a_changed_byte_is_noticed(self, saved: Path, name: str, at: float) -> None:
        content = bytearray((saved / name).read_bytes())
        content[int(at * len(content)) if at >= 0 else -1] ^= 1
        (saved / name).write_bytes(content)
        with pytest.raises(MatineeError, match=name):
            load_model(saved)

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("kept", [0, 0.5, 0.99])
    def test_a_cut_off_file_is_noticed(self, saved: Path, name: str, kept: float) -> None:
        content = (saved / name).read_bytes()
        (saved / name).write_bytes(content[: int(kept * len(content))])
        with pytest.raises(MatineeError, match=name):
            load_model(saved)

    @pytest.mark.parametrize("name", FILES)
    def test_a_missing_file_is_noticed(self, saved: Path, name: str) -> None:
        (saved / name).unlink()
        with pytest.raises(MatineeError, match="no model is here" if name == "manifest.json" else name):
            load_model(saved)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MatineeError, match="nothing: there is no such folder"):
            load_model(tmp_path / "nothing")


class Bomb:
    """Unpickling this makes a file."""

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return os.mkdir, ("/tmp/matinee-test-executed",)


class TestHostileManifest:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (set_("model", to="os:system"), "unknown model 'os:system'"),
            (set_("model", to="item_knn"), "no hyper-parameter 'l2'"),
            (set_("model", to="popularity"), "l2"),
            (set_("model", to=7), "model: Input should be a valid string"),
            (set_("schema_version", to=99), "format 99"),
            (set_("schema_version", to="2"), "format 2"),
            (set_("extra", to=1), "extra: Extra inputs"),
            (lambda m: m.pop("sha256"), "sha256: Field required"),
            (set_("hyper_parameters", "l2", to=-5), "l2"),
            (set_("hyper_parameters", "l2", to="__import__('os')"), "l2"),
            (set_("hyper_parameters", "nope", to=1), "nope"),
            (set_("sha256", "../../etc/passwd", to="0" * 64), "does not list the files"),
            (set_("sha256", "/etc/passwd", to="0" * 64), "does not list the files"),
            (set_("sha256", "more.bin", to="0" * 64), "does not list the files"),
            (lambda m: m["sha256"].pop("weights.safetensors"), "does not list the files"),
            (set_("learned", "W", to=5), "W has shape None"),
            (set_("learned", "W", to=None), "W has shape None"),
            (set_("learned", "W", to="csr"), "does not hold a EASE"),
            (set_("learned", "Q", to="array"), "does not hold a EASE"),
            (set_("learned", "__class__", to="x"), "does not hold a EASE"),
            (lambda m: m["learned"].pop("W"), "does not hold a EASE"),
        ],
    )
    def test_is_refused(self, saved: Path, change: Callable[[dict[str, Any]], object], words: str) -> None:
        edit_manifest(saved, change)
        with pytest.raises(MatineeError, match=words):
            load_model(saved)

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000])
    def test_what_is_no_manifest_is_refused(self, saved: Path, text: bytes) -> None:
        (saved / "manifest.json").write_bytes(text)
        with pytest.raises(MatineeError, match="no manifest of Matinee"):
            load_model(saved)


class TestHostileArrays:
    """The SHA-256 agree: what lies inside is wrong."""

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (each("W", lambda W: W[:-1]), "W has shape"),
            (each("W", lambda W: W[:, :-1]), "W has shape"),
            (each("W", lambda W: W.ravel()), "W has shape"),
            (each("W", lambda W: W[..., None]), "W has shape"),
            (each("W", lambda W: W.astype(np.float16)), "W holds float16"),
            (each("W", lambda W: W.astype(np.uint8)), "W holds uint8"),
            (each("W", lambda W: W.astype(np.complex64)), "W holds complex64|cannot be read"),
            (put("W", (3, 4), np.nan), "W holds numbers that are not finite"),
            (put("W", (3, 4), np.inf), "W holds numbers that are not finite"),
            (each("popularity", lambda p: p[:-1]), "popularity has shape"),
            (put("popularity", 0, np.nan), "popularity holds numbers"),
            (lambda arrays: arrays.pop("popularity"), "popularity has shape"),
            (lambda arrays: arrays.pop("W"), "does not hold a EASE"),
        ],
    )
    def test_dense_weights(self, saved: Path, change: Callable[[Arrays], object], words: str) -> None:
        edit_arrays(saved, "weights.safetensors", change)
        with pytest.raises(MatineeError, match=words):
            load_model(saved)

    @pytest.mark.parametrize(
        "change",
        [
            put("W.indices", 0, 71),
            put("W.indices", 0, 2**31 - 1),
            put("W.indices", 0, -1),
            put("W.indptr", 3, 10**6),
            put("W.indptr", -1, 0),
            put("W.indptr", 0, 1),
            put("W.indptr", 2, -4),
            each("W.indptr", lambda p: p[:-1]),
            each("W.indices", lambda i: i[:-1]),
            each("W.indices", lambda i: i.astype(np.float32)),
            each("W.data", lambda d: d[:-1]),
            each("W.data", lambda d: d[None]),
            each("W.data", lambda d: d.astype(np.float16)),
            put("W.data", 0, np.nan),
            put("W.shape", 0, 70),
            put("W.shape", 1, 10**12),
            put("W.shape", 0, -1),
            each("W.shape", lambda s: s[:1]),
            each("W.shape", lambda s: s.astype(np.float64)),
            lambda arrays: arrays.pop("W.indptr"),
        ],
    )
    def test_sparse_weights(self, tmp_path: Path, change: Callable[[Arrays], object]) -> None:
        folder = save_model(ItemKNN(k=5).fit(groups()), tmp_path / "knn")
        edit_arrays(folder, "weights.safetensors", change)
        with pytest.raises(MatineeError, match=r"weights\.safetensors"):
            load_model(folder)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (put("user", 0, 91), "is not a code of the 91 users"),
            (put("user", 0, -1), "is not a code of the 91 users"),
            (put("item", 5, 71), "is not a code of the 71 items"),
            (put("value", 7, np.nan), "row 8: value is not a finite number"),
            (put("timestamp", 7, -1), "row 8: timestamp is negative"),
            (each("item", lambda a: a[:-1]), "item has 772 rows, not 773"),
            (each("item", lambda a: a.astype(np.int64)), "does not hold the events of a log"),
            (each("user", lambda a: a[None]), "user has shape"),
            (lambda arrays: arrays.pop("user"), "does not hold the events of a log"),
            (lambda arrays: arrays.__setitem__("more", arrays["user"]), "does not hold the events of a log"),
        ],
    )
    def test_histories(self, saved: Path, change: Callable[[Arrays], object], words: str) -> None:
        edit_arrays(saved, "log/events.safetensors", change)
        with pytest.raises(MatineeError, match=words):
            load_model(saved)

    @pytest.mark.parametrize("name", [n for n in FILES if not n.endswith("manifest.json")])
    def test_a_pickle_is_not_executed(self, saved: Path, name: str) -> None:
        (saved / name).write_bytes(pickle.dumps(Bomb()))
        sign(saved)
        with pytest.raises(MatineeError, match=name):
            load_model(saved)
        assert not Path("/tmp/matinee-test-executed").exists()

    @pytest.mark.parametrize(
        "header",
        [
            {"W": {"dtype": "F32", "shape": [72, 72], "data_offsets": [0, 2**40]}},
            {"W": {"dtype": "F32", "shape": [-1, 72], "data_offsets": [0, 8]}},
            {"W": {"dtype": "X9", "shape": [1], "data_offsets": [0, 8]}},
            {"W": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}},
            {"W": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}},
        ],
    )
    def test_headers_that_lie(self, saved: Path, header: dict[str, Any]) -> None:
        text = json.dumps(header).encode()
        (saved / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)
        sign(saved)
        with pytest.raises(MatineeError, match=r"weights\.safetensors"):
            load_model(saved)

    @pytest.mark.parametrize(
        "table",
        [
            pl.DataFrame({"id": [1, 2]}),
            pl.DataFrame({"item_id": [2, 1]}),
            pl.DataFrame({"item_id": [1, 1]}),
            pl.DataFrame({"item_id": [1, None]}),
            pl.DataFrame({"item_id": [1.5, 2.5]}),
            pl.DataFrame({"item_id": [[1], [2]]}),
            pl.DataFrame({"item_id": []}),
        ],
    )
    def test_tables(self, saved: Path, table: pl.DataFrame) -> None:
        table.write_parquet(saved / "log" / "items.parquet")
        sign(saved)
        with pytest.raises(MatineeError):
            load_model(saved)

    def test_a_table_of_another_length(self, saved: Path) -> None:
        table = pl.read_parquet(saved / "log" / "items.parquet")
        table.vstack(table.tail(1).with_columns(item_id=pl.lit(10**6, pl.Int64))).write_parquet(
            saved / "log" / "items.parquet"
        )
        sign(saved)
        with pytest.raises(MatineeError, match="popularity has shape"):
            load_model(saved)


def test_no_source_file_can_execute_what_it_reads() -> None:
    """Neither pickle and its relatives (np.load only if told to), nor torch.load, eval or exec, in any file."""
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    called = {"eval", "exec", "torch.load", "yaml.load", "os.system"}
    sources = sorted(Path(matinee.__file__).parent.rglob("*.py"))
    assert len(sources) > 20
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            found = set()
            if isinstance(node, ast.Import):
                found = {alias.name.partition(".")[0] for alias in node.names} & modules
            elif isinstance(node, ast.ImportFrom):
                found = {(node.module or "").partition(".")[0]} & modules
            elif isinstance(node, ast.Call):
                words = {ast.unparse(keyword) for keyword in node.keywords if keyword.arg == "allow_pickle"}
                found = ({ast.unparse(node.func)} & called) | words - {"allow_pickle=False"}
            assert not found, f"{source} uses {found}"


class TestFullDisk:
    def test_a_full_disk_keeps_the_old_model(self, ease: Model, saved: Path) -> None:
        """Every file that is written, in turn, is the one that does not fit any more."""
        sizes = sorted({(saved / name).stat().st_size for name in FILES})
        large = EASE().fit(replace(groups(), items=IdMap([f"item-{i:06d}" for i in range(72)])))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for size in (1, *(size - 1 for size in sizes)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            try:
                with pytest.raises(MatineeError, match="disk is full"):
                    save_model(large, saved)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert names(saved.parent) == ["model"]
            assert load_model(saved) == ease

    def test_nothing_is_left_of_a_first_save(self, ease: Model, tmp_path: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
        try:
            with pytest.raises(MatineeError, match="disk is full"):
                save_model(ease, tmp_path / "model")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert names(tmp_path) == []

    def test_a_failure_at_each_file_keeps_the_old_model(
        self, ease: Model, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module, function in ((folders, "write_arrays"), (store_logs, "_table"), (folders, "sha256")):
            with monkeypatch.context() as patch:
                patch.setattr(module, function, fails)
                with pytest.raises(RuntimeError, match="by the test"):
                    save_model(Popularity().fit(groups()), saved)
            assert names(saved.parent) == ["model"]
            assert load_model(saved) == ease


def fails(*_: Any) -> None:
    raise RuntimeError("by the test")


SAVER = """
import sys
from contract.logs import groups
from matinee.models.popularity import Popularity
from matinee.store import save_model

old, new = Popularity().fit(groups()), Popularity(half_life_days=3.0).fit(groups())
save_model(old, sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while True:
    save_model(new, sys.argv[1])
    save_model(old, sys.argv[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_9_at_any_moment_leaves_the_old_model_or_the_new(tmp_path: Path) -> None:
    seed = 20261122
    moments = [random.Random(seed).uniform(0.0, 0.12) for _ in range(10)]
    print(f"seed {seed}: kills after {[round(m, 4) for m in moments]} s")
    paths = [Path(__file__).parents[1], Path(matinee.__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    left_over, found = 0, set()
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number) / "model"
        with subprocess.Popen(
            [sys.executable, "-c", SAVER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as saver:
            assert saver.stdin is not None
            assert saver.stdout is not None
            assert saver.stdout.readline() == "ready\n"
            saver.stdin.write("\n")
            saver.stdin.flush()
            time.sleep(moment)
            saver.kill()
            assert saver.wait() == -signal.SIGKILL
        model = load_model(folder)
        found.add(model.model_dump_json())
        assert (recommend(model, model.data.queries(), 5).item[:, 0] >= 0).all()
        left_over += len(names(folder.parent)) > 1
        save_model(model, folder)
        assert names(folder.parent) == ["model"], "the next save clears away what the killed one left"
    assert left_over > 0, "no kill fell into a save: the moments test nothing"
    assert found <= {Popularity().model_dump_json(), Popularity(half_life_days=3.0).model_dump_json()}


def test_a_model_that_the_disk_cannot_hold_is_refused_before_it_is_written(
    ease: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(ease, tmp_path / "there")
    old = contents(tmp_path)
    data = ease.data
    of_model = 4 * (data.n_items**2 + data.n_items)  # W and the counts
    of_log = len(data) * (4 + 4 + 4 + 8)
    for log, needed in ((None, of_model + of_log), (tmp_path / "logs", of_model)):
        monkeypatch.setattr("matinee.store.models.free_bytes", lambda path, free=needed - 1: free)
        with pytest.raises(MatineeError, match=r"the model takes \d+ kB on disk, and \d+ kB are free"):
            save_model(ease, tmp_path / "there", log=log)
        assert contents(tmp_path) == old
        monkeypatch.setattr("matinee.store.models.free_bytes", lambda path, free=needed: free)
        save_model(ease, tmp_path / "there", log=log)
        old = contents(tmp_path)
