"""YAML with what a configuration needs beyond it: the line of every value, `${VARIABLES}`, and MongoDB's filters.

A filter (`sources[n].where`) is read the way MongoDB means it: Extended JSON such as `{$oid: …}` becomes the value it
stands for, keys are text, dates are naive UTC as pymongo keeps them, and JavaScript is refused.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from bson import json_util
from bson.errors import BSONError

from lbmigrate.errors import Problem

_BOOL = "tag:yaml.org,2002:bool"
_NUMBERS = {_BOOL, "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_AMBIGUOUS = {"yes", "no", "on", "off", "y", "n"}
_SERVER_CODE = ("$where", "$function", "$accumulator")
_FILTER = re.compile(r"sources\[\d+\]\.where\b")
_VALUE_MAP = re.compile(r"\.let\.[^.]+\.map$")
_VARIABLE = re.compile(r"\$\$(?P<brace>\{?)|\$\{(?P<name>[A-Za-z_]\w*)(?P<or>:-(?P<default>[^{}]*))?\}|\$\{(?s:.*)")
LARGEST = 128 << 10  # bytes of a file, and characters of its values once aliases and variables have been put in
_TOO_LARGE = f"the file is larger than a configuration may be ({LARGEST:,} characters)"
_DEEPEST = 100
_LONGEST_PLACE = 1000  # characters of a path: deep keys that are long as well would make many long paths
_SHOWN = 40
_NAIVE_UTC = json_util.JSONOptions(tz_aware=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """A text into which values of the environment were put: how the file says it, and those values."""

    text: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A document's values, the line of every path in it, and what is wrong. `data` is None where it is not YAML.

    `taken` has the paths whose values came from the environment: they may be secrets.
    """

    data: Any
    lines: Mapping[str, int]
    problems: list[Problem]
    taken: Mapping[str, Taken] = field(default_factory=dict)

    def line(self, path: str) -> int | None:
        """Find the line of `path`, or of the nearest thing around it that the file has."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)


def parse(text: str, environ: Mapping[str, str]) -> Tree:
    """Read a document; `${NAME}` and `${NAME:-default}` in text come from `environ`, `$$` is a plain `$`."""
    if len(text) > LARGEST:
        return Tree(None, {}, [Problem("", _TOO_LARGE)])
    try:
        reader = _Reader(_Loader(text), environ)
        return Tree(reader.read(), reader.lines, reader.problems, reader.taken)
    except yaml.MarkedYAMLError as error:
        what = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        near = text.splitlines()[mark.line : mark.line + 1] if mark else []
        what += "; put ${NAME} in quotes inside { } and [ ]" if "${" in "".join(near) else ""
        return Tree(None, {}, [Problem("", f"not YAML: {what}", mark.line + 1 if mark else None)])
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Tree(None, {}, [Problem("", f"not YAML: {error.reason}", line)])
    except yaml.YAMLError as error:
        return Tree(None, {}, [Problem("", str(error))])


def dotted(path: str, key: object) -> str:
    """`path.key`, or just the key at the top."""
    return f"{path}.{key}" if path else str(key)


class _Loader(yaml.SafeLoader):
    """YAML in which only true and false are booleans, as in YAML 1.2: `yes` and `on` are words of many apps.

    Its size and depth are bounded, so that no file can cost more than a configuration does.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._size, self._depth = 0, 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As usual, within bounds: an alias counts as all that it stands for, before anything of it is copied."""
        self._depth += 1
        start, before = self.peek_event().start_mark, self._size  # type: ignore[no-untyped-call]  # the library has no types
        if self._depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {_DEEPEST} levels", problem_mark=start)
        node = super().compose_node(parent, index)
        known = self._sizes.get(id(node))
        self._size += known or 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self._size > LARGEST:
            raise yaml.MarkedYAMLError(problem=f"{_TOO_LARGE} with its aliases", problem_mark=start)
        if known is None:
            self._sizes[id(node)] = self._size - before
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != _BOOL]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, loader: _Loader, environ: Mapping[str, str]) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.taken: dict[str, Taken] = {}
        self._loader = loader
        self._environ = environ
        self._merged: set[int] = set()
        self._substituted = 0

    def read(self) -> Any:
        """Return the document's values; an empty one has no keys."""
        node = self._loader.get_single_node()
        return {} if node is None else self._value(node, "")

    def _complain(self, path: str, message: str, line: int | None = None) -> None:
        self.problems.append(Problem(path, message, line or self.lines[path]))

    def _value(self, node: yaml.Node, path: str) -> Any:
        self.lines.setdefault(path, _line(node))
        if path.count(".") + path.count("[") > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="this contains itself", problem_mark=node.start_mark)
        if len(path) > _LONGEST_PLACE:
            raise yaml.MarkedYAMLError(problem="the keys that lead here are too long", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: str) -> Any:
        if id(node) not in self._merged:
            self._merged.add(id(node))
            self._find_duplicates(node, path)
            self._loader.flatten_mapping(node)
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            self.lines[dotted(path, key)] = _line(key_node)
            values[key] = self._value(value_node, dotted(path, key))
        return self._filter(values, path) if _FILTER.match(path) else values

    def _find_duplicates(self, node: yaml.MappingNode, path: str) -> None:
        first: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self._key(key_node, path), _line(key_node)
            if key in first:
                self._complain(dotted(path, key), f"is written twice, first on line {first[key]}", line)
            first.setdefault(key, line)

    def _key(self, node: yaml.Node, path: str) -> Any:
        """Read a key as it is written: only in a value map is 1 a number."""
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be a word or a number", problem_mark=node.start_mark)
        is_number = node.tag in _NUMBERS and _VALUE_MAP.search(path)
        return self._loader.construct_object(node) if is_number else node.value

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:
            return self._complain(path, f"{node.value[:_SHOWN]} cannot be read: {error}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return self._complain(path, f"{node.value[:_SHOWN]} is larger than a number can be")
        if isinstance(value, dt.date):
            return _naive_utc(value)
        if not isinstance(value, str):
            return value
        if node.style is None and value.lower() in _AMBIGUOUS and _FILTER.match(path):
            self._complain(path, f"{value} may be a truth or a word; write true, false or '{value}' in quotes")
        return _VARIABLE.sub(lambda found: self._substitute(found, path), value)

    def _substitute(self, found: re.Match[str], path: str) -> str:
        if found[0].startswith("$$"):
            # MongoDB has variables of its own, such as $$NOW, which a filter may use.
            return found[0] if _FILTER.match(path) and not found["brace"] else found[0][1:]
        name = found["name"]
        if name is None:
            self._complain(path, "`${` begins ${NAME} or ${NAME:-default}; write $${ for a plain ${")
            return found[0]
        if name not in self._environ and found["or"] is None:
            self._complain(path, f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        value = self._environ.get(name) or found["default"] or ""
        if self._environ.get(name):
            before = self.taken.get(path, Taken(found.string, ()))
            self.taken[path] = Taken(found.string, (*before.values, value))
        self._substituted += len(value)
        if self._substituted > LARGEST:
            raise yaml.YAMLError(f"{_TOO_LARGE} with its variables")
        return value

    def _filter(self, values: dict[str, Any], path: str) -> Any:
        for operator in _SERVER_CODE:
            if operator in values:
                self._complain(dotted(path, operator), f"{operator} runs JavaScript on the server; use query operators")
        if "$regex" in values:
            return values
        if isinstance(values.get("$date"), dt.datetime):
            return values["$date"]
        try:
            return json_util.object_hook(values, _NAIVE_UTC)
        except (BSONError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            return self._complain(path, f"is not the Extended JSON that it looks like: {error}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _naive_utc(value: dt.date) -> dt.datetime:
    if not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
