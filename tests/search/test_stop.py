import json
import time

import pytest

from hamerspace.search.run_folder import RunFolder
from hamerspace.search.stop import Budget, GainWatch, Reason, Stop, exhausted

GAIN = {"reason": "gain", "text": "little is left", "min_gain_percent": 1.0}


def _ended(stopped, finished=8):
    return {"finished": finished, "stopped": stopped}


def test_trials_and_time_end_a_search():
    assert Budget(3).spent(2) is None
    assert Budget(3).spent(3) == Stop(Reason.TRIALS, "3 trials were finished")
    assert Budget(3, time.monotonic() + 60).spent(2) is None
    late = Budget(3, time.monotonic() - 1).spent(2)
    assert (late.reason, late.text) == (Reason.TIME, "the time limit was reached")


def test_a_stop_is_plain_values_in_a_file(tmp_path):
    RunFolder(tmp_path).write("stop.json", {"stopped": exhausted(6)})
    assert json.loads((tmp_path / "stop.json").read_text())["stopped"] == {
        "reason": "exhausted",
        "text": "every one of the 6 recipes was measured",
        "min_gain_percent": None,
    }


@pytest.mark.parametrize(
    ("budget", "result", "met"),
    [
        (Budget(8), {}, False),
        (Budget(8), _ended({"reason": "trials"}), True),
        (Budget(5), _ended({"reason": "trials"}), True),
        (Budget(9), _ended({"reason": "trials"}), False),
        (Budget(9), _ended({"reason": "time"}), False),
        (Budget(9), _ended({"reason": "exhausted"}), True),
        (Budget(8), {"finished": 8}, True),
        (Budget(9, min_gain_percent=1.0), _ended(GAIN), True),
        (Budget(9, min_gain_percent=0.5), _ended(GAIN), False),
        (Budget(9), _ended(GAIN), False),
    ],
)
def test_what_met_its_budget_does_not_go_on(budget, result, met):
    assert budget.met_by(result, 8) is met


def test_a_result_that_trials_were_added_to_is_not_the_end():
    assert not Budget(8).met_by(_ended({"reason": "exhausted"}, finished=7), 8)


def test_a_small_gain_ends_a_search_when_it_stays_small():
    watch = GainWatch(1.0)
    assert watch.stop(0.009) is None
    assert watch.stop(None) is None
    assert watch.stop(0.009) is None
    stop = watch.stop(0.0)
    assert stop.reason is Reason.GAIN
    assert stop.min_gain_percent == 1.0
    assert stop.text == "a trial more was expected to add less than 1 % to the hypervolume"


def test_a_large_gain_in_between_begins_the_count_anew():
    watch = GainWatch(1.0)
    gains = [0.0, 0.0, 0.02, 0.0, float("inf"), 0.0, 0.0]
    assert [watch.stop(gain) for gain in gains] == [None] * 7
    assert watch.stop(0.0) is not None


def test_without_a_threshold_no_gain_is_too_small():
    watch = GainWatch(None)
    assert [watch.stop(0.0) for _ in range(9)] == [None] * 9
