"""One self-contained HTML file: the log, the models' metrics, what they recommend, and what limits the numbers."""

from matinee.report.study import Study, write_report

__all__ = ["Study", "write_report"]
