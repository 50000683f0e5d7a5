from dataclasses import replace

from hamerspace.report.card import card, counts


def test_it_tells_the_verdict_the_limits_and_every_model_of_the_final_table(run):
    shown = card(run, "runs/example")
    assert f"Study {run.name}" in shown
    assert "runs/example" in shown
    assert "latency at most 0.6 ms" in shown
    for candidate in run.confirmed:
        assert run.labels[candidate.number] in shown
    assert run.labels[run.chosen] in shown


def test_a_study_without_trials_has_no_table(run):
    empty = replace(run, trials=(), confirmed=(), source=replace(run.source, values={}))
    shown = card(empty, "runs/example")
    assert "No trial has finished yet." in shown
    assert "<table" not in shown


def test_what_a_user_named_is_escaped(run):
    assert "<b>" not in card(replace(run, name="<b>"), "<b>")


def test_counts_name_the_limits_only_where_there_are_any(run):
    assert "within the limits" in counts(run)
    assert "within" not in counts(replace(run, constraints={}))
