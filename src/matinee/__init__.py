"""Matinee: from a log of who watched what to recommendations that can be trusted."""

from __future__ import annotations
