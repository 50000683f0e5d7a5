"""Makes the example run available to every test of this folder."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "example_run", Path(__file__).with_name("example_run.py")
)
example_module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(example_module)


@pytest.fixture
def run():
    return example_module.example_run()


@pytest.fixture
def infeasible_run():
    return example_module.infeasible_run()


@pytest.fixture
def shortened_run():
    """Function from a number of trials to a run cut off there."""
    return example_module.example_run
