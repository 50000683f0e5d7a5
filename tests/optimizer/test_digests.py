"""What behaves alike has the same digest, in this process and in another."""

import functools
import subprocess
import sys

import numpy as np
import pytest

from hamerspace.errors import ConfigError
from hamerspace.optimizer.digests import function_digest

FACTOR = 2.0


def _within(threshold, weights=None):
    def score(outputs, labels):
        return float((np.abs(outputs - labels) < threshold).mean()) * (weights is None or 1.0)

    return score


def _scaled(outputs, labels):
    return FACTOR * float((outputs == labels).mean())


class _Judge:
    def __init__(self, level):
        self.level = level

    def __call__(self, outputs, labels):
        return self.level


def test_closures_of_one_factory_differ_by_what_they_close_over():
    assert function_digest(_within(0.1)) == function_digest(_within(0.1))
    assert function_digest(_within(0.1)) != function_digest(_within(0.9))
    weights = np.arange(3.0)
    assert function_digest(_within(0.1, weights)) == function_digest(_within(0.1, weights.copy()))
    assert function_digest(_within(0.1, weights)) != function_digest(_within(0.1, weights + 1))


def test_globals_that_a_function_names_count(monkeypatch):
    before = function_digest(_scaled)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert function_digest(_scaled) != before


def test_partials_and_callable_objects_count_by_content():
    one, other = functools.partial(_within, 0.1), functools.partial(_within, 0.2)
    assert function_digest(one) == function_digest(functools.partial(_within, 0.1))
    assert function_digest(one) != function_digest(other)
    assert function_digest(_Judge(1)) == function_digest(_Judge(1)) != function_digest(_Judge(2))
    assert function_digest(_Judge(1).__call__) != function_digest(_Judge(2).__call__)


def test_another_process_finds_the_same_digest():
    code = (
        "from hamerspace.optimizer.digests import function_digest\n"
        "def f(a, b, scale={'x': (1, 2.5)}):\n"
        "    return sum({1, 2, len('abc')}) * scale['x'][0]\n"
        "print(function_digest(f))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_what_has_no_lasting_content_is_refused(tmp_path):
    with (tmp_path / "log").open("w") as stream, pytest.raises(ConfigError, match="validate: "):
        function_digest(lambda outputs, labels: stream.write("x"))
