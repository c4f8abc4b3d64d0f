"""Changes of expressions, and of text in general."""

from __future__ import annotations

import ast
import copy
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_SWAPPED_CALLS: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_LARGE: Final = 1000
"""Numbers beyond it are doubled rather than moved by one: what counts nanoseconds need not be right to the last."""
_COMMA: Final = re.compile(rb"\s*,\s*(?:#[^\n]*\n\s*)*")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a file's text.

    Attributes:
        kind: What was done, in a word or two.
        start: Where the replaced text begins, in bytes.
        end: Where it ends.
        text: What stands there instead.
        first_line: The first line of the statement or expression, from 1.
        last_line: Its last.
    """

    kind: str
    start: int
    end: int
    text: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a module a change stands.

    Attributes:
        qualname: The outermost function around it, or what is assigned at module or class level.
        function_line: The first line of that function as its code object says it; None where code runs at import.
    """

    qualname: str
    function_line: int | None


class Expressions:
    """Finds every change in an expression.

    Args:
        source: The file's text.
        errors: Names of errors, whose words are left alone.
    """

    def __init__(self, source: str, errors: frozenset[str]) -> None:
        self._errors = errors
        self._data = source.encode()
        self._starts = [0, *itertools.accumulate(len(line) for line in self._data.splitlines(keepends=True))]
        self.place = Place("", None)
        self.lines = (1, 1)

    def expression(self, node: ast.expr | None, *, message: bool = False) -> Iterator[tuple[Place, Change]]:
        """Changes in an expression; in a message, its words are left alone."""
        if node is None:
            return
        if isinstance(node, ast.Constant):
            yield from self._constant(node, message=message)
        elif isinstance(node, ast.JoinedStr):
            if not message:
                yield self.change("text", node, '"XX"')
        elif isinstance(node, ast.Call):
            yield from self._call(node, message=message)
        else:
            yield from self._operation(node)
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from self.expression(child, message=message)
                elif isinstance(child, ast.comprehension):
                    yield from self._comprehension(child)

    def _comprehension(self, node: ast.comprehension) -> Iterator[tuple[Place, Change]]:
        yield from self.expression(node.iter)
        for condition in node.ifs:
            yield self.change("filter → True", condition, "True")
            yield from self.expression(condition)

    def _constant(self, node: ast.Constant, *, message: bool) -> Iterator[tuple[Place, Change]]:
        value = node.value
        if isinstance(value, bool):
            yield self.change("constant", node, repr(not value))
        elif isinstance(value, int):
            others = [value * 2] if value > _LARGE else [value + 1, value - 1] if value else [1]
            for other in others:
                yield self.change("constant", node, repr(other))
        elif isinstance(value, float):
            yield self.change("constant", node, repr(value + 1))
        elif isinstance(value, str) and not message:
            yield self.change("text", node, repr("XX" + value))
        elif isinstance(value, bytes):
            yield self.change("text", node, repr(b"XX" + value))

    def _call(self, node: ast.Call, *, message: bool) -> Iterator[tuple[Place, Change]]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else name
        message = message or attribute in self._errors
        if name in _SWAPPED_CALLS:
            yield self.change("function", node.func, _SWAPPED_CALLS[name])
        spans = [*map(self._span, node.args), *map(self._span, node.keywords)]
        for keyword in node.keywords:
            if keyword.arg is not None:
                changed = copy.copy(node)
                changed.keywords = [other for other in node.keywords if other is not keyword]
                yield self._drop("argument dropped", node, spans, spans.index(self._span(keyword)), changed)
        if attribute == "suppress":
            for argument in node.args:
                changed = copy.copy(node)
                changed.args = [other for other in node.args if other is not argument]
                yield self.change("argument dropped", node, ast.unparse(changed))
            return
        yield from self.expression(node.func)
        for number, argument in enumerate(node.args):
            types = (name == "isinstance" and number == 1) or (name == "cast" and number == 0)
            if not types:
                yield from self.expression(argument, message=message)
        for keyword in node.keywords:
            yield from self.expression(keyword.value, message=message)

    def _operation(self, node: ast.expr) -> Iterator[tuple[Place, Change]]:
        if isinstance(node, ast.Compare):
            yield from self._comparison(node)
        elif isinstance(node, ast.BoolOp):
            changed = copy.copy(node)
            changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield self.change("and, or", node, f"({ast.unparse(changed)})")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield self.change("sign", node, f"({ast.unparse(node.operand)})")
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            arithmetic = copy.copy(node)
            arithmetic.op = ARITHMETIC[type(node.op)]()
            yield self.change("arithmetic", node, f"({ast.unparse(arithmetic)})")
        elif isinstance(node, ast.IfExp):
            yield self.change("condition → True", node.test, "True")
            yield self.change("condition → False", node.test, "False")
        elif isinstance(node, ast.Set | ast.List):
            yield from self.drops("element dropped", node, node.elts)
        elif isinstance(node, ast.Tuple):
            if any(isinstance(element, ast.Starred) for element in node.elts):
                yield from self.drops("element dropped", node, node.elts)
        elif isinstance(node, ast.Dict):
            yield from self._items(node)

    def _comparison(self, node: ast.Compare) -> Iterator[tuple[Place, Change]]:
        for number, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                changed = copy.copy(node)
                changed.ops = [other() if i == number else op for i, op in enumerate(node.ops)]
                yield self.change("comparison", node, f"({ast.unparse(changed)})")
            compared = node.comparators[number]
            if isinstance(operator, ast.In | ast.NotIn) and isinstance(compared, ast.Tuple):
                yield from self.drops("element dropped", compared, compared.elts)

    def drops(
        self, kind: str, node: ast.Tuple | ast.List | ast.Set, elements: list[ast.expr]
    ) -> Iterator[tuple[Place, Change]]:
        """Each of some elements left out."""
        # A tuple's commas mean something.
        spans = [] if isinstance(node, ast.Tuple) else [self._span(element) for element in elements]
        for number, element in enumerate(elements):
            changed = copy.copy(node)
            changed.elts = [other for other in elements if other is not element]
            yield self._drop(kind, node, spans, number, changed)

    def _items(self, node: ast.Dict) -> Iterator[tuple[Place, Change]]:
        pairs = zip(node.keys, node.values, strict=True)
        spans = [(self.start(key), self.end(value)) for key, value in pairs if key is not None]
        spans = spans if len(spans) == len(node.keys) else []
        for number in range(len(node.keys)):
            changed = copy.copy(node)
            changed.keys = [key for i, key in enumerate(node.keys) if i != number]
            changed.values = [value for i, value in enumerate(node.values) if i != number]
            yield self._drop("element dropped", node, spans, number, changed)

    # Text

    def _drop(
        self, kind: str, node: ast.expr, spans: list[tuple[int, int]], number: int, changed: ast.expr
    ) -> tuple[Place, Change]:
        """Drop one of several with its comma; where it does not stand plainly among them, write the whole anew."""
        others = [*spans[:number], *spans[number + 1 :]]
        if others:
            last = number == len(spans) - 1
            start = spans[number - 1][1] if last else spans[number][0]
            end = spans[number][1] if last else spans[number + 1][0]
            between = self._data[start : spans[number][0]] if last else self._data[spans[number][1] : end]
            if _COMMA.fullmatch(between):
                lines = self.change(kind, node, "")[1]
                return self.place, Change(kind, start, end, "", lines.first_line, lines.last_line)
        return self.change(kind, node, ast.unparse(changed))

    def _span(self, node: ast.expr | ast.keyword) -> tuple[int, int]:
        return self.start(node), self.end(node)

    def change(self, kind: str, node: ast.stmt | ast.expr, text: str) -> tuple[Place, Change]:
        """`text` instead of a node."""
        first, last = min(self.lines[0], node.lineno), max(self.lines[1], head_end(node))
        return self.place, Change(kind, self.start(node), self.end(node), text, first, last)

    def start(self, node: ast.stmt | ast.expr | ast.keyword) -> int:
        """Where a node begins, in bytes."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.stmt | ast.expr | ast.keyword) -> int:
        """Where it ends."""
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or node.col_offset)


def head_end(node: ast.stmt | ast.expr) -> int:
    """The last line of a statement without the block under it."""
    if isinstance(node, ast.If | ast.While):
        return node.test.end_lineno or node.lineno
    if isinstance(node, ast.For | ast.AsyncFor):
        return node.iter.end_lineno or node.lineno
    if isinstance(node, ast.With | ast.AsyncWith):
        return node.items[-1].context_expr.end_lineno or node.lineno
    if isinstance(node, ast.Try | ast.Match | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.lineno
    return node.end_lineno or node.lineno
