import json

import pytest


def test_tool_environments_are_listed_with_how_to_get_them(call, monkeypatch, tmp_path):
    monkeypatch.setenv("HAMERSPACE_DATA", str(tmp_path))
    document = json.loads(call("backends", "--json").out)
    tools = {row["name"]: row for row in document["environments"]}
    assert not tools["litert-torch"]["installed"]
    assert tools["litert-torch"]["install"] == "hamerspace backends install litert-torch"
    runtimes = {row["name"]: row for row in document["backends"]}
    assert runtimes["tvm"]["install"] == "hamerspace backends install tvm"
    table = call("backends").out
    assert "no: hamerspace backends install tvm" in table


@pytest.mark.parametrize("columns", [40, 60])
def test_names_are_whole_on_a_narrow_terminal(call, monkeypatch, tmp_path, columns):
    monkeypatch.setenv("HAMERSPACE_DATA", str(tmp_path))
    shown = call("backends", columns=columns).out
    assert max(map(len, shown.splitlines())) <= columns
    for name in ("onnxruntime", "litert-torch", "ai-edge-quantizer"):
        assert name in shown
    assert "…" not in shown


def test_an_unknown_tool_environment_is_refused_in_one_line(call):
    ended = call("backends", "install", "tvmm")
    assert ended.code == 2
    assert ended.err.startswith("error: unknown tool environment 'tvmm'; did you mean 'tvm'?")
    assert ended.err.count("\n") == 1
