"""What every model in the registry promises, one plain function a promise: check(case) fails by AssertionError.

No check knows a model by name. Where a promise cannot hold, the model's class says so, with the reason: its
`exemptions`.
"""

from __future__ import annotations

from collections.abc import Callable

from contract import fit_checks, hyper_checks, score_checks
from contract.shared import Case

Check = Callable[[Case], None]

CHECKS: dict[str, Check] = {
    name.removeprefix("check_"): check
    for module in (fit_checks, score_checks, hyper_checks)
    for name, check in vars(module).items()
    if name.startswith("check_")
}
