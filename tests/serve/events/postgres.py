"""A real PostgreSQL for tests, of the system's own packages: made in a folder of its own, and started and stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

SETTINGS = ["fsync=off", "max_connections=50"]  # a killed server loses nothing by that, only a machine without power


class Cluster:
    """One server on a free port of the loopback. Raises Missing where there is none, or it cannot be started."""

    class Missing(Exception):  # noqa: N818
        """Why there is no PostgreSQL."""

    def __init__(self) -> None:
        self.bin = _binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="matinee-postgres-"))
        self.port = _free_port()
        self.databases = 0
        try:
            self.folder.chmod(0o755)
            if os.geteuid() == 0:
                shutil.chown(self.folder, "postgres")
            options = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]
            self.run("initdb", "-D", str(self.folder / "data"), *options)
            self.start()
        except (OSError, LookupError, subprocess.SubprocessError) as error:
            told = getattr(error, "stderr", None) or error
            shutil.rmtree(self.folder, ignore_errors=True)
            raise self.Missing(f"PostgreSQL cannot be started: {told}") from None

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs. Its server must not be root."""
        as_other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_other, str(self.bin / program), *arguments]
        with (self.folder / "out.txt").open("w") as out:  # a pipe would stay open as long as the server runs
            subprocess.run(command, check=True, stdout=out, stderr=out, cwd=self.folder, timeout=60)

    def start(self) -> None:
        here = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", *SETTINGS]
        words = " ".join(f"-c {setting}" for setting in here)
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-o", words, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "immediate") -> None:
        """immediate: as if it had been killed."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")

    def new_database(self) -> str:
        """The URL of an empty database. Asked for in SQL: createdb would be two processes more to start."""
        import psycopg

        self.databases += 1
        name = f"test{self.databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _binaries() -> Path:
    """The folder of initdb and pg_ctl: of the newest version of Debian's packages, else of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    raise Cluster.Missing("there is no PostgreSQL here: install the package postgresql")


def _free_port() -> int:
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        return int(here.getsockname()[1])
