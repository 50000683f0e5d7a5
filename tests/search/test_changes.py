"""What has changed is told by key, with the old value and the new."""

import pytest

from hamerspace.search.changes import changes_of_choices, changes_of_study, refusal

TASK = {
    "source": {"path": "model.onnx", "weights": None},
    "data": {"path": "data.npz"},
    "quality": {"metric": "accuracy"},
    "batch_size": 1,
}
FILES = {"task.source.path": "m", "task.data.path": "d", "task.py": "t"}


def _kept(identity, *, task=TASK, files=FILES, space=None, root="/studies", **config):
    return {
        "identity": identity,
        "details": {"files": files, "space": {"backend": "a, b"} if space is None else space},
        "study": {
            "config": {
                "task": task,
                "search": {"seed": 0},
                "space": "quick",
                "goal": "auto",
                **config,
            },
            "root": root,
            "trust_pickle": False,
        },
    }


@pytest.mark.parametrize(
    ("key", "before", "now", "line"),
    [
        (
            "constraints",
            {"max_size_mb": None, "max_accuracy_drop": 1.0},
            {"max_size_mb": 0.5, "max_accuracy_drop": 1.0},
            "constraints.max_size_mb: not set -> 0.5",
        ),
        (
            "constraints",
            {"max_size_mb": 2.0},
            {"max_size_mb": None},
            "constraints.max_size_mb: 2 -> not set",
        ),
        (
            "constraints",
            {"max_size_mb": 1234567.0},
            {"max_size_mb": 1234567.5},
            "constraints.max_size_mb: 1234567 -> 1234567.5",
        ),
        ("objectives", ["quality", "size"], ["size"], "objectives: quality, size -> size"),
        ("target", {"threads": 1}, {"threads": 2}, "target.threads: 1 -> 2"),
        ("backends", None, ["openvino"], "backends: all -> openvino"),
        ("backends", ["openvino"], ["litert"], "backends: openvino -> litert"),
    ],
)
def test_values_are_told_old_and_new(key, before, now, line):
    assert changes_of_study(_kept({key: before}), _kept({key: now})) == [line]


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"task": {**TASK, "batch_size": 4}}, ["task.batch_size: 1 -> 4"]),
        (
            {"task": {**TASK, "quality": {"metric": "f1_macro"}}},
            ["task.quality.metric: accuracy -> f1_macro"],
        ),
        (
            {
                "task": {**TASK, "source": {"path": "b.onnx", "weights": None}},
                "files": {**FILES, "task.source.path": "n"},
            },
            ["task.source.path: model.onnx -> b.onnx"],
        ),
        (
            {"files": {**FILES, "task.source.path": "n"}},
            ["task.source.path (model.onnx): other contents"],
        ),
        (
            {"files": {**FILES, "task.data.path": "e"}},
            ["task.data.path (data.npz): other contents"],
        ),
        ({"files": {**FILES, "task.py": "u"}}, ["task.py: other contents"]),
        ({"files": {k: v for k, v in FILES.items() if k != "task.py"}}, ["task.py: is gone"]),
        ({"search": {"seed": 3}}, ["search.seed: 0 -> 3"]),
        (
            {"task": {**TASK, "quality": {"metric": "accuracy", "loss": "none"}}},
            ["task.quality.loss: not set -> none"],
        ),
        ({"root": "/elsewhere"}, ["folder of the study: /studies -> /elsewhere"]),
    ],
)
def test_of_a_task_it_is_told_whether_model_data_or_metric(changed, lines):
    key = "task (model, data or metric)"
    assert changes_of_study(_kept({key: "x"}), _kept({key: "y"}, **changed)) == lines


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"space": {"backend": "a"}}, ["backend: a, b -> a"]),
        (
            {"space": {"backend": "a, b", "prune.ratio": "0, 0.5"}},
            ["prune.ratio: not there -> 0, 0.5"],
        ),
        ({"space": {}}, ["the spaces that come along are those of another version of Hamerspace"]),
        ({}, ["space: the text of its file, but no choice"]),
    ],
)
def test_of_a_space_its_choices_are_told(changed, lines):
    found = changes_of_study(_kept({"space": "x"}), _kept({"space": "y"}, **changed))
    assert [line.removeprefix("space: ") for line in found] == [
        line.removeprefix("space: ") for line in lines
    ]


def test_a_run_that_was_begun_before_details_were_kept_is_told_by_section():
    before = _kept({"space": "x", "task": "x"})
    del before["details"]
    assert changes_of_study(before, _kept({"space": "y", "task": "y"})) == [
        "space: its file has other contents",
        "task: a file behind it has other contents",
    ]


def test_choices_that_came_and_went_are_told():
    before, now = {"a": "1, 2", "b": "x"}, {"a": "1", "c": "y"}
    assert changes_of_choices(before, now) == [
        "a: 1, 2 -> 1",
        "b: x -> not there",
        "c: not there -> y",
    ]


def test_a_refusal_says_what_to_do():
    text = str(refusal("runs/x holds another study", ["target.threads: 1 -> 2"]))
    first, second, last = text.splitlines()
    assert first == "runs/x holds another study:"
    assert second == "  target.threads: 1 -> 2"
    assert "--out" in last
    assert "--force" in last
