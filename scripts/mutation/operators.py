"""The ways in which code is broken, each a small change of its text.

Not broken: docstrings, annotations, decorators, imports, what only a type checker reads, protocols, ``__all__``, log
calls, and the words of error messages. Everything else is.
"""

from __future__ import annotations

import ast
import builtins
import copy
from typing import TYPE_CHECKING, Any, Final

from mutation.expressions import ARITHMETIC, Change, Expressions, Place, head_end
from mutation.rooms import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOG_NAMES: Final = {"_log", "log", "logger"}
_UNTOUCHED_NAMES: Final = {"__all__", "__slots__"}
_TYPE_MAKERS: Final = {"NewType", "TypeVar", "ParamSpec"}
_DROPPED: Final = {
    ast.Raise: ("raise dropped", "pass"),
    ast.Break: ("break → continue", "continue"),
    ast.Continue: ("continue → break", "break"),
}


def error_names() -> frozenset[str]:
    """The names of all kinds of errors, Python's and ours."""
    own = ast.parse((SOURCE / "firstbell" / "errors.py").read_text(encoding="utf-8"))
    ours = {node.name for node in own.body if isinstance(node, ast.ClassDef)}
    return frozenset(ours | {name for name, kind in vars(builtins).items() if _is_error(kind)} | {"IllegalMove"})


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


class Finder(Expressions):
    """Finds every change of one file.

    Args:
        source: The file's text.
        errors: Names of errors, whose words are left alone.
    """

    def __init__(self, source: str, errors: frozenset[str]) -> None:
        super().__init__(source, errors)
        self._tree = ast.parse(source)
        self._scope: list[str] = []
        self._in_init = False
        self._returns_bool = False

    def changes(self) -> Iterator[tuple[Place, Change]]:
        """All of them, in the order of the text."""
        yield from self._block(self._tree.body)

    # Statements

    def _block(self, body: list[ast.stmt]) -> Iterator[tuple[Place, Change]]:
        for statement in body:
            yield from self._statement(statement)

    def _statement(self, node: ast.stmt) -> Iterator[tuple[Place, Change]]:
        self.lines = (node.lineno, head_end(node))
        if (simple := _DROPPED.get(type(node))) is not None:
            yield self.change(simple[0], node, simple[1])
        finders: dict[type[ast.AST], Callable[[Any], Iterator[tuple[Place, Change]]]] = {
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.ClassDef: self._class,
            ast.If: self._branch,
            ast.While: self._branch,
            ast.Try: self._try,
            ast.Assign: self._assignment,
            ast.AnnAssign: self._assignment,
            ast.AugAssign: self._assignment,
            ast.Expr: self._bare,
            ast.Raise: self._raise,
            ast.Delete: self._delete,
            ast.Return: self._return,
        }
        yield from finders.get(type(node), self._compound)(node)

    def _delete(self, node: ast.Delete) -> Iterator[tuple[Place, Change]]:
        # That of a name only says that an argument is not needed.
        if not all(isinstance(target, ast.Name) for target in node.targets):
            yield self.change("del dropped", node, "pass")
        yield from self._compound(node)

    def _raise(self, node: ast.Raise) -> Iterator[tuple[Place, Change]]:
        yield from self.expression(node.exc, message=True)

    def _compound(self, node: ast.AST) -> Iterator[tuple[Place, Change]]:
        lines = self.lines
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from self._statement(child)
            elif isinstance(child, ast.expr):
                self.lines = lines
                yield from self.expression(child)
            else:
                yield from self._compound(child)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[Place, Change]]:
        outer = self.place, self._in_init, self._returns_bool
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if outer[0].function_line is None:
                self.place = Place(".".join([*self._scope, node.name]), None)
            yield from self.expression(default)
        if outer[0].function_line is None:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            self.place = Place(".".join([*self._scope, node.name]), first)
        self._in_init = node.name in {"__init__", "__post_init__"}
        self._returns_bool = isinstance(node.returns, ast.Name) and node.returns.id == "bool"
        yield from self._block(node.body)
        self.place, self._in_init, self._returns_bool = outer

    def _class(self, node: ast.ClassDef) -> Iterator[tuple[Place, Change]]:
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            return
        self._scope.append(node.name)
        yield from self._block(node.body)
        self._scope.pop()

    def _branch(self, node: ast.If | ast.While) -> Iterator[tuple[Place, Change]]:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            if not isinstance(node.test, ast.Constant):
                if isinstance(node, ast.If):
                    yield self.change("condition → True", node.test, "True")
                yield self.change("condition → False", node.test, "False")
            yield from self.expression(node.test)
            yield from self._block(node.body)
        yield from self._block(node.orelse)

    def _try(self, node: ast.Try) -> Iterator[tuple[Place, Change]]:
        yield from self._block(node.body)
        for handler in node.handlers:
            self.lines = (handler.lineno, handler.body[0].lineno)
            if isinstance(handler.type, ast.Tuple):
                yield from self.drops("caught error dropped", handler.type, handler.type.elts)
            first, last = handler.body[0], handler.body[-1]
            if not (isinstance(first, ast.Raise) and first.exc is None):
                start, end = self.start(first), self.end(last)
                yield self.place, Change("handler → raise", start, end, "raise", *self.lines)
            yield from self._block(handler.body)
        yield from self._block(node.orelse)
        yield from self._block(node.finalbody)

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[tuple[Place, Change]]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if _UNTOUCHED_NAMES & set(names) or node.value is None or _makes_type(node.value):
            return
        outer = self.place
        if outer.function_line is None:
            self.place = Place(".".join([*self._scope, *names]), None)
        if isinstance(node, ast.AugAssign):
            yield self.change("assignment dropped", node, "pass")
            if (swapped := ARITHMETIC.get(type(node.op))) is not None:
                changed = copy.deepcopy(node)
                changed.op = swapped()
                yield self.change("arithmetic", node, ast.unparse(changed))
        elif not self._in_init and any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            yield self.change("assignment dropped", node, "pass")
        if isinstance(node.value, ast.Tuple) and outer.function_line is None:
            yield from self.drops("element dropped", node.value, node.value.elts)
        yield from self.expression(node.value)
        self.place = outer

    def _bare(self, node: ast.Expr) -> Iterator[tuple[Place, Change]]:
        if isinstance(node.value, ast.Constant) or _is_log_call(node.value):
            return
        if isinstance(node.value, ast.Call):
            yield self.change("call dropped", node, "pass")
        yield from self.expression(node.value)

    def _return(self, node: ast.Return) -> Iterator[tuple[Place, Change]]:
        value = node.value
        if value is None:
            return
        if not isinstance(value, ast.Constant):
            if self._returns_bool:
                yield self.change("return negated", value, f"not ({ast.unparse(value)})")
            else:
                yield self.change("return None", value, "None")
        yield from self.expression(value)


def _is_log_call(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    holder = node.func.value
    return isinstance(holder, ast.Name) and holder.id in _LOG_NAMES


def _makes_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TYPE_MAKERS
