import sys

import optuna
import pytest
from optuna.samplers import NSGAIISampler, RandomSampler
from optuna.trial import TrialState

from hamerspace.errors import RunFolderError
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation, Record
from hamerspace.recipe import Recipe
from hamerspace.search.ledger import RECORD_KEY, Ledger


def _open(path, directions=("minimize",), shared=False, seeds=None, **named):
    def sampler(trials):
        if seeds is not None:
            seeds.append(trials)
        return RandomSampler(seed=trials)

    names = ["size_mb", "latency_ms"][: len(directions)]
    return Ledger(f"sqlite:///{path}", "study", directions, names, sampler, shared=shared, **named)


def _finish(ledger, size=1.0, given=True):
    trial = ledger.ask({"x": size} if given else None)
    size = trial.suggest_categorical("x", [1.0, 2.0, 3.0])
    measurement = Measurement(Gate.COMPLETE, size_mb=size)
    evaluation = Evaluation(Recipe({"backend": "b", "x": size}), measurement)
    record = Record(evaluation, "sampled", {"builds": 0.0}, {"size": 1})
    number = ledger.finish(trial, [size], record)
    ledger.settle()
    return number


def test_finished_trials_are_there_when_the_storage_is_opened_again(tmp_path):
    ledger = _open(tmp_path / "s.db")
    assert [_finish(ledger), _finish(ledger, 2.0)] == [0, 1]
    again = _open(tmp_path / "s.db")
    assert dict(again.records) == dict(ledger.records)
    assert [t.params for t in again.kept.trials] == [{"x": 1.0}, {"x": 2.0}]


def test_trials_that_were_asked_but_not_finished_are_not_in_the_storage(tmp_path):
    ledger = _open(tmp_path / "s.db")
    ledger.ask(None)
    ledger.ask({"x": 1.0})
    assert _open(tmp_path / "s.db").kept.trials == []


def test_the_sampler_is_made_from_the_number_of_earlier_trials(tmp_path):
    seeds = []
    ledger = _open(tmp_path / "s.db", seeds=seeds)
    _finish(ledger)
    _finish(ledger)
    _open(tmp_path / "s.db", seeds=seeds)
    assert seeds == [0, 2]


def test_processes_that_share_a_storage_take_in_each_others_trials(tmp_path):
    one = _open(tmp_path / "s.db", shared=True)
    two = _open(tmp_path / "s.db", shared=True)
    assert [_finish(one), _finish(two, 2.0), _finish(one, 3.0)] == [0, 1, 2]
    one.refresh()
    assert sorted(one.records) == [0, 1, 2]
    assert len(one._work.get_trials(states=(TrialState.COMPLETE,))) == 3


def test_a_shared_storage_keeps_what_each_trial_is(tmp_path):
    one, two = (_open(tmp_path / "s.db", shared=True) for _ in range(2))
    _finish(one)
    _finish(two, 2.0)
    for trial in _open(tmp_path / "s.db").kept.trials:
        assert Record.from_json(trial.user_attrs[RECORD_KEY]).recipe["x"] == trial.params["x"]


def test_another_studys_objectives_are_refused(tmp_path):
    _open(tmp_path / "s.db")
    with pytest.raises(RunFolderError, match="other objectives"):
        _open(tmp_path / "s.db", ("minimize", "maximize"))


def test_a_study_of_someone_else_is_refused_and_left_as_it_is(tmp_path):
    theirs = optuna.create_study(storage=f"sqlite:///{tmp_path / 's.db'}", study_name="study")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(RunFolderError, match="that Hamerspace did not make; give this study"):
        _open(tmp_path / "s.db")
    assert theirs.metric_names is None
    assert theirs.user_attrs == {}


def test_who_can_build_other_recipes_does_not_share(tmp_path):
    _open(tmp_path / "s.db", shared=True, choices="a")
    _open(tmp_path / "s.db", shared=True, choices="a")
    with pytest.raises(RunFolderError, match=r"would not compare.*other runtimes"):
        _open(tmp_path / "s.db", shared=True, choices="b")


def test_generations_go_on_where_they_were(tmp_path):
    def reopen():
        sampler = NSGAIISampler(population_size=4, seed=0)
        return Ledger(
            f"sqlite:///{tmp_path / 's.db'}", "study", ["minimize"], ["x"], lambda _: sampler
        )

    def generation(ledger):
        trial = ledger.ask(None)
        trial.suggest_categorical("x", [1.0, 2.0, 3.0])
        return ledger._work.trials[-1].system_attrs["NSGAIISampler:generation"]

    ledger = reopen()
    for _ in range(9):
        _finish(ledger, given=False)
    before, again = generation(ledger), reopen()
    assert before == generation(again) == 2


def test_a_storage_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "s.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(RunFolderError, match="cannot be read, it is damaged"):
        _open(tmp_path / "s.db")


def test_dashboards_see_the_names_of_the_objectives(tmp_path):
    assert _open(tmp_path / "s.db").kept.metric_names == ["size_mb"]


def test_a_reader_takes_in_what_another_process_finished(tmp_path):
    searching, reading = _open(tmp_path / "s.db"), _open(tmp_path / "s.db")
    _finish(searching)
    reading.refresh()
    assert dict(reading.records) == {}
    reading.take_in()
    assert dict(reading.records) == dict(searching.records)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:secret@h/x", "pip install psycopg, and write postgresql+psycopg://"),
        ("mysql://u:secret@h/x", "pip install pymysql, and write mysql+pymysql://"),
        ("nonsense", "it is no address of a database"),
        ("nosuch://x", "it is no address of a database"),
    ],
)
def test_a_storage_without_its_driver_says_what_to_install(monkeypatch, url, said):
    for driver in ("psycopg2", "psycopg", "MySQLdb", "pymysql"):
        monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(RunFolderError, match="cannot be opened") as told:
        Ledger(url, "name", ["minimize"], ["size"], lambda _: RandomSampler())
    assert said in str(told.value)
    assert "damaged" not in str(told.value)
    assert "secret" not in str(told.value)
