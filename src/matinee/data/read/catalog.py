"""Named public data sets: where they come from, what they must hold, under which licence."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from matinee.data.dataset import Dataset
from matinee.data.read.download import Limits, NoConnectionError, check_md5, fetch, fetch_text, unzip, wheel_members
from matinee.errors import MatineeError, suggestion
from matinee.files import StrPath, atomic_folder, settle

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. ACM TiiS 5, 4: 19."
)

_CSV = ("ratings.csv", "movies.csv", "tags.csv", "links.csv", "README.txt")
_TABS = ("u.data", "u.item", "u.user", "u.genre", "README")
_DAT = ("ratings.dat", "movies.dat")
_DAT_1M = (*_DAT, "README", "users.dat")
_DAT_10M = (*_DAT, "tags.dat", "README.html")
_STRICT = (
    "Research use only: no redistribution without separate permission, no commercial use without permission of "
    "GroupLens; acknowledge it in publications."
)
_SHARED = (
    "No commercial use without permission of GroupLens; may be redistributed under the same terms; acknowledge it in "
    "publications."
)
_UNSTATED = "None stated by its publisher: use it for research, and do not pass it on."


@dataclass(frozen=True)
class Wheel:
    """A package that contains a set's files: a second source where only pip has a connection. Never installed."""

    requirement: str
    sha256: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One named set. movies: the rows of its item table, where not every film has a rating.

    megabytes: the most its files may unpack to. folder: the archive's own folder, None: the name. fixed: False where
    the publisher changes the content now and then, and so promises neither counts nor a checksum. words: what its
    events, users and items are. bring: of a set without an address, what its files hold; the user puts them in place.
    """

    name: str
    title: str
    events: int
    users: int
    movies: int
    megabytes: int
    files: tuple[str, ...] = _CSV
    folder: str | None = None
    licence: str = _SHARED
    fixed: bool = True
    wheel: Wheel | None = None
    words: tuple[str, str, str] = ("ratings", "users", "films")
    bring: str | None = None
    citation: str = CITATION

    def url(self, base_url: str = GROUPLENS) -> str | None:
        """None for a set without an address."""
        return None if self.bring else f"{base_url.rstrip('/')}/{self.name}.zip"

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.events, self.users, self.movies

    def counted(self, *counts: int) -> str:
        """ "100,000 ratings, 943 users and 1,682 films", in the set's own words."""
        a, b, c = (f"{n:,} {word}" for n, word in zip(counts, self.words, strict=True))
        return f"{a}, {b} and {c}"

    def describe(self) -> str:
        """Title, size, source, licence and citation, a line each."""
        source = self.url() or f"your own files: {self.bring}"
        size = f"{self.title}: {self.counted(*self.counts)}"
        return f"{size}\nsource: {source}\nlicence: {self.licence}\ncite: {self.citation}"


_RECBOLE = Wheel(
    "recbole==1.2.1",
    "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    tuple(f"recbole/dataset_example/ml-100k/ml-100k.{kind}" for kind in ("inter", "item", "user")),
)

_ENTRIES = (
    Entry("ml-100k", "MovieLens 100K (1998)", 100_000, 943, 1_682, 40, _TABS, licence=_STRICT, wheel=_RECBOLE),
    Entry("ml-latest-small", "MovieLens latest, small (2018)", 100_836, 610, 9_742, 40, fixed=False),
    Entry("ml-1m", "MovieLens 1M (2003)", 1_000_209, 6_040, 3_883, 100, _DAT_1M, licence=_STRICT),
    Entry("ml-10m", "MovieLens 10M (2009)", 10_000_054, 69_878, 10_681, 1_000, _DAT_10M, "ml-10M100K", _STRICT),
    Entry("ml-20m", "MovieLens 20M (2015)", 20_000_263, 138_493, 27_278, 2_000),
    Entry("ml-25m", "MovieLens 25M (2019)", 25_000_095, 162_541, 62_423, 2_500),
    Entry("ml-32m", "MovieLens 32M (2023)", 32_000_204, 200_948, 87_585, 3_000),
    Entry(
        *("diginetica", "Diginetica, click sessions (2016)", 906_140, 186_670, 43_097, 40),
        ("train_sessions.txt", "test_prefix_target.txt"),
        licence=_UNSTATED,
        words=("clicks", "sessions", "items"),
        bring="train_sessions.txt has one session a line, item ids with spaces between them, in order of time; "
        "test_prefix_target.txt items, a tab, and the item clicked next",
        citation="DIGINETICA, CIKM Cup 2016, Track 2: Personalized E-Commerce Search Challenge.",
    ),
    Entry(
        *("beauty", "Amazon Beauty, 5-core (2014)", 198_502, 22_363, 12_101, 20),
        ("Beauty.txt", "Beauty_item2attributes.json"),
        licence=_UNSTATED,
        words=("reviews", "users", "items"),
        bring="Beauty.txt has one user a line, the user's id and then item ids with spaces between them, in order of "
        'time; Beauty_item2attributes.json is {"item id": [attribute, ...], ...}',
        citation="Julian McAuley, Christopher Targett, Qinfeng Shi and Anton van den Hengel. 2015. Image-Based "
        "Recommendations on Styles and Substitutes. SIGIR 2015.",
    ),
)
ENTRIES = {entry.name: entry for entry in _ENTRIES}


def entry(name: str) -> Entry:
    """The entry of this name. Raises MatineeError naming near misses."""
    if name in ENTRIES:
        return ENTRIES[name]
    hint = f"{suggestion(name.lower().replace('_', '-'), ENTRIES)} (or pass a file or folder to read())"
    raise MatineeError(f"there is no data set named '{name}'", hint=hint)


def cache_folder() -> Path:
    """The user's cache: $XDG_CACHE_HOME/matinee, or what the platform uses."""
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "matinee"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "matinee"
    if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "matinee" / "Cache"
    return Path.home() / ".cache" / "matinee"


def load(
    name: str = "ml-100k",
    *,
    data_dir: StrPath | None = None,
    cache_dir: StrPath | None = None,
    progress: bool = True,
    base_url: str = GROUPLENS,
) -> Dataset:
    """A named data set: from DATA_DIR/NAME/ in the official layout, else from the cache, else downloaded into it.

    Everything is checked against the known counts, downloads also against the publisher's checksum. A damaged copy in
    the cache is fetched again; one in data_dir belongs to the user, and is refused. The licence is printed after a
    download. diginetica and beauty have no address: put their files into one of the two places.
    Raises MatineeError for an unknown name, and says where to put the files when no source can be reached.

    Example: `data = mt.load("ml-100k")`
    """
    known = entry(name)
    if data_dir is not None and (folder := Path(data_dir) / name).is_dir():
        return _checked(known, folder)
    cache = Path(cache_dir) if cache_dir is not None else cache_folder()
    target = cache / name
    settle(target)
    if target.is_dir():
        try:
            return _checked(known, target)
        except MatineeError as error:
            if known.bring:
                raise
            print(f"matinee: the cached copy is damaged and is fetched again ({error.what})", file=sys.stderr)
    if known.bring:
        raise MatineeError(f"{name} is not here, and there is no address to fetch it from", hint=_place(known, target))
    return _acquired(known, target, base_url, progress=progress)


def _checked(known: Entry, folder: Path) -> Dataset:
    """The set in this folder. Raises MatineeError when its counts are not the known ones."""
    from matinee.data.read.log import read

    missing = [name for name in known.files if known.bring and not (folder / name).is_file()]
    if missing:
        raise MatineeError(f"lacks {' and '.join(missing)}", where=str(folder), hint=f"put it there: {known.bring}")
    data = read(folder, name=known.name)
    found = len(data), data.n_users, data.n_items
    if known.fixed and found != known.counts:
        what = f"holds {known.counted(*found)} where {known.name} has {known.counted(*known.counts)}"
        hint = "fetch it again; to use it as it is, read the folder itself instead of the name"
        raise MatineeError(what, where=str(folder), hint=hint)
    return data


def _acquired(known: Entry, target: Path, base_url: str, *, progress: bool) -> Dataset:
    """Download into the cache. Nothing stays there unless the whole set arrived and passed its checks."""
    data: Dataset | None = None
    with atomic_folder(target) as temp:
        try:
            _from_publisher(known, temp, base_url, progress=progress)
        except NoConnectionError as error:
            if known.wheel is None:
                raise _unreachable(known, target, [error]) from error
            try:
                members = {member: member.rpartition("/")[2] for member in known.wheel.members}
                wheel_members(known.wheel.requirement, known.wheel.sha256, members, temp, Limits(total=20 * 10**6))
            except NoConnectionError as second:
                raise _unreachable(known, target, [error, second]) from second
        data = _checked(known, temp)
    print(f"matinee: {known.describe()}", file=sys.stderr)
    return data


def _from_publisher(known: Entry, folder: Path, base_url: str, *, progress: bool) -> None:
    url = known.url(base_url)
    assert url is not None  # `load` fetches no set without an address
    md5 = fetch_text(url + ".md5")
    if md5 is None and known.fixed:
        raise MatineeError("the publisher's checksum is missing", where=url + ".md5", hint="try again later")
    archive = folder / f"{known.name}.zip"
    fetch(url, archive, progress=progress)
    if md5 is not None:
        check_md5(archive, md5, url + ".md5")
    members = {f"{known.folder or known.name}/{name}": name for name in known.files}
    unzip(archive, folder, members, Limits(total=known.megabytes * 10**6))
    archive.unlink()


def _unreachable(known: Entry, target: Path, reasons: list[NoConnectionError]) -> MatineeError:
    tried = "; ".join(str(reason) for reason in reasons)
    return MatineeError(f"{known.name} is not here and cannot be fetched ({tried})", hint=_place(known, target))


def _place(known: Entry, target: Path) -> str:
    """Which files to put where."""
    names = ", ".join(name for name in known.files if "README" not in name)
    of = f" of {known.url()}" if known.url() else ""
    place = f"put {names}{of} into {target}, or into DIR/{known.name} and pass that DIR as data_dir (--data-dir DIR)"
    return f"{place}; {known.bring}" if known.bring else place
