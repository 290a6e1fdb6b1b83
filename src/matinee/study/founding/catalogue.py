"""Which founding studies there are. The recipe of each lies beside this file, NAME.toml."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files

from matinee.errors import MatineeError, suggestion
from matinee.study.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class FoundingStudy:
    """A study by its name. title: heads the report of somebody's own log. submits: whether its winner answers all users
    in a file. draws: the file of sampled negatives that its recipe names, which is drawn before the run."""

    name: str
    title: str
    summary: str
    submits: bool = False
    draws: str | None = None

    def recipe(self) -> Recipe:
        """Its recipe, as it is for the study's own data set."""
        with as_file(files("matinee.study.founding").joinpath(f"{self.name}.toml")) as path:
            return load_recipe(path)


STUDIES = (
    FoundingStudy(
        "film-contest",
        "The film contest",
        "MovieLens 1M with directors and writers: static, context and sequential candidates, what each recommends, an"
        " ensemble that joins them, and its submission.",
        submits=True,
    ),
    FoundingStudy(
        "tour",
        "The tour",
        "MovieLens 100K: every model of the registry, from popularity to ensembles, on one protocol in one table.",
    ),
    FoundingStudy(
        "autoint",
        "Who likes what, by AutoInt+",
        "MovieLens 1M in click-through form: will a film get 4 stars or more? AutoInt+ beside a factorisation machine.",
    ),
    FoundingStudy(
        "matrix-factorisation",
        "Predicted ratings, by matrix factorisation",
        "MovieLens latest, small: which rating will a film get? Biases, matrix factorisation, and its Bayesian form.",
    ),
    FoundingStudy(
        "next-content",
        "Next content",
        "MovieLens 1M: what will be watched next? GMF, MLP and NeuMF beside counts, linear models and a chain.",
        draws="test.negative",
    ),
)


def founding_studies() -> tuple[FoundingStudy, ...]:
    """The founding studies, in the order of their pages. `founding_study` runs one.

    Example: `[study.name for study in mt.founding_studies()]`
    """
    return STUDIES


def named_study(name: str) -> FoundingStudy:
    """Raises MatineeError with near misses for an unknown name."""
    known = {study.name: study for study in STUDIES}
    if name not in known:
        raise MatineeError(f"there is no founding study {name!r}", hint=suggestion(name, known))
    return known[name]
