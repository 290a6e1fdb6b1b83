"""One self-contained HTML file: what the log holds, how good the models are, what they recommend, what to doubt."""

from matinee.report.study import Study, write_report

__all__ = ["Study", "write_report"]
