import shutil
from pathlib import Path

import pytest

import hamerspace
from hamerspace.build import versions
from hamerspace.build.versions import code_digest

ADAPTER = "hamerspace.backends.onnxruntime.backend"


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
        versions._own_code.cache_clear()
        return code_digest(module)

    yield digest
    code_digest.cache_clear()
    versions._own_code.cache_clear()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A copy of Hamerspace whose code may be changed."""
    root = tmp_path / "hamerspace"
    code = Path(hamerspace.__file__).parent
    shutil.copytree(code, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(versions, "_ROOT", root)
    return root


def test_code_of_the_whole_package_of_an_adapter_counts(digest, tmp_path):
    before = digest("versions_pkg.below.deep")
    (tmp_path / "versions_pkg" / "part.py").write_text("changed")
    assert digest("versions_pkg.below.deep") != before


def test_code_below_a_module_of_a_package_counts(digest, tmp_path):
    before = digest("versions_pkg.part")
    (tmp_path / "versions_pkg" / "below" / "deep.py").write_text("changed")
    assert digest("versions_pkg.part") != before


def test_packages_beside_a_lone_module_do_not_count(digest, tmp_path):
    before = digest("versions_alone")
    (tmp_path / "versions_pkg" / "part.py").write_text("changed")
    assert digest("versions_alone") == before


@pytest.mark.parametrize(
    "helper",
    [
        "tasks/onnx_module/__init__.py",
        "tasks/torch_module.py",
        "compress/_train.py",
        "measure/child.py",
        "environments/launch.py",
        "__init__.py",
    ],
)
def test_helpers_that_an_adapter_imports_and_the_version_count(digest, own, helper):
    before = digest(ADAPTER)
    assert digest(ADAPTER) == before
    file = own / helper
    file.write_text(file.read_text() + "\n# changed\n")
    assert digest(ADAPTER) != before


@pytest.mark.parametrize("shown", ["report/html.py", "cli/app.py", "search/loop.py", "study.py"])
def test_code_that_only_chooses_and_shows_leaves_what_is_built(digest, own, shown):
    before = digest(ADAPTER)
    (own / shown).write_text("# changed")
    assert digest(ADAPTER) == before
