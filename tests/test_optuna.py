"""What Hamerspace relies on in Optuna beyond its public promises."""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from hamerspace._optuna import (
    add_trial,
    is_read_only,
    note_taker,
    open_storage,
    open_study,
    sampler_attributes,
    sqlite_url,
    with_sorted_attributes,
)

UNIFORM = optuna.distributions.FloatDistribution(0, 1)


@pytest.fixture
def study(tmp_path):
    return optuna.create_study(storage=open_storage(sqlite_url(tmp_path / "study.db")))


def _told(names):
    work = optuna.create_study()
    trial = work.ask({"x": UNIFORM})
    for index, name in enumerate(names):
        trial.set_constraint(name, index - 1.0)
    trial.set_user_attr("note", "kept")
    return work.tell(trial, 0.5)


def test_sqlite_writes_ahead_and_waits(tmp_path):
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 100_000


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _closed_for_writing(folder):
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_storage_that_one_may_only_read_is_read_without_a_trace(tmp_path, permissions_hold):
    url = sqlite_url(tmp_path / "study.db")
    storage = open_storage(url)
    add_trial(optuna.create_study(storage=storage, study_name="s"), _told(["a"]))
    storage.engine.dispose()
    assert not is_read_only(url)
    assert _names(tmp_path) == ["study.db"]
    _closed_for_writing(tmp_path)
    with permissions_hold():
        assert is_read_only(url)
        assert len(open_study(url, "s", ["minimize"]).trials) == 1
        with pytest.raises(KeyError):
            open_study(url, "another", ["minimize"])
    assert _names(tmp_path) == ["study.db"]


def test_the_trials_of_a_search_that_goes_on_elsewhere_are_seen(tmp_path, permissions_hold):
    url = sqlite_url(tmp_path / "study.db")
    theirs = open_study(url, "s", ["minimize"])
    add_trial(theirs, _told(["a"]))
    _closed_for_writing(tmp_path)
    with permissions_hold():
        seen = open_study(url, "s", ["minimize"])
        assert len(seen.trials) == 1
        add_trial(theirs, _told(["a"]))
        assert len(seen.trials) == 2


def test_a_trial_is_added_whole_and_its_number_told(study):
    assert [add_trial(study, _told(["b", "a"])) for _ in range(3)] == [0, 1, 2]
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    kept = study.trials[1]
    assert kept.state is TrialState.COMPLETE
    assert kept.constraints == {"b": -1.0, "a": 0.0}
    assert kept.user_attrs == {"note": "kept"}
    assert kept.values == [0.5]


def test_a_sampler_notes_the_generation_of_a_trial_under_its_name():
    study = optuna.create_study(sampler=optuna.samplers.NSGAIISampler(seed=0))
    study.ask({"x": UNIFORM})
    assert sampler_attributes(study, 0) == {"NSGAIISampler:generation": 0}


def test_attributes_are_sorted_whatever_order_they_were_set_in():
    trials = [with_sorted_attributes(_told(names)) for names in (["b", "a"], ["a", "b"])]
    assert [list(trial.constraints) for trial in trials] == [["a", "b"]] * 2


def test_sorting_leaves_the_trial_itself_and_all_else_alone():
    trial = _told(["b", "a"])
    found = with_sorted_attributes(trial)
    assert list(trial.constraints) == ["b", "a"]
    assert found == trial
    assert found.params == trial.params


def test_sorted_trials_can_be_added_to_a_study():
    study = optuna.create_study()
    study.add_trials([with_sorted_attributes(_told(["b", "a"]))])
    assert list(study.trials[0].constraints) == ["a", "b"]


def test_a_study_without_constraints_is_sorted_too():
    trial = create_trial(value=1.0, params={"x": 0.5}, distributions={"x": UNIFORM})
    assert with_sorted_attributes(trial).constraints == {}


def test_two_storages_of_one_file_see_each_others_trials(tmp_path):
    url = sqlite_url(tmp_path / "study.db")
    one = optuna.create_study(storage=open_storage(url), study_name="s")
    two = optuna.load_study(storage=open_storage(url), study_name="s")
    assert [add_trial(one, _told(["a"])), add_trial(two, _told(["a"]))] == [0, 1]
    assert len(one.trials) == len(two.trials) == 2


def test_a_finished_trial_can_be_held_to_take_notes(study):
    add_trial(study, _told(["a"]))
    taker = note_taker(study, study.trials[0]._trial_id)
    assert taker.number == 0
    assert taker.storage is study._storage
    assert taker.study is study
