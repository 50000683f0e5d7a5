"""Small tool environments: one that needs nothing, and one whose package cannot be had."""

import pytest

from hamerspace.environments import ENVIRONMENTS, Environment

TINY = Environment("tiny", "needs nothing", (), ("json",), 1)
UNREACHABLE = Environment("unreachable", "for tests", ("hamerspace-no-such==1",), ("json",), 1)
BROKEN = Environment("broken", "for tests", (), ("hamerspace_no_such_module",), 1)
VAST = Environment("vast", "for tests", (), (), 10**12)


@pytest.fixture(scope="module", autouse=True)
def known():
    """Register them."""
    with pytest.MonkeyPatch.context() as patch:
        for environment in (TINY, UNREACHABLE, BROKEN, VAST):
            reference = f"{__name__}:{environment.name.upper()}"
            patch.setitem(ENVIRONMENTS._references, environment.name, reference)
        yield


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """The user's data folder, for the tests of a module."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAMERSPACE_DATA", str(folder))
        yield folder


@pytest.fixture(scope="module")
def tiny(data_folder):
    """The interpreter of the installed environment ``tiny``."""
    from hamerspace.environments import environment_python
    from hamerspace.environments.install import install

    lines = []
    install("tiny", lines.append)
    assert lines[-1] == f"tiny is installed in {data_folder / 'environments' / 'tiny'}"
    return environment_python("tiny")
