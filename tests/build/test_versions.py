import pytest

from hamerspace.build.versions import code_digest


@pytest.fixture
def digest(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "versions_pkg"
    (package / "below").mkdir(parents=True)
    for path in (package / "__init__.py", package / "part.py", package / "below" / "deep.py"):
        path.touch()
    (tmp_path / "versions_alone.py").touch()

    def digest(module):
        code_digest.cache_clear()
        return code_digest(module)

    yield digest
    code_digest.cache_clear()


def test_code_below_a_module_of_a_package_counts(digest, tmp_path):
    before = digest("versions_pkg.part")
    (tmp_path / "versions_pkg" / "below" / "deep.py").write_text("changed")
    assert digest("versions_pkg.part") != before


def test_packages_beside_a_lone_module_do_not_count(digest, tmp_path):
    before = digest("versions_alone")
    (tmp_path / "versions_pkg" / "part.py").write_text("changed")
    assert digest("versions_alone") == before
