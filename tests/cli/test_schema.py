"""The schema is JSON that an editor can take."""

import json


def test_it_is_one_document_on_standard_output(call):
    for arguments in ([], ["study"]):
        document = json.loads(call("schema", *arguments).out)
        assert {"name", "task", "space", "constraints"} <= set(document["properties"])
    assert "parameters" in json.loads(call("schema", "space").out)["properties"]


def test_it_is_written_to_a_file(call, tmp_path):
    file = tmp_path / "study.schema.json"
    ended = call("schema", "--output", file)
    assert ended.out.strip() == str(file)
    assert json.loads(file.read_text())["title"] == "StudyConfig"


def test_an_unknown_kind_and_a_wrong_path_are_named(refused, tmp_path):
    assert "did you mean 'study'?" in refused("schema", "studdy")
    (tmp_path / "file").write_text("")
    assert "file/x.json" in refused("schema", "--output", tmp_path / "file" / "x.json")
