import json
import subprocess
import sys

import pytest

import hamerspace

HEAVY = (
    "torch", "onnx", "onnxruntime", "openvino", "nncf", "optuna", "pandas", "numpy", "sklearn",
    "scipy", "plotly", "pydantic", "sqlalchemy",
)  # fmt: skip


def _loaded_after(code):
    """Which heavy packages a fresh interpreter holds after running some code."""
    script = (
        f"{code}\nimport json, sys\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_importing_hamerspace_imports_nothing_heavy():
    assert _loaded_after("import hamerspace; hamerspace.__version__; dir(hamerspace)") == set()


def test_a_recipe_needs_nothing_heavy():
    assert _loaded_after("from hamerspace import Recipe, Constraints, HamerspaceError") == set()


def test_a_study_loads_no_framework():
    frameworks = {"torch", "onnx", "onnxruntime", "openvino", "nncf"}
    assert not _loaded_after("from hamerspace import Study") & frameworks


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "pytorch"])
def test_a_backend_module_imports_no_runtime(name):
    code = f"import hamerspace.backends.{name}.backend"
    assert _loaded_after(code) <= {"numpy"}


def test_listing_backends_and_techniques_imports_no_framework():
    code = (
        "from hamerspace.backends import BACKENDS\n"
        "from hamerspace.compress import TECHNIQUES\n"
        "[r.load(n).parameters() for r in (BACKENDS, TECHNIQUES) for n in r]"
    )
    assert _loaded_after(code) <= {"numpy"}


@pytest.mark.parametrize("name", hamerspace.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hamerspace, name) is not None
    assert name in dir(hamerspace)


def test_everything_that_is_loaded_lazily_is_public():
    assert set(hamerspace._EXPORTS) | {"__version__"} == set(hamerspace.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        _ = hamerspace.Studdy


def test_an_import_sets_no_environment_variable():
    code = (
        "import os; before = dict(os.environ)\n"
        "import hamerspace.study, hamerspace.build.worker\n"
        "assert dict(os.environ) == before"
    )
    _loaded_after(code)
