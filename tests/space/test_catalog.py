import pytest

from hamerspace.config.loading import parse_space_file
from hamerspace.config.packaged import packaged_spaces
from hamerspace.errors import ConfigError
from hamerspace.space.catalog import find_space_file


def test_every_file_is_named_as_the_space_in_it():
    for name, path in packaged_spaces().items():
        assert parse_space_file(path).name == name


def test_a_space_is_found_by_name_from_anywhere(tmp_path):
    assert find_space_file("quick", tmp_path) == packaged_spaces()["quick"]


def test_a_path_starts_at_the_study(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine")
    assert find_space_file("mine.yaml", tmp_path) == tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("name", "message"),
    [("quik", "unknown space 'quik'; did you mean 'quick'"), ("mine.yml", "no file .*mine.yml")],
)
def test_what_is_not_there_is_told(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        find_space_file(name, tmp_path)
