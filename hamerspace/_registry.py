"""Registries map a name to an import string, so that listing names imports nothing heavy."""

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, TypeVar

from hamerspace.errors import HamerspaceError, did_you_mean

T = TypeVar("T")


def import_string(reference: str) -> Any:
    """Return the object that ``module:attribute`` names."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Mapping[str, T]):
    """Named import strings: the built-in ones, then those of other packages' entry points.

    Looking at an entry imports it, as :meth:`load` does; asking for names does not.

    Args:
        kind: What the entries are, for error messages ("backend", "metric").
        group: The entry point group through which other packages add entries.
        builtin: Name to ``module:attribute``.
    """

    def __init__(self, kind: str, group: str, builtin: dict[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)

    @cached_property
    def _references(self) -> dict[str, str]:
        references = dict(self._builtin)
        for entry in entry_points(group=self.group):
            if references.get(entry.name, entry.value) != entry.value:
                raise HamerspaceError(
                    f"two {self.kind}s are named '{entry.name}': {references[entry.name]} and "
                    f"{entry.value}; uninstall or rename one of them"
                )
            references[entry.name] = entry.value
        return references

    def __getitem__(self, name: str) -> T:
        return self.load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)

    def __contains__(self, name: object) -> bool:
        return name in self._references

    def load(self, name: str) -> T:
        """Import and return the entry.

        Raises:
            HamerspaceError: No entry has this name; the message names the nearest.
        """
        if name not in self._references:
            raise HamerspaceError(f"unknown {self.kind} '{name}'{did_you_mean(name, self)}")
        entry: T = import_string(self._references[name])
        return entry
