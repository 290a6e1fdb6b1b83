"""Names of models -> classes. Lazy strings: naming a model imports nothing until it is made."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, get_args

from matinee.errors import MatineeError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from matinee.models.base import Model

BUILT_IN = {
    "popularity": "matinee.models.popularity:Popularity",
    "item_knn": "matinee.models.item_knn:ItemKNN",
    "user_knn": "matinee.models.user_knn:UserKNN",
    "markov": "matinee.models.markov:Markov",
    "ease": "matinee.models.ease:EASE",
    "slim": "matinee.models.slim:SLIM",
    "admm_slim": "matinee.models.admm_slim:AdmmSLIM",
    "svd": "matinee.models.svd:SVD",
    "svd_ae": "matinee.models.svd_ae:SVDAE",
    "ials": "matinee.models.ials:IALS",
    "bpr": "matinee.models.bpr:BPR",
    "biased_mf": "matinee.models.biased_mf:BiasedMF",
    "bayesian_mf": "matinee.models.bayesian_mf:BayesianMF",
    "auto_rec": "matinee.models.auto_rec:AutoRec",
    "dae": "matinee.models.dae:DAE",
    "multi_dae": "matinee.models.multi_dae:MultiDAE",
    "cdae": "matinee.models.cdae:CDAE",
    "multi_vae": "matinee.models.multi_vae:MultiVAE",
    "cvae": "matinee.models.cvae:CVAE",
    "rec_vae": "matinee.models.rec_vae:RecVAE",
    "gmf": "matinee.models.gmf:GMF",
    "mlp": "matinee.models.mlp:MLP",
    "neumf": "matinee.models.neumf:NeuMF",
    "logistic": "matinee.models.logistic:Logistic",
    "fm": "matinee.models.fm:FM",
    "deepfm": "matinee.models.deepfm:DeepFM",
    "autoint": "matinee.models.autoint:AutoInt",
    "autoint_plus": "matinee.models.autoint_plus:AutoIntPlus",
    "lightgbm": "matinee.models.lightgbm:LightGBM",
    "prod2vec": "matinee.models.prod2vec:Prod2vec",
    "gru4rec": "matinee.models.gru4rec:GRU4Rec",
    "narm": "matinee.models.narm:NARM",
    "stamp": "matinee.models.stamp:STAMP",
    "sasrec": "matinee.models.sasrec:SASRec",
    "bert4rec": "matinee.models.bert4rec:BERT4Rec",
    "cl4srec": "matinee.models.cl4srec:CL4SRec",
    "ensemble": "matinee.models.ensemble:Ensemble",
    "rerank": "matinee.models.rerank:Rerank",
}


def locations() -> dict[str, str]:
    """Registry name -> "module:Class": ours, and what other packages declare as entry points of `matinee.models`."""
    others = {point.name: point.value for point in entry_points(group="matinee.models")}
    return {**others, **BUILT_IN}


def names() -> list[str]:
    return list(locations())


def model_class(name: str) -> type[Model]:
    """The class of a registry name. Raises MatineeError with near misses for an unknown one."""
    known = BUILT_IN if name in BUILT_IN else locations()  # asking all packages for entry points takes 20 ms
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise MatineeError(f"unknown model {name!r}", hint=f"use one of: {', '.join(near or known)}")
    module, _, attribute = known[name].partition(":")
    found: type[Model] = getattr(import_module(module), attribute)
    return found


def name_of(model: Model) -> str:
    """The registry name of a model's class. Raises MatineeError for a class that is not registered."""
    name = _name(type(model))
    if name is None:
        raise MatineeError(
            f"{_location(type(model))} is not in the registry",
            hint="register it in the entry-point group `matinee.models`",
        )
    return name


def _location(cls: type[Model]) -> str:
    return f"{cls.__module__}:{cls.__name__}"


def _name(cls: type[Model]) -> str | None:
    location = _location(cls)
    known = BUILT_IN if location in BUILT_IN.values() else locations()
    return next((name for name, place in known.items() if place == location), None)


def create(name: str, hyper_parameters: Mapping[str, Any] | None = None) -> Model:
    """A model by its registry name. Raises MatineeError naming each hyper-parameter that does not fit."""
    return model_class(name).model_validate(dict(hyper_parameters or {}))


def member_fields(name: str) -> tuple[str, ...]:
    """The hyper-parameters of a model that hold other models; () for models that are not made of others."""
    fields: tuple[str, ...] = getattr(model_class(name), "member_fields", ())
    return fields


def as_model(given: object) -> Model:
    """A model from itself, its name, or a table {"name": ..., hyper-parameters}. Raises MatineeError."""
    from matinee.models.base import Model

    if isinstance(given, Model):
        name_of(given)
        return given
    if isinstance(given, str):
        return create(given)
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return create(given["name"], {key: value for key, value in given.items() if key != "name"})
    raise MatineeError(f"{given!r} is no model", hint="write a name of `matinee models`, or a table with one")


def from_text(name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Hyper-parameters as a command line spells them -> what `create` takes; pydantic then types "200" and "true".

    "none" is None where the field may be None, and [1, 2] is a list; all else stays text.
    """
    fields = model_class(name).model_fields
    values: dict[str, Any] = {}
    for key, text in settings.items():
        values[key] = text
        if text.lower() == "none" and key in fields and type(None) in get_args(fields[key].annotation):
            values[key] = None
        elif text[:1] in ("[", "{"):
            try:
                values[key] = json.loads(text)
            except json.JSONDecodeError:
                say = """write texts in double quotes: '["ease", {"name": "sasrec"}]'"""
                raise MatineeError(f"{key} = {text} is no JSON", hint=say) from None
    return values


def validation_message(cls: type[Model], error: ValidationError) -> MatineeError:
    """What pydantic found wrong with hyper-parameters, in our words."""
    name = _name(cls) or cls.__name__
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(field, cls.model_fields, n=1)
            hint = f" (did you mean {near[0]}?)" if near else f" (it has {', '.join(cls.model_fields) or 'none'})"
            lines.append(f"no hyper-parameter {field!r}{hint}")
            continue
        message = problem["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if not field:
            lines.append(message)
        elif problem["type"] == "missing":
            lines.append(f"{field}: {message}")
        else:
            lines.append(f"{field} = {problem['input']!r}: {message}")
    return MatineeError(f"model {name!r}: " + "; ".join(lines), hint=f"see `matinee models show {name}`")
