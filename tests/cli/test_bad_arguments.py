"""What is wrong with a flag or a file is said before any framework is imported."""

from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-size-mb", "0"], "--max-size-mb: must be above 0"),
        (["--max-latency-ms", "nan"], "--max-latency-ms: must be a finite number"),
        (["--max-accuracy-drop", "-1"], "--max-accuracy-drop: must be above 0"),
        (["--trials", "0"], "--trials: must be at least 1"),
        (["--batch-size", "0"], "--batch-size: must be at least 1"),
        (["--sampler", "tpee"], "--sampler: must be 'auto'"),
        (["--objectives", "speed"], "--objectives: must be 'quality'"),
        (["--objectives", ","], "--objectives: names nothing"),
        (["--backends", "onnxrt"], "unknown backend 'onnxrt'; did you mean 'onnxruntime'?"),
        (["--backends", ""], "--backends: names nothing"),
        (["--goal", "shrink"], "--goal: must be 'auto'"),
        (["--target-hardware", "edg"], "unknown target_hardware 'edg'; did you mean 'edge'?"),
        (["--space", "quik"], "unknown space 'quik'; did you mean 'quick'?"),
        (["--space", "none.yaml"], "--space: no such file"),
        (["--data", "none.npz"], "--data: no such file"),
        (["--input", "image"], "--input: 'image' is not of the form NAME="),
        (["--out", "/proc/nowhere"], "cannot write to /proc/nowhere"),
    ],
)
def test_wrong_flags_are_named(refused, onnx_task, flags, said):
    assert said in refused("search", onnx_task / "model.onnx", *flags)


def test_a_missing_model_is_named(refused):
    assert "no such file" in refused("search", "missing.onnx")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sarch"], "Did you mean 'search'?"),
        (["search"], "Missing argument"),
        (["search", "model.onnx", "--trils", "3"], "--trials"),
        (["search", "model.onnx", "--max-size-mb", "abc"], "--max-size-mb"),
    ],
)
def test_wrong_usage_is_refused_with_a_hint(call, arguments, said):
    ended = call(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"constrains": {}}, "did you mean 'constraints'?"),
        ({"budget": {"trials": "many"}}, "'budget.trials'"),
        ({"constraints": {"max_latency_ms": 0}}, "'constraints.max_latency_ms'"),
        ({"constraints": {"max_size_mb": float("nan")}}, "'constraints.max_size_mb'"),
        ({"objectives": []}, "'objectives'"),
    ],
)
def test_wrong_keys_of_a_study_are_named_with_their_line(
    refused, write_study, tmp_path, section, said
):
    study = write_study(tmp_path / "study", **section)
    message = refused("search", study)
    assert said in message
    assert f"{study}:" in message


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({}, "parameters"), ({"backend": []}, "backend")],
)
def test_an_empty_space_is_refused(refused, write_study, tmp_path, parameters, said):
    study = write_study(tmp_path / "study")
    space = study.parent / "space.yaml"
    space.write_text(f"version: 1\nname: empty\nparameters: {parameters}\n")
    assert said in refused("search", study)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [1\n", "\x00\x01"])
def test_a_file_that_is_no_study_is_named(refused, tmp_path, text):
    study = tmp_path / "odd.yaml"
    study.write_text(text)
    assert str(study) in refused("search", study)


def test_a_folder_with_other_files_is_left_as_it_is(call, onnx_task, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    ended = call("search", onnx_task / "model.onnx", "--out", folder)
    assert ended.code == 2
    assert "notes.txt" in ended.err
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "."], "holds no run"),
        (["show", "nowhere"], "nowhere holds no run"),
        (["export", "nowhere", "--output", "x"], "nowhere holds no run"),
        (["benchmark", "nowhere"], "no such file"),
        (["spaces", "qick"], "unknown space 'qick'; did you mean 'quick'?"),
    ],
)
def test_other_commands_name_what_is_not_there(refused, arguments, said):
    assert said in refused(*arguments)


def test_a_damaged_candidate_is_named(call, tmp_path):
    folder = tmp_path / "candidate"
    folder.mkdir()
    (folder / "manifest.json").write_text("{")
    ended = call("benchmark", folder)
    assert ended.code == 2
    assert "manifest.json" in ended.err
    (folder / "manifest.json").write_text("{}")
    assert "manifest.json" in call("benchmark", folder).err


@pytest.mark.parametrize(
    "flags", [("--threads", 10**7), ("--batch-size", 10**12), ("--batch-size", 10**30)]
)
def test_numbers_that_no_machine_takes_are_refused_at_once(refused, onnx_task, flags):
    said = refused("benchmark", onnx_task / "model.onnx", *flags)
    assert flags[0] in said


def test_a_backend_that_is_not_installed_is_refused_with_what_to_install(
    start, onnx_task, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda n, p=None: None if n.startswith('openvino') else real(n, p)\n"
    )
    np.savez(tmp_path / "d.npz", image=np.zeros((40, 3, 16, 16), "float32"))
    process, errors = start(
        *("search", onnx_task / "model.onnx", "--data", "d.npz", "--backends", "openvino"),
        PYTHONPATH=str(tmp_path),
    )
    assert process.wait(60) == 2
    said = Path(errors).read_text()
    assert "pip install 'hamerspace[openvino]'" in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()
