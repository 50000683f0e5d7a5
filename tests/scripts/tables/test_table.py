import json
import lzma
from dataclasses import replace

import pytest

from hamerspace.errors import ConfigError
from hamerspace.recipe import Recipe
from scripts.tables.table import Table


@pytest.fixture
def saved(table, tmp_path):
    path = tmp_path / "made.json.xz"
    table.save(path)
    return path


def test_a_table_comes_back_from_its_file_to_six_digits(table, saved, tmp_path):
    again = Table.load(saved)
    assert [row.recipe for row in again.rows] == [row.recipe for row in table.rows]
    assert again.setting.constraints == table.setting.constraints
    assert again.setting.objectives == table.setting.objectives
    assert again.setting.source == table.setting.source
    assert again.setting.space.choices == table.setting.space.choices
    for one, two in zip(table.rows, again.rows, strict=True):
        assert two.measurement.ended_at is one.measurement.ended_at
        assert two.measurement.reason == one.measurement.reason
        assert len(two.looks) == len(one.looks)
        assert [again.stages[k] for k in two.stages] == [table.stages[k] for k in one.stages]
        if not one.measurement.failed:
            assert two.measurement.size_mb == pytest.approx(one.measurement.size_mb, rel=1e-5)
            assert two.short.latency_ms.low == pytest.approx(one.short.latency_ms.low, rel=1e-5)
            assert two.looks[0].quality.rows == one.looks[0].quality.rows
    again.save(tmp_path / "again.json.xz")
    twice = Table.load(tmp_path / "again.json.xz")
    assert (twice.rows, twice.stages) == (again.rows, again.stages)
    assert twice.setting.to_dict() == again.setting.to_dict()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no table",
        lzma.compress(b"this is no JSON"),
        lzma.compress(b"[1, 2]"),
        lzma.compress(b"{}"),
        lzma.compress(b'{"format": 1, "stages": []}'),
    ],
    ids=["empty", "text", "no JSON", "a list", "an object", "without rows"],
)
def test_what_is_no_table_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "foreign.json.xz"
    path.write_bytes(content)
    _refused(path, f"{path} is no readable table: ")


def test_a_damaged_table_is_refused_in_one_line(saved):
    content = saved.read_bytes()
    saved.write_bytes(content[: len(content) // 2])
    _refused(saved, f"{saved} is no readable table: ")
    saved.write_bytes(content[:500] + bytes(100) + content[600:])
    _refused(saved, f"{saved} is no readable table: ")


def test_a_table_that_is_not_there_is_refused_in_one_line(tmp_path):
    _refused(tmp_path / "gone.json.xz", "gone.json.xz is no readable table: FileNotFoundError")


def test_another_format_is_refused_in_one_line(saved):
    value = json.loads(lzma.decompress(saved.read_bytes()))
    saved.write_bytes(lzma.compress(json.dumps({**value, "format": 99}).encode()))
    _refused(saved, f"{saved} is a table of another version of Hamerspace")


def _refused(path, words):
    with pytest.raises(ConfigError) as refused:
        Table.load(path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_recipe_that_the_table_lacks_is_named_with_what_to_do(table):
    stranger = Recipe({"backend": "litert"})
    assert table.row(table.rows[3].recipe) is table.rows[3]
    with pytest.raises(ConfigError) as refused:
        table.row(stranger)
    text = str(refused.value)
    assert f"the table of made lacks recipe {stranger.id}" in text
    assert '{"backend": "litert"}' in text
    assert "scripts/tabulate.py" in text


def test_what_was_not_measured_is_told(table):
    assert table.missing() == []
    part = replace(table, rows=table.rows[2:])
    assert part.missing() == [row.recipe for row in table.rows[:2]]
