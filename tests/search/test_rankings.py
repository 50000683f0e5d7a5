from hamerspace.build.ranking import Ranking
from hamerspace.recipe import Recipe
from hamerspace.search.rankings import RANKINGS_FILE, keep_ranking, kept_rankings
from hamerspace.search.run_folder import RunFolder
from hamerspace.study import Study

INT8 = Ranking(
    "a1",
    {"backend": "onnxruntime", "onnxruntime.quantization": "static_int8"},
    (("conv2", float("inf")), ("conv1", 0.25)),
)


def test_rankings_come_back_in_the_order_of_their_need(tmp_path):
    folder = RunFolder(tmp_path)
    other = Ranking("0b", {"backend": "openvino"}, (("fc", 1e-9),))
    assert kept_rankings(folder) == []
    for ranking in (INT8, other, INT8):
        keep_ranking(folder, ranking)
    assert kept_rankings(folder) == [INT8, other]


def test_one_that_is_there_already_is_not_written_again(tmp_path):
    folder = RunFolder(tmp_path)
    keep_ranking(folder, INT8)
    written = (tmp_path / RANKINGS_FILE).stat().st_mtime_ns
    keep_ranking(folder, INT8)
    assert (tmp_path / RANKINGS_FILE).stat().st_mtime_ns == written


def test_a_search_keeps_what_its_trials_ranked_even_out_of_the_store(write_study, tmp_path):
    space = {
        "backend": ["onnxruntime"],
        "onnxruntime.quantization": ["static_int8"],
        "onnxruntime.float_layers": [0, 1, 2],
    }
    path = write_study(tmp_path / "study", space, budget={"trials": 3})
    for name in ("first", "second"):  # the second takes every build from the store
        study = Study.from_yaml(path, out=tmp_path / name).optimize()
        recipes = [record.recipe for record in study.records().values()]
        assert {recipe.get("onnxruntime.float_layers", 0) for recipe in recipes} >= {1, 2}
        ((scheme, layers),) = study.run_data().sensitivity.items()
        assert scheme == "onnxruntime static_int8"
        errors = [error for _, error in layers]
        assert len(errors) > 2
        assert errors == sorted(errors, reverse=True)
        (ranking,) = kept_rankings(study.folder)
        assert "onnxruntime.float_layers" not in Recipe(ranking.parameters)
