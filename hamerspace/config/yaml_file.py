"""Read a YAML file and keep the line of every key; write one.

The scalars are those of the YAML 1.2 core schema: only ``true`` and ``false`` are booleans
(``off`` and ``no`` stay text), ``1e-3`` is a number, and dates and ``1:30`` are text.
https://yaml.org/spec/1.2.2/#103-core-schema
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hamerspace.errors import ConfigError

Location = tuple[str | int, ...]
"""Keys and list indices from the top of a document."""

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
_MOST_DIGITS = 40


class _CoreSchemaLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as in the base class


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as something else: ``on``, ``1e3``."""


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^(?:[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+)$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf)$|^\.nan$",
        "-+0123456789.",
    ),
    ("merge", r"^<<$", "<"),
):
    for _class in (_CoreSchemaLoader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(_pattern, re.ASCII), list(_first)
        )

_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("bool", "float", "int", "map", "merge", "null", "seq", "str")
)


@dataclass(frozen=True)
class YamlFile:
    """A file whose top level is a mapping.

    Attributes:
        path: As the user gave it, for messages.
        value: Plain mappings, lists and scalars.
    """

    path: Path
    value: dict[str, Any]
    _node: yaml.Node

    def line_of(self, location: Sequence[str | int]) -> int:
        """Line (from 1) of the deepest part of ``location`` that the file holds."""
        node, line = self._node, self._node.start_mark.line
        for step in location:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line + 1


def yaml_text(value: Any) -> str:
    """``value`` as YAML that any reader takes for the same, with its keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> YamlFile:
    """Read ``path``.

    Raises:
        ConfigError: There is no such file, it is a folder or unreadable, it is not YAML, holds
            nothing or no mapping, names a key twice, or has keys that are not text. The message
            names the file, and the line where there is one.
    """
    try:
        node, value = _parse(_read_text(path), path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}"
        raise ConfigError(f"{where}: not valid YAML: {_reason(error)}") from error
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: not a text file of YAML: {reason}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply to be read") from error
    except (ValueError, KeyError, IndexError) as error:  # such as '!!bool perhaps'
        raise ConfigError(f"{path}: a value cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(
            f"{path}:{node.start_mark.line + 1}: the top level must be a mapping of keys "
            f"(key: value), not {'a list' if isinstance(value, list) else repr(value)[:60]}"
        )
    return YamlFile(path, value, node)


def _parse(text: str, path: Path) -> tuple[yaml.Node, Any]:
    loader = _CoreSchemaLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(f"{path}: the file is empty; it must hold a mapping of keys")
        _check_node(node, path, {})
        return node, loader.construct_document(node)
    finally:
        loader.dispose()


def _read_text(path: Path) -> str:
    try:
        if path.is_dir():
            inside = path / "study.yaml"
            hint = f"; did you mean {inside}?" if inside.is_file() else "; give a YAML file"
            raise ConfigError(f"{path}: is a folder{hint}")
        # A pipe that nobody writes to is empty, rather than waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor
            data = stream.read(MAX_BYTES + 1)  # a device may never end
        if len(data) > MAX_BYTES:
            raise ConfigError(
                f"{path}: more than {MAX_BYTES / 1e6:.0f} MB is too large for a YAML file of keys"
            )
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file (UTF-8); give a YAML file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def _reason(error: yaml.MarkedYAMLError) -> str:
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    if "cannot start any token" in reason:
        reason += " (indent with spaces, not tabs; put text with special characters in quotes)"
    return reason


def _check_node(node: yaml.Node, path: Path, sizes: dict[int, int | None]) -> int:
    """Refuse repeated and non-text keys and cycles; return the size with aliases expanded."""
    known = sizes.get(id(node), 0)
    if known is None:
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: an alias refers to itself")
    if known:
        return known
    sizes[id(node)] = None
    total = 1
    if node.tag not in _TAGS:
        raise ConfigError(
            f"{path}:{node.start_mark.line + 1}: the tag '{node.tag}' is not taken; delete it"
        )
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, path)
        total += sum(_check_node(child, path, sizes) for _, child in node.value)
    elif isinstance(node, yaml.ScalarNode):
        if node.tag.endswith(":int") and len(node.value) > _MOST_DIGITS:
            line = node.start_mark.line + 1
            raise ConfigError(f"{path}:{line}: the number {node.value[:20]}... has too many digits")
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_check_node(child, path, sizes) for child in node.value)
    if total > MAX_NODES:
        raise ConfigError(f"{path}: more than {MAX_NODES:,} values, aliases expanded")
    sizes[id(node)] = total
    return total


def _check_keys(node: yaml.MappingNode, path: Path) -> None:
    first_line: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            shown = f" {key.value}" if isinstance(key, yaml.ScalarNode) else ""
            raise ConfigError(f"{path}:{line}: the key{shown} is not text; put it in quotes")
        if key.value in first_line:
            raise ConfigError(
                f"{path}:{line}: the key '{key.value}' stands twice (first in line "
                f"{first_line[key.value]}); delete one"
            )
        first_line[key.value] = line


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # Of keys that a merge brought in and the mapping's own, the own come last and win.
        for key, value in reversed(node.value):
            if key.value == step:
                return key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None
