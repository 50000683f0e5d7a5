import math
import sys

import pytest

from hamerspace._registry import Registry, import_string
from hamerspace.backends import BACKENDS
from hamerspace.compress import TECHNIQUES
from hamerspace.errors import HamerspaceError
from hamerspace.targets import TARGETS


@pytest.fixture
def shapes():
    builtin = {"square": "math:sqrt", "circle": "math:pi"}
    return Registry("shape", "hamerspace.no_such_group", builtin)


def test_an_import_string_names_an_attribute():
    assert import_string("math:pi") == pytest.approx(3.14159, abs=1e-5)


def test_names_come_in_the_order_of_declaration(shapes):
    assert list(shapes) == ["square", "circle"]
    assert "square" in shapes
    assert "triangle" not in shapes


def test_an_entry_is_imported_when_it_is_loaded(shapes):
    assert shapes.load("square") is math.sqrt


def test_an_unknown_name_is_refused_with_the_nearest(shapes):
    with pytest.raises(HamerspaceError, match="unknown shape 'circel'; did you mean 'circle'"):
        shapes.load("circel")


def test_entries_are_looked_at_as_those_of_a_mapping(shapes):
    assert len(shapes) == 2
    assert dict(shapes) == {"square": math.sqrt, "circle": math.pi}


@pytest.mark.parametrize("registry", [BACKENDS, TECHNIQUES, TARGETS])
def test_every_entry_that_comes_along_can_be_loaded(registry):
    for name in registry:
        entry = registry.load(name)
        assert name in (getattr(entry, "name", name), name)


def test_other_packages_add_entries(plugins):
    assert "unruly" in BACKENDS
    assert "hamerspace_unruly" not in sys.modules
    assert BACKENDS.load("unruly").title == "Unruly"


def test_two_packages_with_one_name_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "hamerspace_rival-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: hamerspace-rival\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[hamerspace.shapes]\nsquare = rival:SQUARE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry("shape", "hamerspace.shapes", {"square": "math:sqrt"})
    with pytest.raises(HamerspaceError, match="two shapes are named 'square': math:sqrt and rival"):
        list(registry)
