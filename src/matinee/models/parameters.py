"""Hyper-parameters by name, as scikit-learn's tools ask for them, and as a notebook shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from matinee.errors import MatineeError
from matinee.notebook import html_table


class Parameters(BaseModel):
    """What a model gives to `sklearn.base.clone` and to loops over `ParameterGrid`.

    Members of an ensemble or a reranker are named as scikit-learn does: `members__0__l2`, `first__k`; a member itself
    is `members__0`.
    """

    member_fields: ClassVar[tuple[str, ...]] = ()
    """The hyper-parameters that name other models."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyper-parameter -> value. deep: with those of members.

        Example: `mt.models.EASE(l2=200).get_params()`
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        if deep:
            for place, member in self._members().items():
                values[place] = member
                values |= {f"{place}__{name}": value for name, value in member.get_params().items()}
        return values

    def set_params(self, **params: Any) -> Self:
        """Change hyper-parameters in place, and return the model; what it learned is forgotten, as it was learned with
        others. A changed member is replaced by a new one: other ensembles that hold the same object do not change.

        Raises MatineeError for a name that the model does not have and a value that does not fit; nothing is changed
        then.

        Example: `mt.models.EASE().set_params(l2=200).fit(split.train)`
        """
        if params:
            changed = self._changed(params)
            for name in type(self).model_fields:
                self.__dict__[name] = getattr(changed, name)
            self.__pydantic_fields_set__.update(changed.model_fields_set)
            self._forget()
        return self

    def __sklearn_clone__(self) -> Self:
        """The same hyper-parameters, not fitted; members neither."""
        return self._with_members({place: member.__sklearn_clone__() for place, member in self._members().items()})

    def _forget(self) -> None:
        """Become not fitted."""
        raise NotImplementedError

    def _members(self) -> dict[str, Parameters]:
        """Place ("members__0", "first") -> member."""
        found: dict[str, Parameters] = {}
        for name in self.member_fields:
            given = getattr(self, name)
            if isinstance(given, tuple):
                found |= {f"{name}__{number}": member for number, member in enumerate(given)}
            else:
                found[name] = given
        return found

    def _changed(self, params: Mapping[str, Any]) -> Self:
        """A new model, not fitted: with own hyper-parameters changed first, then whole members, then theirs."""
        own = {name: value for name, value in params.items() if "__" not in name}
        model = type(self)(**self.get_params(deep=False) | own)
        members = model._members()
        whole = {name: value for name, value in params.items() if name in members and name not in own}
        if whole:
            model = model._with_members(members | whole)
            members = model._members()
        inner: dict[str, dict[str, Any]] = {}
        for name in params.keys() - own.keys() - whole.keys():
            place = next((place for place in members if name.startswith(f"{place}__")), None)
            if place is None:
                hint = f"its members are {', '.join(members)}" if members else "names with __ are for members of models"
                raise MatineeError(f"{type(self).__name__} has no hyper-parameter {name!r}", hint=hint)
            inner.setdefault(place, {})[name.removeprefix(f"{place}__")] = params[name]
        changed = {place: members[place].__sklearn_clone__().set_params(**values) for place, values in inner.items()}
        return model._with_members(members | changed) if changed else model

    def _with_members(self, members: Mapping[str, Any]) -> Self:
        """A new model with these at the places of `_members`."""
        values = self.get_params(deep=False)
        for name in self.member_fields:
            given = values[name]
            several = isinstance(given, tuple)
            values[name] = tuple(members[f"{name}__{n}"] for n in range(len(given))) if several else members[name]
        return type(self)(**values)

    def _parameter_table(self) -> str:
        """HTML: each hyper-parameter, its value and what it means."""
        rows = [
            (name, _shown(getattr(self, name)), field.description) for name, field in type(self).model_fields.items()
        ]
        return html_table(["hyper-parameter", "value", "meaning"], rows) if rows else ""


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, BaseModel):
        return repr(value).rpartition(" [")[0]
    return f"{value:g}" if isinstance(value, float) else str(value)
