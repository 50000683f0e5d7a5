"""The command line starts light, and shows its commands by what they are for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
HEAVY = (
    "torch",
    "onnx",
    "onnxruntime",
    "openvino",
    "optuna",
    "pandas",
    "plotly",
    "sklearn",
    "scipy",
)
EXTRAS = (
    *("torch", "torchao", "torch_pruning", "safetensors", "onnx", "onnxscript", "onnxruntime"),
    *("openvino", "nncf", "tensorflow", "keras", "tf2onnx", "ai_edge_litert"),
    *("ai_edge_quantizer", "transformers", "bitsandbytes", "optuna_dashboard"),
)


@pytest.mark.parametrize("module", ["hamerspace", "hamerspace.cli"])
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["search", "--help"],
        ["dashboard", "--help"],
        ["schema"],
        ["spaces"],
        ["backends"],
        ["init", "--example", "fashion_mnist"],
    ],
    ids=" ".join,
)
def test_what_needs_no_runtime_works_without_the_extras(arguments, tmp_path):
    code = (
        "import sys, importlib.util as u\n"
        f"missing = {EXTRAS}\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda n, p=None: None if n.split('.')[0] in missing else real(n, p)\n"
        "sys.modules.update(dict.fromkeys(missing))\n"  # None: importing one raises
        "from hamerspace.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


COMMANDS = {
    "Set up": ("backends", "init", "spaces", "schema"),
    "Search": ("plan", "search", "optimize"),
    "Inspect": ("show", "dashboard", "compare", "benchmark"),
    "Ship": ("export", "apply"),
}


@pytest.mark.parametrize("columns", [60, 160])
def test_help_lists_every_command_under_what_it_is_for(call, columns):
    ended = call("--help", columns=columns)
    assert ended.code == 0
    at = [ended.out.index(f"\n{panel}:\n") for panel in COMMANDS]
    for panel, start in zip(COMMANDS, at, strict=True):
        end = next((other for other in sorted(at) if other > start), len(ended.out))
        for command in COMMANDS[panel]:
            assert f"\n  {command} " in ended.out[start:end]
    assert max(map(len, ended.out.splitlines())) <= columns
    assert "..." not in ended.out.replace("[ARGS]...", "")
    assert "Exit codes: 0 done" in ended.out


def test_every_command_offers_json(call):
    for command in (name for names in COMMANDS.values() for name in names):
        if command != "schema":  # is JSON already
            assert "--json" in call(command, "--help").out


def test_version(call):
    from hamerspace import __version__

    assert call("--version").out == f"hamerspace {__version__}\n"


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["schema"], ["spaces"], ["backends", "--json"]])
def test_a_full_disk_is_told_in_one_line(arguments):
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from hamerspace.cli import main; main()", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "error: cannot write: No space left on device\n"


PROGRAM = f"{sys.executable} -c 'from hamerspace.cli import main; main()'"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--version >&-", 0),
        ("schema >&- 2>&- <&-", 0),
        ("show nowhere 2>&-", 2),
        ("show nowhere >&-", 2),
    ],
)
def test_streams_that_are_closed_lead_nowhere(arguments, code, tmp_path):
    (tmp_path / "precious").write_text("kept")
    done = subprocess.run(
        ["bash", "-c", f"{PROGRAM} {arguments}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_that_was_deleted_is_told(tmp_path):
    script = f"mkdir gone; cd gone; rmdir ../gone; {PROGRAM} plan {tmp_path}/x.onnx"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: the current folder was deleted; change to one that is there\n"


def test_names_that_no_text_holds_are_refused(refused):
    said = refused("show", "r\udcffn")
    assert said == "error: 'r\\udcffn': is no text in UTF-8; rename it"


def test_a_link_that_leads_to_itself_is_told(refused, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert "loop" in refused("plan", tmp_path / "loop" / "model.onnx")
    assert "ink" in refused("init", "--example", "fashion_mnist", "--output", tmp_path / "loop")


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_names_of_files_do_not_depend_on_the_locale(start, onnx_task, tmp_path, locale):
    shutil.copyfile(onnx_task / "model.onnx", tmp_path / "mödel→x.onnx")
    process, errors = start("init", "mödel→x.onnx", "--output", "nö", **locale)
    process.communicate(timeout=120)
    assert process.returncode == 0, Path(errors).read_text()
    assert "mödel→x.onnx" in (tmp_path / "nö" / "study.yaml").read_text(encoding="utf-8")
