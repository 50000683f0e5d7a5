import pytest

from hamerspace.build.builder import Builder
from hamerspace.build.store import Store
from hamerspace.config.loading import load_study
from hamerspace.recipe import Recipe
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.stages import StoredStages
from hamerspace.search.workbench import Workbench

WEIGHTS = {"backend": "openvino", "openvino.quantization": "weights_int8"}


@pytest.fixture
def bench(write_study, tmp_path):
    loaded = load_study(write_study(tmp_path / "study"))
    with (
        Prepared(loaded, Store(tmp_path / "store")) as prepared,
        Workbench(prepared, RunFolder(tmp_path / "run")) as bench,
    ):
        yield bench


def another_builder(bench, tmp_path):
    """As another process has it."""
    task, host, seed = bench.prepared.task, bench.prepared.host, bench.config.search.seed
    return Builder(task, Store(tmp_path / "store"), lambda _: None, seed, lambda: host, 60.0)


def test_what_was_built_is_missing_no_more(bench, tmp_path):
    stages = bench.stages
    recipe = bench.prepared.space.complete(WEIGHTS)
    assert "build openvino" in stages.missing(recipe)
    before = stages.missing(recipe)
    built = bench.build(recipe)
    assert set(before) == set(built.seconds)
    assert stages.missing(recipe) == []
    other = StoredStages(another_builder(bench, tmp_path))
    assert other.missing(recipe) == [], "what another process built is seen too"


def test_stages_that_recipes_share_are_built_once(bench):
    stages = bench.stages
    bench.build(bench.prepared.space.complete(WEIGHTS))
    other = stages.missing(bench.prepared.space.complete({"backend": "openvino"}))
    assert other == ["build openvino"]


def test_what_cannot_be_built_lacks_no_stage(bench):
    assert bench.stages.missing(Recipe({"backend": "gone"})) == []


def test_more_layers_in_float_than_were_ranked_are_known_to_fail(write_study, tmp_path):
    parameters = {
        "backend": ["onnxruntime"],
        "onnxruntime.quantization": ["dynamic_int8"],
        "onnxruntime.dynamic_op_types": ["linear", "all"],
        "onnxruntime.float_layers": [1, 2],
    }
    loaded = load_study(write_study(tmp_path / "study", parameters))
    with (
        Prepared(loaded, Store(tmp_path / "store")) as prepared,
        Workbench(prepared, RunFolder(tmp_path / "run")) as bench,
    ):
        one, two, others, _ = prepared.space.recipes()
        assert not bench.stages.known_to_fail(two), "nothing was ranked yet"
        assert "leaves nothing to quantise" in bench.build(one).error
        assert bench.stages.known_to_fail(two)
        assert not bench.stages.known_to_fail(others), "of all operators there are more"


def test_what_needs_a_stage_that_failed_is_known_to_fail(bench, tmp_path):
    broken, whole = (
        bench.prepared.space.complete(part) for part in (WEIGHTS, {"backend": "openvino"})
    )
    builder = another_builder(bench, tmp_path)
    builder.failed[bench.build(broken).key] = ("timeout", "took too long")
    stages = StoredStages(builder)
    assert stages.known_to_fail(broken)
    assert not stages.known_to_fail(whole)
