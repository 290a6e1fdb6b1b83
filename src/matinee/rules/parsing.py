"""The language of expressions: text -> a tree of a few kinds of nodes. Nothing of it is ever run as Python.

Python's own parser reads the text; what it finds is then taken over node by node, and anything but comparisons of
columns with constants, `and`, `or` and `not` is refused with its place.
"""

from __future__ import annotations

import ast
import math
import warnings
from dataclasses import dataclass

from matinee.errors import MatineeError

MOST_CHARACTERS = 4_000
MOST_NODES = 500
Scalar = str | int | float | bool
OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in", ast.Is: "==", ast.IsNot: "!=",
}  # fmt: skip
LANGUAGE = (
    'compare columns with constants, e.g. year >= 1990 and "Drama" in genres; there are ==, !=, <, <=, >, >=, in, '
    'not in, and, or, not, None, brackets, and column("a name with spaces")'
)


@dataclass(frozen=True)
class Column:
    """A column of the table. at: its first character, from 1."""

    name: str
    at: int


@dataclass(frozen=True)
class Constant:
    """A text, a number, True, False, None (a missing cell), or a list of such but None."""

    value: Scalar | tuple[Scalar, ...] | None
    at: int


@dataclass(frozen=True)
class Comparison:
    left: Column | Constant
    operator: str
    right: Column | Constant


@dataclass(frozen=True)
class Not:
    part: Tree


@dataclass(frozen=True)
class All:
    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Any:
    parts: tuple[Tree, ...]


Tree = Column | Comparison | Not | All | Any


def parse(text: str) -> Tree:
    """The tree of an expression. Raises MatineeError with the place of the first thing that does not belong there."""
    if len(text) > MOST_CHARACTERS:
        hint = f"at most {MOST_CHARACTERS:,} characters; name long lists of items by allow and deny"
        raise MatineeError(f"the expression has {len(text):,} characters", hint=hint)
    line = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    if not line.strip():
        raise MatineeError("the expression is empty", hint=LANGUAGE)
    lead = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # about escapes, and `year is 3`
            body = ast.parse(line.lstrip(), mode="eval").body
    except SyntaxError as error:
        at = error.offset if error.offset and error.lineno == 1 else len(line) - lead + 1  # 0: at the end
        raise _wrong(line, lead + at, error.msg or "cannot be read") from None
    except (ValueError, MemoryError, RecursionError):
        raise _wrong(line, 1, "it cannot be read, or is nested too deeply") from None
    if sum(1 for _ in ast.walk(body)) > MOST_NODES:
        raise MatineeError(f"the expression has more than {MOST_NODES} parts", hint="split it into several rules")
    return _Parser(line, lead).condition(body)


class _Parser:
    """Takes Python's tree over."""

    def __init__(self, text: str, lead: int) -> None:
        self.text, self.lead = text, lead

    def at(self, node: ast.expr) -> int:
        """The first character of a node, from 1; Python counts bytes, after the spaces in front."""
        bytes_before = self.text[self.lead :].encode()[: node.col_offset]
        return self.lead + len(bytes_before.decode()) + 1

    def condition(self, node: ast.expr) -> Tree:
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.condition(value) for value in node.values)
            return All(parts) if isinstance(node.op, ast.And) else Any(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(self.condition(node.operand))
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        operand = self.operand(node)
        if isinstance(operand, Constant):
            raise _wrong(self.text, operand.at, f"{operand.value!r} alone is no condition")
        return operand

    def comparison(self, node: ast.Compare) -> Tree:
        """1990 <= year < 2000 is two comparisons, both of which must hold."""
        operands = [self.operand(each) for each in (node.left, *node.comparators)]
        found: list[Tree] = []
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            one = Comparison(left, OPERATORS[type(operator)], right)
            if isinstance(left, Constant) and isinstance(right, Constant):
                raise _wrong(self.text, left.at, "two constants are compared, and no column")
            if isinstance(operator, ast.Is | ast.IsNot) and None not in (_value(left), _value(right)):
                raise _wrong(self.text, right.at, "`is` is for None: write ==")
            found.append(one)
        return found[0] if len(found) == 1 else All(tuple(found))

    def operand(self, node: ast.expr) -> Column | Constant:
        at = self.at(node)
        if isinstance(node, ast.Name):
            return Column(node.id, at)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "column":
            name = node.args[0] if len(node.args) == 1 and not node.keywords else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                return Column(name.value, at)
            raise _wrong(self.text, at, 'column takes one text: column("Book-Title")')
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return Constant(tuple(self.scalar(each) for each in node.elts), at)
        if isinstance(node, ast.Constant) and node.value is None:
            return Constant(None, at)
        return Constant(self.scalar(node), at)

    def scalar(self, node: ast.expr) -> Scalar:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.scalar(node.operand)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return -value
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
            value = node.value
            if isinstance(value, int) and abs(value) >= 1 << 63:
                value = float(value) if abs(value) < 1 << 1000 else math.inf
            if isinstance(value, float) and not math.isfinite(value):
                raise _wrong(self.text, self.at(node), "the number is too large")
            return value
        raise _wrong(self.text, self.at(node), f"{_named(node)} is not allowed here")


def _value(operand: Column | Constant) -> object:
    return operand.value if isinstance(operand, Constant) else operand


def _named(node: ast.expr) -> str:
    """A kind of Python's nodes, for people."""
    if isinstance(node, ast.Constant):
        return f"{node.value!r}"
    words = {
        "BinOp": "arithmetic", "Call": "a call", "Attribute": "an attribute", "Subscript": "a subscript",
        "IfExp": "if ... else", "Lambda": "lambda", "JoinedStr": "an f-string", "NamedExpr": ":=",
        "BoolOp": "a condition in the place of a value", "Compare": "a condition in the place of a value",
        "Name": "a column in a list", "UnaryOp": "this sign",
    }  # fmt: skip
    return words.get(type(node).__name__, f"this ({type(node).__name__})")


def _wrong(text: str, at: int, what: str) -> MatineeError:
    return MatineeError(f"{what} (character {at} of {shown(text)})", hint=LANGUAGE)


def shown(text: str) -> str:
    """An expression in an error."""
    return f"'{text}'" if len(text) <= 120 else f"'{text[:117]}...'"
