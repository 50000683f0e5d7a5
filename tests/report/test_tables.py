from dataclasses import replace

import numpy as np
import pytest

from hamerspace.quantities import FIGURES
from hamerspace.report.tables import FINAL_COLUMNS, final_markdown, final_rows, trials_frame


def test_the_frame_has_a_row_for_each_trial_and_the_documented_columns(run):
    frame = trials_frame(run)
    assert list(frame.index) == list(range(40))
    assert set(FIGURES) < set(frame.columns)
    row, trial = frame.loc[5], run.trials[5]
    assert row["param.openvino.quantization"] == "int8"
    assert row["violation.max_size_mb"] == trial.violations["max_size_mb"]
    assert row["seconds.total"] == pytest.approx(trial.finished_s - trial.started_s)
    assert frame.loc[frame.on_front, "feasible"].all()


def test_what_was_not_measured_is_nan(run):
    built = next(t.number for t in run.trials if t.ended_at == "build")
    assert np.isnan(trials_frame(run).loc[built, "latency_ms"])


def test_an_empty_run_has_the_columns_too(shortened_run):
    frame = trials_frame(shortened_run(0))
    assert frame.empty
    assert frame["latency_ms"].dtype == float
    assert frame["feasible"].dtype == bool


def test_the_winner_is_compared_with_the_source_and_the_plain_runtimes(run):
    rows = final_rows(run)
    assert rows[0]["verdict"] == "source"
    assert rows[0]["latency"] == "1.21 ms"
    winner = rows[1]
    assert winner["name"] == run.labels[run.chosen]
    assert winner["verdict"] == "winner: all limits kept"
    assert winner["latency"] == "0.087 ms (14x faster)"
    assert [r["verdict"] for r in rows[2:4]] == ["quality drop not shown", "quality drop missed"]
    assert [row["verdict"].split(";")[0] for row in rows[5:]] == 3 * ["uncompressed"]


def test_what_was_measured_on_other_rows_stands_below_the_source_on_those_rows(run):
    rows = final_rows(run)
    assert (rows[0]["quality"], rows[0]["drop"]) == ("91.8 %", "-")
    assert rows[4]["verdict"] == "source, on the rows of the search"
    assert (rows[4]["quality"], rows[4]["drop"]) == ("92.1 %", "-")
    same = [row for row in rows[5:] if row["drop"].startswith("0.0")]
    assert same
    assert {row["quality"] for row in same} == {"92.1 %"}
    unconfirmed = replace(run, confirmed=(), source=replace(run.source, confirm_values={}))
    names = [row["name"] for row in final_rows(unconfirmed)]
    assert names.count(run.source.label) == 1


def test_a_confirmed_baseline_is_not_listed_twice(run):
    confirmed = replace(run.winner, recipe_id=run.trials[0].recipe_id, number=0)
    rows = final_rows(replace(run, confirmed=(confirmed,), chosen=0))
    assert [row["name"] for row in rows].count("onnxruntime fp32") == 1


def test_markdown_is_a_table_and_escapes_bars(run):
    named = replace(run, source=replace(run.source, label="a|b"))
    lines = final_markdown(named).splitlines()
    assert lines[0].startswith("| model | accuracy | drop")
    assert lines[2].startswith("| a\\|b | 91.8 % |")
    assert len(lines) == 2 + len(final_rows(run))
    assert all(line.count(" | ") == len(FINAL_COLUMNS) - 1 for line in lines)
