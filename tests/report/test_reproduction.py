import json
from dataclasses import replace

from hamerspace.config.loading import load_study
from hamerspace.recipe import Recipe
from hamerspace.report.reproduction import reproduction
from hamerspace.search.identity import begin
from hamerspace.study import Study


def test_the_winners_recipe_can_be_read_back(run):
    recipe = Recipe.from_json(json.dumps(json.loads(reproduction(run).recipe)))
    assert recipe.id == run.winner.recipe_id
    assert reproduction(replace(run, confirmed=())).recipe == ""


def test_the_study_can_be_searched_again_from_what_is_told(write_study, onnx_task, tmp_path):
    study = Study.from_model(
        onnx_task / "model.onnx",
        data=str(onnx_task / "data.npz"),
        out=tmp_path / "run",
        trials=7,
        seed=3,
        max_size_mb=2.5,
    )
    told = reproduction(study.run_data())
    assert told.command == ""
    assert "optimize()" in told.program
    (tmp_path / "study.yaml").write_text(told.study_yaml)
    assert load_study(tmp_path / "study.yaml").config == study.loaded.config


def test_the_command_is_told_without_the_password_of_a_storage(write_study, tmp_path):
    study = Study.from_yaml(write_study(tmp_path / "study"), out=tmp_path / "run")
    command = "hamerspace search study.yaml --storage mysql://me:secret@db/x"
    with study.folder.held():
        begin(study.folder, study.loaded, None, None, command)
    told = reproduction(study.run_data()).command
    assert told == "hamerspace search study.yaml --storage mysql://me:***@db/x"


def test_the_program_says_what_the_study_file_does_not(run):
    restricted = replace(run, study_yaml="name: x", only_backends=("openvino",), trust_pickle=True)
    program = reproduction(restricted).program
    assert "Study.from_yaml(\"study.yaml\", backends=('openvino',), trust_pickle=True)" in program


def test_a_metric_of_a_python_session_is_told_instead_of_a_program_that_fails(onnx_task, tmp_path):
    study = Study.from_model(
        onnx_task / "model.onnx",
        metric="hamerspace_session:mine_1",
        direction="maximize",
        out=tmp_path / "run",
    )
    program = reproduction(study.run_data()).program
    assert "function of the Python session" in program
    assert "from_yaml" not in program
