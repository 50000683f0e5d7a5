from hamerspace.constraints import Constraints
from hamerspace.quantities import BY_KEY, BY_LIMIT, BY_NAME, QUANTITIES, Objective
from hamerspace.recipe import Recipe
from hamerspace.testing.simulation import SimulatedEvaluator

RECIPE = Recipe({"backend": "onnxruntime", "onnxruntime.quantization": "none"})


def test_every_objective_and_every_limit_is_a_quantity():
    assert {objective.value for objective in Objective} <= BY_NAME.keys()
    assert Constraints(**dict.fromkeys(BY_LIMIT, 1.0)).limits().keys() == BY_LIMIT.keys()


def test_a_whole_measurement_holds_each_of_them():
    measurement = SimulatedEvaluator(failing=0)(RECIPE).measurement
    assert measurement.observed().keys() == BY_NAME.keys()
    for quantity in QUANTITIES:
        found = measurement.interval(quantity)
        assert found.low <= found.estimate <= found.high
        if quantity.paired:
            assert measurement.ratio(quantity).estimate > 0


def test_what_compares_by_another_names_one():
    assert BY_KEY["quality"].compared.key == "drop_points"
    assert BY_KEY["throughput_per_s"].ratio_of.key == "latency_ms"
    assert BY_KEY["size_mb"].compared is BY_KEY["size_mb"].ratio_of is BY_KEY["size_mb"]


def test_every_objective_has_a_key_with_its_unit():
    keys = {objective.value: objective.quantity.key for objective in Objective}
    assert keys == {
        "quality": "quality",
        "latency": "latency_ms",
        "size": "size_mb",
        "memory": "memory_mb",
        "throughput": "throughput_per_s",
        "download": "download_mb",
        "p90_latency": "p90_latency_ms",
        "load_time": "load_time_ms",
    }
