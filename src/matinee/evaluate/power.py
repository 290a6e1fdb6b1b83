"""How many users a difference takes to be seen, and the smallest difference that these users can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from matinee.errors import MatineeError, counted, option
from matinee.evaluate.evaluate import Evaluation, named
from matinee.evaluate.significance import paired_differences

if TYPE_CHECKING:
    import polars as pl

POWER, ALPHA = 0.8, 0.05
MOST = 10**12  # more users than this are no number to plan by


@dataclass(frozen=True)
class PairPower:
    """What a paired t-test of `a` against `b` can see.

    difference: to be seen, the measured one unless another was asked for; measured: of this test. sd: standard
    deviation of a user's difference; n_users: of this test. power: chance to see the difference with these users.
    users_needed: for the power asked for, None where there is no difference. smallest: the difference that these users
    show with that power. All three are unknown (NaN, None) where users do not differ, as one user alone, or two models
    that answer alike.
    """

    a: str
    b: str
    metric: str
    k: int
    difference: float
    measured: float
    sd: float
    n_users: int
    power: float
    users_needed: int | None
    smallest: float | None

    def __str__(self) -> str:
        of = f"{self.a} - {self.b}: {named(self.metric, self.k)} {self.difference:+.4f}"
        if self.smallest is None:
            return f"{of}: nothing can be said, because the difference is the same for every user"
        needed = "more users than can be had" if self.users_needed is None else counted(self.users_needed, "user")
        return f"{of} takes {needed}; these {self.n_users:,} show differences from {self.smallest:.4f}"


@dataclass(frozen=True, repr=False)
class Power:
    """The pairs, and what was asked of each: a chance of `power` to see the difference in a two-sided paired t-test at
    the level `alpha`."""

    pairs: tuple[PairPower, ...]
    power: float
    alpha: float

    @property
    def words(self) -> str:
        return f"with a power of {self.power:.0%}, in a two-sided paired t-test at {self.alpha:.0%}"

    def to_frame(self) -> pl.DataFrame:
        """One row a pair: the fields of PairPower."""
        import polars as pl

        names = [f.name for f in fields(PairPower)]
        return pl.DataFrame([[getattr(pair, name) for name in names] for pair in self.pairs], names, orient="row")

    def __str__(self) -> str:
        return "\n".join([*map(str, self.pairs), self.words])

    __repr__ = __str__


def pair_powers(
    joint: Evaluation, column: tuple[str, int], pairs: Iterable[tuple[str, str]], *,
    difference: float | str | None = None, power: float = POWER, alpha: float = ALPHA,
) -> Power:  # fmt: skip
    """What each pair's test on one column can see. difference: absolute, or a share of the second model's mean ("2%");
    None for the measured one of each pair.

    Raises MatineeError for a power or a level outside 0 to 1, a power that is not above the level, and a difference
    that is 0 or not finite.
    """
    for name, share in (("power", power), ("alpha", alpha)):
        if not 0 < share < 1:
            raise MatineeError(f"{name} is a share between 0 and 1, got {share!r}", hint=f"pass {name}=0.8, say")
    if power <= alpha:
        raise MatineeError(f"a power of {power} is no more than the level {alpha}", hint="ask for 0.8, say")
    given, relative = (None, False) if difference is None else _amount(difference)
    found = []
    for a, b in pairs:
        mean, error, sums, _ = paired_differences(joint, a, b, *column)
        n, sd = len(sums), error * np.sqrt(len(sums))
        wanted = mean if given is None else given * joint.mean(*column, b).value if relative else given
        known = bool(np.isfinite(sd)) and sd > 0  # else one user alone, or the same difference of all users
        seen = chance_to_see(wanted, sd, n, alpha=alpha) if known else np.nan
        needed = users_needed(wanted, sd, power=power, alpha=alpha) if known else None
        smallest = smallest_difference(n, sd, power=power, alpha=alpha) if known else None
        found.append(PairPower(a, b, *column, wanted, mean, float(sd), n, seen, needed, smallest))
    return Power(tuple(found), power, alpha)


def _amount(difference: float | str) -> tuple[float, bool]:
    """The number, and whether it is a share. Raises MatineeError for 0, and for what is no number."""
    text = str(difference).strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = np.nan
    if number == 0 or not np.isfinite(number):
        what = f"{option('difference', difference)}: no test can see this difference"
        raise MatineeError(what, hint="give the smallest that matters, e.g. 0.002, or 2% of the other model's mean")
    return number, text.endswith("%")


def chance_to_see(difference: float, sd: float, n: int, *, alpha: float = ALPHA, sides: int = 2) -> float:
    """The power of a paired t-test of n users, whose differences have this mean and standard deviation, at the level
    alpha: of the noncentral t distribution. sides: 1 counts only the sign that the difference has."""
    from scipy.stats import nct, t

    if sd == 0:
        return 1.0 if difference else alpha
    edge, shift = t.isf(alpha / sides, n - 1), abs(difference) / sd * np.sqrt(n)
    seen = nct.sf(edge, n - 1, shift)
    if sides == 2:
        seen += nct.sf(edge, n - 1, -shift)  # the wrong sign; nct.cdf is NaN for some shifts
    return float(np.clip(seen, 0, 1))


def users_needed(
    difference: float, sd: float, *, power: float = POWER, alpha: float = ALPHA, sides: int = 2
) -> int | None:
    """The fewest users, 2 or more, with whom the test has this power; None for no difference, or more than 10**12."""

    def enough(n: int) -> bool:
        return chance_to_see(difference, sd, n, alpha=alpha, sides=sides) >= power

    if not enough(MOST):
        return None
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def smallest_difference(n: int, sd: float, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """The difference that n users, 2 or more, show with this power."""
    from scipy.optimize import brentq

    if sd == 0:
        return 0.0

    def lacking(difference: float) -> float:
        return chance_to_see(difference, 1.0, n, alpha=alpha) - power

    high = 1 / np.sqrt(n)
    while lacking(high) < 0:
        high *= 2
    return sd * float(brentq(lacking, 0.0, high, xtol=1e-12))
