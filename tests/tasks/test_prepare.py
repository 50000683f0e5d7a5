import pytest

from hamerspace.tasks.prepare import _fingerprint
from hamerspace.tasks.sources import SourceSpec


@pytest.mark.parametrize(
    ("builder", "trusted", "same"),
    [("task:build", False, False), (None, True, False), (None, False, True)],
)
def test_code_that_the_users_code_imports_decides_the_source(tmp_path, builder, trusted, same):
    (tmp_path / "source").mkdir()
    (tmp_path / "task.py").write_text("import net")
    (tmp_path / "net.py").write_text("one")
    spec = SourceSpec(None, None, builder, None, tmp_path, trust_pickle=trusted)
    before = _fingerprint(tmp_path / "source", spec)
    (tmp_path / "net.py").write_text("two")
    assert (_fingerprint(tmp_path / "source", spec) == before) == same
