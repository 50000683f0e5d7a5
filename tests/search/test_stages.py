import pytest

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


def test_what_was_built_is_missing_no_more(bench, tmp_path):
    stages = bench.stages
    recipe = bench.prepared.space.complete(WEIGHTS)
    assert "build openvino" in stages.missing(recipe)
    before = stages.missing(recipe)
    built = bench.build(recipe)
    assert set(before) == set(built.seconds)
    assert stages.missing(recipe) == []
    seed, host = bench.config.search.seed, lambda: bench.prepared.host
    other = StoredStages(bench.prepared.task, Store(tmp_path / "store"), seed, host)
    assert other.missing(recipe) == [], "what another process built is seen too"


def test_stages_that_recipes_share_are_built_once(bench):
    stages = bench.stages
    bench.build(bench.prepared.space.complete(WEIGHTS))
    other = stages.missing(bench.prepared.space.complete({"backend": "openvino"}))
    assert other == ["build openvino"]


def test_what_cannot_be_built_lacks_no_stage(bench):
    assert bench.stages.missing(Recipe({"backend": "gone"})) == []
