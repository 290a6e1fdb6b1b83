"""One self-contained HTML file: the log, the models' metrics, what they recommend, and what limits the numbers."""

from pathlib import Path

from matinee.files import atomic_write
from matinee.report.study import Study

__all__ = ["Study", "write_report"]


def write_report(study: Study, path: Path) -> None:
    """One HTML file that needs nothing else. Equal studies give equal bytes."""
    from matinee.report.page import render  # loads matplotlib and jinja2, which take a second

    atomic_write(path, render(study))
