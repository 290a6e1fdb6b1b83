"""Titles found while they are typed: regardless of case and accents, by prefix, by words, and by a similar spelling."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from matinee.data.arrays import Bools, Floats, Ints
from matinee.data.ids import Id
from matinee.errors import MatineeError

EXACT, PREFIX, WORDS, JOINED = 4.0, 3.0, 2.0, 1.0  # scores; a similar spelling has less than the last
READ = 200  # letters of a query that are read
LEAST = 0.3  # of a similar spelling: what shares less is noise
LONG = 0.1  # how much a letter of the title that was not typed counts, beside 1 for a typed one that is not there
_Places = dict[str, list[int]]
_LAST = chr(0x10FFFF)
_ARTICLE = r"the|an?|l['’]|l[aeo]s?|une?|d(?:er|ie|as|en|et|e)|e(?:ine?|l|n|t)|het|il|gli"
_APOSTROPHES = "'’"
_MOVED = re.compile(rf"^(.+), ({_ARTICLE})(?=\s*(?:\(|$))", re.IGNORECASE)  # "Matrix, The (1999)"
_FIRST = re.compile(rf"^(?:{_ARTICLE}) (?=.)")
_SIGNS = re.compile(r"[\W_]+")
_YEAR = re.compile(r" (?:1[89]|20)\d\d$")

# What NFKD leaves whole. Of Korean syllables: a final consonant (U+11A8 and on) as the one that would begin the next
# syllable, and a double vowel as its two: both stand there for a moment while the next letter is typed.
_FINALS = "ᄀ,ᄁ,ᄀᄉ,ᄂ,ᄂᄌ,ᄂᄒ,ᄃ,ᄅ,ᄅᄀ,ᄅᄆ,ᄅᄇ,ᄅᄉ,ᄅᄐ,ᄅᄑ,ᄅᄒ,ᄆ,ᄇ,ᄇᄉ,ᄉ,ᄊ,ᄋ,ᄌ,ᄎ,ᄏ,ᄐ,ᄑ,ᄒ"
_LETTERS = str.maketrans(
    {chr(0x11A8 + place): final for place, final in enumerate(_FINALS.split(","))}
    | {"ᅪ": "ᅩᅡ", "ᅫ": "ᅩᅢ", "ᅬ": "ᅩᅵ", "ᅯ": "ᅮᅥ", "ᅰ": "ᅮᅦ", "ᅱ": "ᅮᅵ", "ᅴ": "ᅳᅵ"}
    | {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "&": " and "}
    | dict.fromkeys("'’‘`´", "")
)


def searchable(text: str) -> str:
    """A title as it is searched: decomposed (NFKD), case folded, without accents and punctuation, single spaces."""
    if text.isascii():  # the same, quickly
        letters = text.casefold().replace("'", "").replace("`", "").replace("&", " and ")
        return " ".join(_SIGNS.sub(" ", letters).split() or letters.split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LETTERS)
    words = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in letters).split()
    return " ".join(words or letters.split())  # a title of signs alone keeps them


def article_first(title: str) -> str:
    """ "Matrix, The (1999)" -> "The Matrix (1999)"."""
    return _MOVED.sub(lambda found: f"{found[2]}{'' if found[2][-1] in _APOSTROPHES else ' '}{found[1]}", title)


class TitleMatch(NamedTuple):
    """A title that was found. score: 4 the whole title, 3 its beginning, 2 beginnings of its words, 1 its beginning
    without spaces; below 1, a similar spelling."""

    id: Id
    title: str
    score: float


class TitleIndex:
    """Finds titles among many, in milliseconds; built once with `of`.

    A query is compared regardless of case, accents, punctuation, a leading article ("Matrix, The" is found by "the
    matrix" and by "matrix") and the year at the end. Whole titles come first, then titles that begin with the query,
    titles whose words begin with its words, and titles of a similar spelling (shared runs of three letters, of which
    rare ones weigh more; a Korean syllable counts as its letters). Ties go to the more popular, then the earlier title.

    Example: `mt.TitleIndex.of([1, 2], ["Matrix, The (1999)", "기생충"]).find("the mat")`
    """

    def __init__(self, ids: Sequence[Id], titles: Sequence[str]) -> None:
        self._ids, self._titles = ids, titles
        whole: _Places = {}
        begins: _Places = {}
        joined: _Places = {}
        words: _Places = {}
        texts: list[str] = []
        for place, title in enumerate(titles):
            forms = _forms(title)
            texts.append(_YEAR.sub("", forms[0]))
            for form in forms:
                whole.setdefault(form, []).append(place)
            for form in forms[:2]:  # those without the year are beginnings of them
                begins.setdefault(form, []).append(place)
                if " " in form:
                    joined.setdefault(form.replace(" ", ""), []).append(place)
            for word in forms[0].split(" "):
                words.setdefault(word, []).append(place)
        self._whole = whole
        self._begins, self._joined, self._words = _Prefixes(begins), _Prefixes(joined), _Prefixes(words)
        self._grams = _Grams(texts)

    @classmethod
    def of(
        cls, ids: Iterable[Id], titles: Iterable[str | None], popularity: Sequence[float] | Ints | Floats | None = None
    ) -> TitleIndex:
        """The index of titles; an item without one is found by its id.

        ids, titles, popularity: in parallel; popularity is for example the number of ratings of each.
        Raises MatineeError where they differ in length.
        """
        ids, titles = list(ids), list(titles)
        popular = np.zeros(len(ids)) if popularity is None else np.asarray(popularity, np.float64)
        if not len(ids) == len(titles) == len(popular):
            what = f"{len(ids):,} ids, {len(titles):,} titles and {len(popular):,} popularities do not belong together"
            raise MatineeError(what, hint="pass one of each for every item")
        order = np.argsort(-popular, kind="stable").tolist()
        named = [str(item) if title is None else str(title) for item, title in zip(ids, titles, strict=True)]
        return cls([ids[row] for row in order], [named[row] for row in order])

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, query: str, k: int = 10) -> list[TitleMatch]:
        """At most k titles, best first; none for a query without letters. Raises MatineeError for a k below 1."""
        if not isinstance(k, int | np.integer) or k < 1:
            raise MatineeError(f"k = {k!r} is not a number of titles", hint="pass a whole number from 1")
        text = searchable(query[:READ])[:READ]
        found: dict[int, float] = {}
        for place, score in self._candidates(text, k) if text else ():
            found.setdefault(place, score)
            if len(found) == k:
                break
        return [TitleMatch(self._ids[place], self._titles[place], score) for place, score in found.items()]

    def _candidates(self, text: str, k: int) -> Iterator[tuple[int, float]]:
        """Places and scores, best first; a place may come again. Each step is done only if the ones before gave too
        few."""
        yield from ((place, EXACT) for place in self._whole.get(text, []))
        yield from ((place, PREFIX) for place in _first(self._begins.marked(text, len(self)), 2 * k))
        marked = np.ones(len(self), np.bool_)
        for word in text.split(" "):
            marked &= self._words.marked(word, len(self))
        yield from ((place, WORDS) for place in _first(marked, 3 * k))
        joined = self._joined.marked(text.replace(" ", ""), len(self))
        yield from ((place, JOINED) for place in _first(joined, 4 * k))
        yield from self._grams.alike(_YEAR.sub("", text), 5 * k)


def _forms(title: str) -> list[str]:
    """A title as it may be typed: whole, without its article, and both without the year at the end."""
    text = searchable(article_first(title))
    forms = [text, _FIRST.sub("", text)]
    return list(dict.fromkeys([*forms, *(_YEAR.sub("", form) for form in forms)]))


def _first(marked: Bools, n: int) -> list[int]:
    return [int(place) for place in np.flatnonzero(marked)[:n]]


class _Prefixes:
    """Texts in order, and the places of each."""

    def __init__(self, places: _Places) -> None:
        self._texts = sorted(places)
        lists = [places[text] for text in self._texts]
        self._starts = np.cumsum([0, *map(len, lists)])
        self._places = np.fromiter(chain.from_iterable(lists), np.int64, int(self._starts[-1]))

    def marked(self, prefix: str, n: int) -> Bools:
        """bool (n,): which of n places have a text that begins so."""
        marked = np.zeros(n, np.bool_)
        first = bisect_left(self._texts, prefix)
        last = bisect_left(self._texts, prefix + _LAST, first)
        marked[self._places[self._starts[first] : self._starts[last]]] = True
        return marked


class _Grams:
    """Runs of three letters, and the places of the texts that have them."""

    def __init__(self, texts: Sequence[str]) -> None:
        place, gram = _runs(texts)
        self._known, row = np.unique(gram, return_inverse=True)
        order = np.argsort(row, kind="stable")
        self._places = place[order]
        counts = np.bincount(row, minlength=len(self._known))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._weight = np.log1p(len(texts) / np.maximum(counts, 1))
        self._total = np.bincount(place, self._weight[row], minlength=len(texts))
        self._unknown = float(np.log1p(len(texts)))  # the weight of a run that no title has

    def alike(self, text: str, n: int) -> Iterator[tuple[int, float]]:
        """The n places that share most with the text, Tversky's index of the weights; the earlier place of equals."""
        gram = _runs([text])[1]
        rows = np.searchsorted(self._known, gram)
        is_known = np.append(self._known, 0)[rows] == gram
        rows, unknown = rows[is_known], self._unknown * float(np.count_nonzero(~is_known))
        lists = [self._places[self._starts[row] : self._starts[row + 1]] for row in rows]
        if not lists:
            return
        weights = np.repeat(self._weight[rows], [len(each) for each in lists])
        shared = np.bincount(np.concatenate(lists), weights, minlength=len(self._total))
        missed = float(self._weight[rows].sum()) + unknown - shared
        score = shared / np.maximum(shared + missed + LONG * (self._total - shared), 1e-9)
        best = np.flatnonzero(score >= LEAST)
        for place in best[np.argsort(-score[best], kind="stable")[:n]].tolist():
            yield place, min(float(score[place]), JOINED - 1e-6)


def _runs(texts: Sequence[str]) -> tuple[Ints, Ints]:
    """int64 (m,) each: the place of a text and one of its runs of three letters, packed; each run once for a text. A
    space stands before and behind every text. The three are sorted, so that swapped letters cost little, but for those
    of two words."""
    padded = [f" {text} " for text in texts]
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    place = np.repeat(np.arange(len(texts)), [len(text) for text in padded])
    three = np.stack([letters[:-2], letters[1:-1], letters[2:]])
    three = np.where((three == ord(" ")).any(axis=0), three, np.sort(three, axis=0))
    packed = three[0] << 42 | three[1] << 21 | three[2]
    inside = place[:-2] == place[2:]
    place, packed = place[:-2][inside], packed[inside]
    order = np.lexsort((packed, place))
    place, packed = place[order], packed[order]
    new = np.append(True, (place[1:] != place[:-1]) | (packed[1:] != packed[:-1]))[: len(place)]
    return place[new], packed[new]
