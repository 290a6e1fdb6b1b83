"""A disk that is full for real: events are refused, recommendations go on, and nothing acknowledged is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.serve.events import EventStore
from serve.world import started, until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, in memory; skipped, with the reason, where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here")
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "matinee", str(place)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system may be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until there is no more room."""

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(1 << 10))

    with pytest.raises(OSError, match="No space left"):
        write()


def test_events_wait_until_there_is_room_again(disk: Path, folders: dict[str, Path]) -> None:
    acknowledged: list[str] = []
    statuses: list[int] = []
    with started(mt.create_app(folders["ease"], events=str(disk / "events.db"))) as running:

        def send(count: int) -> int:
            """Events of new keys, one a request; one that is refused is sent again by the next call. Returns how many
            have been acknowledged."""
            for _ in range(count):
                key = f"key-{len(acknowledged)}"
                event: dict[str, Any] = {"user": 104, "item": 7, "key": key, "time": 1_200_000_000}
                statuses.append(running.client.post("/v1/events", json={"events": [event]}).status_code)
                if statuses[-1] == 200:
                    acknowledged.append(key)
            return len(acknowledged)

        send(3)
        known = running.ask(user=104)["history_items"]
        fill(disk / "filler")
        until(lambda: send(5) and 503 in statuses)  # what is written first may find room in SQLite's log
        assert set(statuses) == {200, 503}
        refused = running.client.post("/v1/events", json={"events": [{"user": 104, "item": 7, "key": "x"}]})
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        for user in range(100, 140):
            assert len(running.ask(user=user)["items"]) == 10
        assert "matinee_store_failures_total" in running.client.get("/metrics").text
        (disk / "filler").unlink()
        before = len(acknowledged)
        until(lambda: send(1) >= before + 5)
        assert running.ask(user=104)["history_items"] == known + len(acknowledged) - 3
    with EventStore.open(str(disk / "events.db")) as store:
        kept = [event.key for event in store.history("104")]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept) <= {*acknowledged, "x"}
