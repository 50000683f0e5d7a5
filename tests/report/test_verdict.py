from dataclasses import replace

from hamerspace.report.run_data import Miss, Nearest
from hamerspace.report.verdict import misses, verdict
from tests.report.example_run import changed


def with_fates(run, **fates):
    winner = replace(run.winner, verdicts={**run.winner.verdicts, **fates})
    return replace(run, confirmed=(winner,))


def test_a_confirmed_winner_is_told_in_one_sentence(run):
    told = verdict(run)
    assert told.tone == "good"
    assert told.headline == (
        "onnxruntime static basic: 0.34 MB (3.7x smaller), 0.087 ms (14x faster), "
        "accuracy 91.9 % (drop 0.2 points [-0.2, +0.6]), "
        "confirmed on 4,000 rows: all limits kept."
    )
    assert [check.verdict for check in told.checks] == ["kept"] * 3
    assert told.checks[1].limit == "latency at most 0.6 ms"


def test_a_limit_that_is_not_shown_is_said(run):
    told = verdict(with_fates(run, max_accuracy_drop="not shown"))
    assert told.tone == "unsure"
    assert told.headline.endswith("whether quality drop is kept could not be shown.")


def test_a_winner_that_misses_is_never_good_news(run):
    told = verdict(with_fates(run, max_latency_ms="missed"))
    assert told.tone == "bad"
    assert "latency missed" in told.headline


def test_without_limits_none_are_claimed_to_be_kept(run):
    told = verdict(replace(with_fates(run), constraints={}))
    assert told.headline.endswith("confirmed on 4,000 rows; no limits were set.")


def test_feasible_but_not_confirmed_chooses_none(run):
    told = verdict(replace(run, confirmed=()))
    assert told.tone == "unsure"
    assert "12 trials of 40" in told.headline


def test_missed_at_confirmation_says_so(run):
    told = verdict(replace(run, confirmed=run.confirmed[2:], chosen=None))
    assert told.tone == "bad"
    assert "at confirmation" in told.headline


def test_nothing_feasible_names_the_nearest_and_its_miss(infeasible_run):
    told = verdict(infeasible_run)
    assert told.tone == "bad"
    assert told.headline.startswith("None of 40 trials keeps all limits; the nearest is openvino")
    assert "size 0.238 MB, at most 0.02 MB: 12 times the limit" in told.headline


def test_nothing_built_and_nothing_run(run):
    built = tuple(t for t in run.trials if t.ended_at == "build")
    empty = replace(run, confirmed=(), trials=built)
    assert verdict(empty).headline == "None of the 2 candidates could be built."
    crashed = tuple(changed(trial, ended_at="load") for trial in built)
    some = replace(empty, trials=(built[0], crashed[1]))
    assert verdict(some).headline == "None of the 2 candidates could be built and run."
    loaded = replace(empty, trials=crashed)
    assert verdict(loaded).headline == "2 candidates built, and each fails when run."
    assert verdict(replace(empty, trials=())).tone == "neutral"


def test_small_misses_are_told_in_percent(run):
    nearest = Nearest("x", 1, {"max_latency_ms": Miss(62.0, 50.0), "max_accuracy_drop": Miss(1, 1)})
    assert misses(run, nearest)[0] == "latency 62 ms, at most 50 ms: 24 % over"


def test_rows_too_few_to_show_it_of_any_candidate_are_said(run):
    unsure = with_fates(run, max_accuracy_drop="not shown")
    limit = run.constraints["max_accuracy_drop"]
    told = verdict(replace(unsure, smallest_drop=2 * limit))
    assert "rows so few show no drop under" in told.headline
    assert "rows so few" not in verdict(replace(unsure, smallest_drop=limit / 2)).headline
    assert "rows so few" not in verdict(replace(run, smallest_drop=2 * limit)).headline
