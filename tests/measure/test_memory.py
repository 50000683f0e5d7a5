import psutil
import pytest

from hamerspace.measure import memory

WHOLE_MB = psutil.virtual_memory().total / 1e6


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """``cgroups(own, **{file: text})`` lays out control groups as the kernel does."""

    def lay(own, files):
        (tmp_path / "self").write_text(own)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "fs")
        monkeypatch.setattr(memory, "_OWN_CGROUP", tmp_path / "self")

    return lay


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "300000000\n"}),
        ("0::/a/b\n", {"a/b/memory.max": "300000000\n", "a/memory.max": "400000000\n"}),
        ("0::/outside/name\n", {"memory.max": "300000000\n"}),
        ("5:memory:/a\n", {"memory/a/memory.limit_in_bytes": "300000000\n"}),
        ("5:cpu,memory:/gone\n", {"memory/memory.limit_in_bytes": "300000000\n"}),
    ],
    ids=["v2, of the parent", "v2", "v2 in a container", "v1", "v1 in a container"],
)
def test_the_limit_of_a_control_group_is_the_memory_that_there_is(cgroups, own, files):
    cgroups(own, files)
    assert memory.available_mb() == 300
    assert memory.default_limit_mb() == 225


def test_without_a_limit_it_is_that_of_the_machine(cgroups):
    cgroups("0::/a\n", {"a/memory.max": "max\n"})
    assert memory.available_mb() == WHOLE_MB
    cgroups("", {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert memory.available_mb() == WHOLE_MB
