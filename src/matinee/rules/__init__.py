"""Rules about what lists may hold: expressions over the item table, quotas, pins and boosts."""

from __future__ import annotations

from matinee.rules.rules import Boost as Boost
from matinee.rules.rules import Pin as Pin
from matinee.rules.rules import Quota as Quota
from matinee.rules.rules import Rules as Rules

__all__ = ["Boost", "Pin", "Quota", "Rules"]
