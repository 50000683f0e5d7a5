import math
import os
from pathlib import Path

import pytest
import yaml

from hamerspace.config.yaml_file import read_yaml, yaml_text
from hamerspace.errors import ConfigError


def write(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    return path


def test_scalars_are_those_of_yaml_1_2(tmp_path):
    text = "a: off\nb: none\nc: 1e-3\nd: 2024-01-01\ne: 1:30\nf: true\ng: .inf\nh: 010\ni: 1_000\n"
    value = read_yaml(write(tmp_path, text)).value
    assert value == {
        "a": "off",
        "b": "none",
        "c": 0.001,
        "d": "2024-01-01",
        "e": "1:30",
        "f": True,
        "g": math.inf,
        "h": "010",
        "i": 1000,
    }


def test_lines_are_those_of_the_keys(tmp_path):
    file = read_yaml(write(tmp_path, "# note\na:\n  b:\n    - 1\n    - {c: 2}\n"))
    assert file.line_of(("a",)) == 2
    assert file.line_of(("a", "b", 1, "c")) == 5
    assert file.line_of(("a", "missing")) == 2


def test_a_merged_mapping_may_be_overridden(tmp_path):
    file = read_yaml(write(tmp_path, "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  a: 3\n"))
    assert file.value["y"] == {"a": 3, "b": 2}
    assert file.line_of(("y", "a")) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a.yaml: the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n", "a.yaml:1: the top level must be a mapping"),
        ("just text\n", "not 'just text'"),
        ("a:\n  b: [1\n", "a.yaml:3:1: not valid YAML"),
        ("a: 1\n\tb: 2\n", "indent with spaces, not tabs"),
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3: the key 'a' stands twice (first in line 1)"),
        ("x:\n  a: 1\n  a: 1\n", "a.yaml:3: the key 'a' stands twice"),
        ("1: 2\n", "a.yaml:1: the key 1 is not text; put it in quotes"),
        ("? [a]\n: 2\n", "is not text"),
        ("a: &x [*x]\n", "a.yaml:1: an alias refers to itself"),
        ("a: !!python/object/apply:os.getcwd []\n", "a.yaml:1: the tag"),
        ("a: 1\n---\nb: 2\n", "single document"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: !!bool perhaps\n", "a.yaml: a value cannot be read"),
        ('a: !!int ""\n', "a.yaml: a value cannot be read"),
        ("a: !!timestamp noon\n", "a.yaml:1: the tag 'tag:yaml.org,2002:timestamp' is not taken"),
        ("a: 0x" + "f" * 5000, "a.yaml:1: the number 0xfff"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    with pytest.raises(ConfigError) as error:
        read_yaml(write(tmp_path, text))
    assert words in str(error.value)


def test_aliases_cannot_blow_up(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases expanded"):
        read_yaml(write(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("content", [bytes(range(256)), b"PK\x03\x04\x00abc", b"a: \xff\n"])
def test_binary_files_are_refused(tmp_path, content):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.yaml: not a text file"):
        read_yaml(path)


def test_a_missing_file_and_folders(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder; give a YAML file"):
        read_yaml(tmp_path)
    (tmp_path / "study.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"is a folder; did you mean .*study\.yaml"):
        read_yaml(tmp_path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffa: 1\n".encode())
    assert read_yaml(path).value == {"a": 1}


def test_a_file_that_never_ends_is_not_read(tmp_path):
    (tmp_path / "a.yaml").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=r"a\.yaml: more than 1 MB"):
        read_yaml(tmp_path / "a.yaml")


def test_a_pipe_is_read_and_one_without_a_writer_is_empty(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"a\.yaml: the file is empty"):
        read_yaml(tmp_path / "a.yaml")
    reader, writer = os.pipe()
    os.write(writer, b"a: 1")
    os.close(writer)
    assert read_yaml(Path(f"/dev/fd/{reader}")).value == {"a": 1}
    os.close(reader)


def test_what_is_written_reads_as_the_same_by_either_version_of_yaml(tmp_path):
    texts = ["on", "no", "1e3", "0x1f", "1:30", "012", "~", "", "<<", "1_0", ".inf", "2020-01-01"]
    value = {"texts": texts, "numbers": [1e-5, 3, True, None], "on": "\x1b[31m"}
    written = yaml_text(value)
    assert read_yaml(write(tmp_path, written)).value == value
    assert yaml.safe_load(written) == value
