"""What comes along is there, and a wheel is told to hold it."""

import tomllib
from pathlib import Path

from hamerspace.config.packaged import EXAMPLES, packaged_examples, packaged_spaces

ROOT = Path(__file__).parents[2]


def test_spaces_and_examples_are_there():
    assert {"quick", "cpu"} <= set(packaged_spaces())
    assert set(packaged_examples()) == set(EXAMPLES)
    for folder in packaged_examples().values():
        assert (folder / "study.yaml").is_file()


def test_a_wheel_holds_them():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = build["targets"]["wheel"]["force-include"]
    assert included["search_spaces"] == "hamerspace/_search_spaces"
    for name in EXAMPLES:
        assert included[f"studies/{name}"] == f"hamerspace/_studies/{name}"
    assert {"hamerspace", "search_spaces", "studies"} <= set(build["targets"]["sdist"]["include"])
    assert (ROOT / "hamerspace" / "py.typed").is_file()
