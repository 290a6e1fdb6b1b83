"""Hyper-parameters' values as labels, tables and the command line show them."""

from __future__ import annotations

from typing import Any


def format_value(value: Any) -> str:
    """300, 0.001, bce, true, none; lists as [128, 64]; a model's table as ease (l2=300)."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace("+", "")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_value, value))}]"
    if isinstance(value, dict):
        given = [f"{key}={format_value(x)}" for key, x in value.items() if key != "name" and x is not None]
        return f"{value['name']} ({', '.join(given)})" if given else str(value["name"])
    return str(value)


def label_part(value: Any) -> str:
    """The same as part of a label, which names a folder: lists as 128-64."""
    if isinstance(value, list | tuple):
        return "-".join(map(label_part, value)) or "empty"
    return format_value(value)


def names_a_folder(text: str) -> bool:
    """Whether every file system takes the text as (a part of) a folder's name: letters, digits, '_', '-' and '.'."""
    return text.replace("_", "").replace("-", "").replace(".", "").isalnum()
