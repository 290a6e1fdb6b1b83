"""A recipe's [evaluate] and [fit] tables: what is measured, and how models are fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from matinee.data.dataset import Holdout
from matinee.errors import did_you_mean
from matinee.evaluate import predictions
from matinee.evaluate.paired import Correction, Test
from matinee.evaluate.stopping import StoppingMetric
from matinee.files import StrPath
from matinee.split import RULES, new_alone
from matinee.study.data_table import Table, checked, located

FILE_MARKS = {".", "/", "\\"}
"""What tells a file from a rule in `candidates`: a character of a path."""


class FitTable(Table):
    """[fit]: what every model's fit is told."""

    metric: str | None = Field(
        None,
        description="what early stopping measures on valid, e.g. recall@20, or recall:late@20 for one kind of hidden "
        "items; when left out, each model's own",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where nets train; auto: the GPU where there is one"
    )

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str | None) -> str | None:
        return checked(StoppingMetric.parse, metric)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of `Model.fit`: those that differ from the defaults."""
        return self.model_dump(exclude_defaults=True)


class EvaluateTable(Table):
    """[evaluate]: what is measured."""

    k: list[int] = Field([10, 20], description="cut-offs; the largest is the length of the lists that are kept")
    metrics: list[str] = Field(
        ["recall", "ndcg", "hit_rate", "mrr"],
        min_length=1,
        description="also precision, map, recall_capped, recall_ndcg (.75 recall + .25 ndcg), disliked, those of "
        "[playlists](playlists.md) (r_precision, ndcg_challenge, clicks), and those of "
        '[what lists are like](recommended.md); "recall:late": of one kind of hidden items (split mixed); of predicted '
        "ratings rmse, mae, bce; of predicted labels (`label_min`) auc, gauc, logloss too",
    )
    convention: str = Field("matinee", description="whose definitions: matinee, or a library's for comparison")
    candidates: str | list[str] = Field(
        "all",
        description='what is ranked: "all" items with a training event, "observed" (each user\'s own hidden rows, by '
        '`label_min`), "new" (items without a training event alone, those that are an answer to some query, of a split '
        "with `new_items`), or a file of sampled negatives for the test; several are measured side by side",
    )
    exclude_seen: bool = Field(True, description="false where repeats are answers (sessions): nothing is excluded")
    moment: Literal["given", "events", "sessions"] = Field(
        "given",
        description="when it is asked: as the split says, or the user's own median interval between events, or "
        "sessions (half an hour apart), after the last known event; for models that read times, and another protocol",
    )
    refit: bool = Field(False, description="fit again on train + valid before the test; another protocol")
    test: Test | None = Field(
        None, description="the paired test of two models; when left out, t in the report and randomisation in `compare`"
    )
    correction: Correction | None = Field(
        None,
        description="of p for several tests: of the family-wise error, or of the share of false discoveries; when left "
        "out, holm",
    )

    @field_validator("k")
    @classmethod
    def _positive(cls, k: list[int]) -> list[int]:
        if not k or min(k) < 1:
            raise ValueError("needs at least one cut-off, each 1 or more")
        return sorted(set(k))

    @field_validator("candidates")
    @classmethod
    def _rules(cls, candidates: str | list[str]) -> str | list[str]:
        rules = [candidates] if isinstance(candidates, str) else candidates
        if not rules or len(set(rules)) < len(rules):
            raise ValueError('needs at least one rule, each once: "all", "observed", "new", or a file')
        for rule in rules:
            if rule not in RULES and not FILE_MARKS & set(rule):
                near = did_you_mean(rule, RULES, n=1)
                hint = f" ({near})" if near else ""
                raise ValueError(f'{rule!r} is neither "all" nor "observed" nor "new" nor a file{hint}')
        return candidates

    @field_validator("metrics")
    @classmethod
    def _once(cls, metrics: list[str]) -> list[str]:
        return list(dict.fromkeys(metrics))

    @property
    def ranking(self) -> list[str]:
        """The metrics of ranked lists."""
        return [metric for metric in self.metrics if metric not in predictions.names]

    @property
    def predicted(self) -> list[str]:
        """The metrics of predictions for single pairs."""
        return [metric for metric in self.metrics if metric in predictions.names]

    def stopping_part(self, valid: Holdout) -> Holdout:
        """What early stopping looks at: valid, of which the new items alone where these are ranked first, since known
        ones do not say when a model of new ones is at its best."""
        return new_alone(valid) if self.rules("valid")[0] == "new" and len(valid) else valid

    def rules(self, part: str, data_dir: StrPath | None = None) -> list[str | Path]:
        """What is ranked in "valid" or "test", see split.with_candidates. Files of sampled negatives belong to the
        test: valid ranks all items in their place."""
        named = [self.candidates] if isinstance(self.candidates, str) else self.candidates
        rules = [rule if rule in RULES else located(rule, data_dir) for rule in named]
        if part != "test":
            rules = ["all" if isinstance(rule, Path) else rule for rule in rules]
        return list(dict.fromkeys(rules))
