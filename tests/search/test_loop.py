import time

import pytest
from optuna.trial import TrialState, create_trial

from hamerspace.backends.base import Host
from hamerspace.config.space import SpaceConfig
from hamerspace.constraints import Constraints, penalty
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation
from hamerspace.quantities import Objective
from hamerspace.search.goal import Goal
from hamerspace.search.stop import Reason
from hamerspace.space.assemble import assemble_space
from hamerspace.testing.simulation import SimulatedEvaluator
from tests.search.conftest import LIMITS, SOURCE


def _ids(run):
    return [record.recipe.id for record in run.records.values()]


@pytest.fixture
def six_recipes():
    parameters = {
        "backend": "onnxruntime",
        "onnxruntime.quantization": ["none", "static_int8", "fp16"],
        "prune.ratio": [0.0, 0.5],
    }
    config = SpaceConfig.model_validate({"name": "six", "parameters": parameters})
    return assemble_space(config, SOURCE, Host("x86_64", frozenset()), "cross_entropy")


def test_the_first_trials_are_the_baselines_then_the_known_recipes(simulate):
    run = simulate(12)
    origins = [record.origin for record in run.records.values()]
    count = len(run.first)
    assert [r.recipe for r in run.records.values()][:count] == [f.recipe for f in run.first][:12]
    assert origins[:3] == ["baseline"] * 3
    assert "sampled" not in origins[:count]
    baselines = [run.records[n].recipe for n in range(3)]
    assert {r.backend for r in baselines} == {"onnxruntime", "openvino", "pytorch"}
    assert all(r[f"{r.backend}.quantization"] == "none" for r in baselines)


def test_of_the_first_trials_baselines_alone_are_tried_where_they_must_fail(simulate):
    done = simulate(40, known_to_fail=lambda recipe: recipe.backend == "openvino")
    first = {entry.recipe.id: entry.origin for entry in done.first}
    tried = [
        first.get(r.recipe.id) for r in done.records.values() if r.recipe.backend == "openvino"
    ]
    assert "baseline" in tried
    assert not {"known", "default"}.intersection(tried)
    assert {"known", "default"} < {record.origin for record in done.records.values()}


@pytest.mark.parametrize("sampler", ["auto", "nsgaii", "random"])
def test_the_same_seed_gives_the_same_recipes(simulate, sampler):
    one = simulate(30, sampler=sampler, storage="one.db")
    two = simulate(30, sampler=sampler, storage="two.db")
    other = simulate(30, sampler=sampler, storage="three.db", seed=7)
    assert _ids(one) == _ids(two)
    assert _ids(one) != _ids(other)


def test_a_recipe_is_evaluated_once_however_often_it_is_met(simulate, six_recipes):
    run = simulate(6, space=six_recipes, sampler="random")
    evaluated = [recipe.id for recipe in run.calls]
    assert len(set(evaluated)) == len(evaluated)
    for number, record in run.records.items():
        if record.reused_from is not None:
            original = run.records[record.reused_from]
            assert record.reused_from < number
            assert (original.reused_from, original.recipe) == (None, record.recipe)
            assert record.measurement == original.measurement
            assert record.values == original.values


def test_trials_that_reuse_a_measurement_are_told_to_the_listener_without_a_start(
    simulate, six_recipes
):
    run = simulate(40, space=six_recipes, sampler="random")
    reused = [n for n, record in run.watcher.finished if record.reused_from is not None]
    assert reused
    assert {n for n, _, _ in run.watcher.started} == set(run.records) - set(reused)


def test_a_space_that_is_used_up_ends_the_search(simulate, six_recipes):
    run = simulate(1000, space=six_recipes)
    assert run.stop.reason is Reason.EXHAUSTED
    assert run.stopped == "every one of the 6 recipes was measured"
    assert len(run.calls) == 6
    assert set(_ids(run)) == {recipe.id for recipe in six_recipes.recipes()}
    assert len(run.records) < 20


def test_the_budget_ends_the_search(simulate):
    run = simulate(9)
    assert run.stopped == "9 trials were finished"
    assert len(run.trials) == len(run.records) == 9


def test_a_deadline_ends_the_search_between_trials(simulate):
    run = simulate(50, deadline_s=time.monotonic() - 1)
    assert run.stopped == "the time limit was reached"
    assert run.records == {}


def test_little_left_to_gain_ends_the_search(simulate):
    run = simulate(45, space="quick", min_gain_percent=2.0)
    assert len(run.first) < len(run.records) < 40
    assert (run.stop.reason, run.stop.min_gain_percent) == (Reason.GAIN, 2.0)
    assert "less than 2 % to the hypervolume" in run.stopped
    patient = simulate(45, space="quick", min_gain_percent=0.1, storage="patient.db")
    assert len(run.records) < len(patient.records)


def test_the_first_trials_are_tried_whatever_there_is_to_gain(simulate):
    run = simulate(45, space="quick", min_gain_percent=1e6)
    tried = {record.recipe.id for record in run.records.values()}
    assert {entry.recipe.id for entry in run.first} <= tried
    assert len(tried) < 20


def test_a_resumed_search_ends_with_the_number_that_was_asked_for(simulate):
    simulate(7)
    resumed = simulate(20)
    assert len(resumed.trials) == 20
    assert len(resumed.calls) <= 13
    assert list(resumed.records) == list(range(20))
    assert simulate(20).calls == []


def test_a_resumed_search_does_not_repeat_itself(simulate):
    before = simulate(15, sampler="random")
    after = simulate(30, sampler="random")
    assert {r.id for r in before.calls}.isdisjoint({r.id for r in after.calls})
    assert _ids(after)[:15] == _ids(before)


def test_an_interrupted_search_leaves_finished_trials_only(simulate):
    evaluate, calls = SimulatedEvaluator(), []

    def interrupted(recipe):
        calls.append(recipe)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return evaluate(recipe)

    with pytest.raises(KeyboardInterrupt):
        simulate(20, evaluate=interrupted)
    run = simulate(20)
    assert len(run.trials) == 20
    assert {trial.state for trial in run.trials} == {TrialState.COMPLETE}
    assert run.calls[0] == calls[-1]  # it goes on with the recipe that was interrupted


def test_a_crash_of_the_process_that_searches_shows_in_the_storage_as_nothing(simulate):
    def checked(recipe):
        states.append([t.state for t in run_before.study.get_trials(deepcopy=False)])
        return SimulatedEvaluator()(recipe)

    run_before, states = simulate(3), []
    simulate(8, evaluate=checked)
    assert states
    assert all(set(found) == {TrialState.COMPLETE} for found in states)


def test_feasible_trials_carry_the_plain_measurements(simulate):
    run = simulate(60)
    feasible = [n for n, record in run.records.items() if record.feasible]
    assert feasible
    for number in feasible:
        found = run.records[number].measurement
        plain = [found.quality.value, found.latency.latency_ms.estimate, found.size_mb]
        assert run.trials[number].values == pytest.approx(plain, rel=1e-12)


def test_infeasible_trials_carry_a_penalty_on_top(simulate):
    run = simulate(60)
    infeasible = {n: r for n, r in run.records.items() if not r.feasible}
    assert infeasible
    for number, record in infeasible.items():
        total = penalty(record.violations)
        quality, latency, size = run.trials[number].values
        assert total > 0
        assert quality == pytest.approx(record.values["quality"] - 0.92 * total)
        assert latency == pytest.approx(record.values["latency"] + 1.0 * total)
        assert size == pytest.approx(record.values["size"] + 4.0 * total)


def test_constraints_have_the_same_keys_in_the_same_order_in_every_trial(simulate):
    run = simulate(50, evaluate=SimulatedEvaluator(failing=0.3))
    wanted = ["builds", "max_size_mb", "max_latency_ms", "max_accuracy_drop"]
    for number, trial in enumerate(run.trials):
        assert set(trial.constraints) == set(wanted)
        assert list(run.records[number].violations) == wanted
        assert run.records[number].feasible == all(v <= 0 for v in trial.constraints.values())


def test_a_resumed_sampler_sees_constraints_in_the_order_of_the_new_ones(simulate):
    simulate(10)
    seen = simulate(20).ledger._work.trials
    assert len(seen) == 20
    assert len({tuple(trial.constraints) for trial in seen}) == 1


def test_a_failed_build_is_a_finished_trial_and_the_search_goes_on(simulate):
    run = simulate(10, evaluate=SimulatedEvaluator(failing=1.0))
    assert len(run.records) == 10
    assert {t.state for t in run.trials} == {TrialState.COMPLETE}
    assert all(not record.feasible for record in run.records.values())
    assert run.trials[0].constraints["builds"] == 1.0
    assert set(run.records[0].imputed) >= {"quality", "latency", "size"}


def test_a_candidate_that_a_gate_ended_is_never_feasible(simulate):
    def gated(recipe):
        found = SimulatedEvaluator(failing=0)(recipe).measurement
        ended = Measurement(Gate.LATENCY, "too slow", size_mb=0.5, latency=found.latency)
        return Evaluation(recipe, ended)

    run = simulate(5, evaluate=gated, constraints=Constraints(max_latency_ms=0.001))
    assert not any(record.feasible for record in run.records.values())
    assert run.records[0].imputed == ("quality",)
    assert run.records[0].values["quality"] == 0.92


def test_directions_follow_the_objectives():
    goal = Goal((Objective.QUALITY, Objective.MEMORY, Objective.THROUGHPUT), LIMITS, {})
    assert goal.directions == ["maximize", "minimize", "maximize"]
    errors = Goal((Objective.QUALITY,), LIMITS, {}, minimize_quality=True)
    assert errors.directions == ["minimize"]


@pytest.mark.parametrize("objective", list(Objective))
def test_one_objective_is_enough(simulate, objective):
    run = simulate(12, objectives=(objective,), storage=f"{objective}.db")
    assert len(run.trials) == 12
    assert all(len(trial.values) == 1 for trial in run.trials)


def test_models_try_no_recipe_twice(simulate):
    run = simulate(60, objectives=(Objective.LATENCY,))
    assert len(set(_ids(run))) == len(run.calls) == 60


def test_sampling_finds_more_feasible_recipes_than_chance(simulate):
    """What the penalty and the constraints are for."""

    def feasible(sampler):
        run = simulate(70, sampler=sampler, name=sampler)
        return sum(record.feasible for record in run.records.values())

    assert feasible("auto") > 1.5 * feasible("random")


def test_a_trial_is_told_by_the_number_that_it_gets(simulate):
    first = simulate(3)
    first.study.add_trial(create_trial(state=TrialState.FAIL))
    again = simulate(5)
    told = [number for number, _, _ in again.watcher.started]
    assert told == [number for number, _ in again.watcher.finished] == [4, 5]


def test_where_others_add_trials_no_number_is_told_that_another_may_get(simulate):
    found = simulate(3, shared=True)
    assert [number for number, _, _ in found.watcher.started] == [None] * 3
