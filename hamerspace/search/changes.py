"""Tell what has changed of a study since its run began."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hamerspace._secrets import without_passwords
from hamerspace.errors import ChangedStudyError

_ABSENT = "not there"


def refusal(what: str, changes: Sequence[str]) -> ChangedStudyError:
    """An error that names each change on a line of its own, and what to do."""
    lines = [f"{what}:", *(f"  {change}" for change in changes)]
    lines.append(
        "choose another folder with --out; or give --force (force=True), which sets the earlier "
        "run aside and searches anew"
    )
    return ChangedStudyError("\n".join(lines))


def changes_of_study(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each change, such as ``target.threads: 1 -> 2``.

    Args:
        before: What the run folder keeps: ``identity``, ``details`` (absent where an early version
            of Hamerspace began the run) and ``study``.
        now: The same of today.
    """
    old, new = before.get("identity", {}), now["identity"]
    found: list[str] = []
    for key, value in new.items():
        section = key.partition(" ")[0]
        if old.get(key) == value:
            continue
        if section == "task":
            found += _of_task(before, now)
        elif section == "space":
            found += _of_space(before, now)
        elif section == "backends":
            found += _of_values(section, old.get(key) or "all", value or "all")
        else:
            found += _of_values(section, old.get(key), value)
    return found


def changes_of_reads(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One line for each file or folder that the study's code has read and that has changed."""
    return [
        f"{name}: {'other contents' if now[name] else 'is gone'}"
        for name, digest in before.items()
        if now[name] != digest
    ]


def changes_of_storage(before: str | None, now: str | None) -> list[str]:
    """A line where the trials lie elsewhere: the numbers of a result are those of one storage."""
    old, new = ("in the folder" if url is None else without_passwords(url) for url in (before, now))
    return _lines([("storage", old, new)])


def changes_of_choices(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One line for each parameter of which other values can be chosen."""
    return _lines(
        (name, before.get(name, _ABSENT), now.get(name, _ABSENT))
        for name in sorted({*before, *now})
    )


def _of_task(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = before.get("study", {}), now["study"]
    was, config = old.get("config", {}), new["config"]
    found = _of_values("task", was.get("task", {}), config["task"])
    found += _of_values("search.seed", was.get("search", {}).get("seed"), config["search"]["seed"])
    found += _of_values("folder of the study", old.get("root"), new["root"])
    found += _of_values("trust_pickle", old.get("trust_pickle"), new["trust_pickle"])
    told = {line.partition(":")[0] for line in found}
    files = before.get("details", {}).get("files", {})
    for name, digest in now["details"]["files"].items():
        if name not in told and name in files and files[name] != digest:
            path = _at(config, name)
            where = f"{name} ({path})" if path else name
            found.append(f"{where}: other contents")
    gone = files.keys() - now["details"]["files"].keys() - told
    found += [f"{name}: is gone" for name in sorted(gone)]
    return found or ["task: a file behind it has other contents"]


def _of_space(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = before.get("study", {}).get("config", {}), now["study"]["config"]
    found = _of_values("space", old.get("space"), new["space"])
    found += _of_values("goal", old.get("goal"), new["goal"])
    if found:
        return found
    was, declared = before.get("details", {}).get("space"), now["details"]["space"]
    if was is None:
        return ["space: its file has other contents"]
    if not declared:
        return ["space: the spaces that come along are those of another version of Hamerspace"]
    return changes_of_choices(was, declared) or ["space: the text of its file, but no choice"]


def _of_values(name: str, before: Any, now: Any) -> list[str]:
    """The leaves in which two values of a study file differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return [
            line
            for key in dict.fromkeys((*before, *now))
            for line in _of_values(f"{name}.{key}", before.get(key), now.get(key))
        ]
    return _lines([(name, _told(before), _told(now))])


def _lines(changes: Iterable[tuple[str, str, str]]) -> list[str]:
    return [f"{name}: {old} -> {new}" for name, old, new in changes if old != new]


def _told(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_told(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value)) or "none"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _at(config: Mapping[str, Any], key: str) -> str:
    """The value of a dotted key of a study file; empty where there is none."""
    value: Any = config
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return str(value) if isinstance(value, str) else ""
