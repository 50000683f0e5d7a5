"""What README and docs/ say is run, parsed or looked up, so that it stays true."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tests import programs
from tests.command_line import PROGRAM, Ended

ROOT = Path(__file__).parents[1]
# Not deeper: a model that a study fetches brings pages of its own.
_WHERE = ("*.md", "docs/*.md", "studies/*.md", "studies/*/*.md")
PAGES = sorted(page for where in _WHERE for page in ROOT.glob(where))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRIALS = 5
"""The runtimes that are not compressed, and the first of their defaults in int8."""
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Snippet(NamedTuple):
    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}-{self.number}"


def snippets(language: str) -> list[Snippet]:
    return [
        Snippet(page, number, found, text)
        for page in PAGES
        for number, (found, text) in enumerate(_FENCE.findall(page.read_text()))
        if found == language
    ]


def commands() -> Iterator[tuple[Path, list[str]]]:
    """Every command of the console blocks, as words; ``a && b`` are two."""
    for snippet in snippets("console"):
        for line in snippet.text.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                yield snippet.page, shlex.split(command, comments=True)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages' examples name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "config.py").write_text(
        "from hamerspace.backends.onnxruntime.config import CONFIG\n"
    )
    rng = np.random.default_rng(0)
    # Wide enough for int8 to make it smaller without doubt, whatever the machine does meanwhile.
    weights = [
        (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        for shape in ((8, 512), (512, 512), (512, 8))
    ]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w0"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "w1"], ["c"]),
            helper.make_node("Relu", ["c"], ["d"]),
            helper.make_node("MatMul", ["d", "w2"], ["scores"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    x = rng.standard_normal((4000, 8)).astype(np.float32)
    scores = np.maximum(np.maximum(x @ weights[0], 0) @ weights[1], 0) @ weights[2]
    low, high = np.sort(scores, axis=1)[:, -2:].T
    sure = np.argsort(low - high)[:1000]
    np.savez(tmp_path / "eval.npz", x=x[sure], labels=scores[sure].argmax(axis=1))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if "://" not in target:
            file = page.parent / target.partition("#")[0]
            assert file.exists(), f"{target} is not there"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    # The tutorial's examples are run one by one, in test_tutorial.py.
    sorted({s.page for s in snippets("python")} - {ROOT / "docs" / "tutorial.md"}),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_python_snippets_run(page: Path, workplace: Path) -> None:
    """In the order of the page and in one namespace, with a budget of a few trials."""
    text = "\n".join(s.text for s in snippets("python") if s.page == page)
    text = re.sub(r"trials=\d+", f"trials={TRIALS}", text)
    exec(compile(text, str(page), "exec"), {"__name__": "snippet"})
    if page.name == "README.md":
        assert (workplace / "trials.csv").read_text().count("\n") == TRIALS + 1


@pytest.mark.parametrize(
    "words",
    [words for _, words in commands() if words[0] == "hamerspace"],
    ids=lambda words: "_".join(words).replace("/", "-"),
)
def test_commands_and_their_flags_exist(words: list[str]) -> None:
    from hamerspace.cli import app

    if words[1].startswith("--"):  # an option of the program itself
        assert f"{words[1]} " in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
        return
    shown = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for word in words[2:]:
        if word.startswith("--"):
            assert f"{word} " in shown.output
        if word.startswith("studies/"):
            assert (ROOT / word).exists()


def test_other_commands_name_files_that_exist() -> None:
    """Scripts lie where the pages say, and the extras that they install are declared."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    text = "\n".join(page.read_text() for page in PAGES)
    for script in re.findall(r"\bscripts/[\w.]+", text):
        assert (ROOT / script).exists(), script
    for extra in re.findall(r"(?:\.|hamerspace)\[(\w+)\]'", text):
        assert extra in extras, extra


def test_cheap_commands_run(workplace: Path) -> None:
    cheap = {("backends",), ("spaces",)}
    found = {tuple(words[1:]) for _, words in commands() if words[0] == "hamerspace"}
    assert cheap <= found
    for arguments in cheap:
        subprocess.run([*PROGRAM, *arguments], check=True, cwd=workplace, timeout=120)


@pytest.mark.slow
def test_readme_search_of_a_model_runs(workplace: Path) -> None:
    """The command for one's own model, with a budget of a few trials, ends with a winner."""
    page, words = next(
        (p, w) for p, w in commands() if w[:3] == ["hamerspace", "search", "model.onnx"]
    )
    assert page == ROOT / "README.md"
    done = subprocess.run(
        [*PROGRAM, *words[1:], "--trials", str(TRIALS)],
        check=False,
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tree = next(s.text for s in snippets("") if s.page == page and s.text.startswith("runs/"))
    folder = Path(tree.split()[0])
    promised = {word for line in tree.splitlines()[1:] for word in [line.split()[0]]}
    for name in promised - {"best/", "model.onnx", "run.json"}:
        assert list((workplace / folder).rglob(name.rstrip("/"))), f"{name} is not there"
    for line in tree.splitlines():
        if line.strip().startswith("run.json"):
            assert all((workplace / folder / name).is_file() for name in line.split())


def test_readme_tells_the_results_of_the_studies() -> None:
    """Every cell of its short table stands in the row of that study in the long one."""
    short, long = (_results(ROOT / "README.md"), _results(ROOT / "studies" / "README.md"))
    assert list(short) == list(long)
    for name, row in short.items():
        assert set(row[1:]) <= set(long[name][1:])


def _results(page: Path) -> dict[str, list[str]]:
    text = page.read_text().partition("<!-- results: begin -->")[2]
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| [")]
    return {row[0].partition("]")[0]: row for row in rows if "/)" in row[0]}


def test_one_trial_goes_through_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("## One trial through the files")[2].partition("\n## ")[0]
    named = [n for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for n in _quoted(row)]
    assert len(named) > 50
    for name in named:
        assert (ROOT / "hamerspace" / name).exists(), name


def _quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_readme_holds_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    search = "pip install -e '.[full]' && hamerspace search studies/fashion_mnist/study.yaml"
    assert search in lines
    assert "pip install -e '.[dev]' && pytest" in lines


def test_study_file_of_getting_started_is_valid(tmp_path: Path) -> None:
    from hamerspace.config.loading import load_study

    for name in ("task.py", "weights.safetensors"):
        (tmp_path / name).symlink_to(ROOT / "studies" / "fashion_mnist" / name)
    (found,) = (s for s in snippets("yaml") if s.page.name == "getting-started.md")
    (tmp_path / "study.yaml").write_text(found.text)
    assert load_study(tmp_path / "study.yaml").config.name == "my_model"


def test_space_of_search_spaces_is_valid(tmp_path: Path) -> None:
    from hamerspace.backends.base import Host
    from hamerspace.config.loading import parse_space_file
    from hamerspace.space.assemble import assemble_space
    from hamerspace.tasks.model import SourceInfo, TensorSpec

    (found,) = (s for s in snippets("yaml") if s.page.name == "search-spaces.md")
    (tmp_path / "mine.yaml").write_text(found.text)
    spec = TensorSpec("x", "float32", (None, 8))
    source = SourceInfo("pytorch", (spec,), (spec,), 64, 256, ("conv", "linear"))
    config = parse_space_file(tmp_path / "mine.yaml")
    space = assemble_space(config, source, Host("x86_64", frozenset()), "cross_entropy")
    # Two backends, int8 or not: 4; times no pruning, or two ratios, each fine-tuned for one of two
    # numbers of epochs or distilled: 1 + 2 * 3.
    assert space.count() == 4 * 7


def test_parameters_are_all_listed() -> None:
    from hamerspace.config.packaged import packaged_spaces
    from hamerspace.space.describe import offered_parameters

    text = (ROOT / "docs" / "search-spaces.md").read_text()
    listed = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", text, re.MULTILINE))
    assert listed - set(packaged_spaces()) == set(offered_parameters())


def test_packaged_spaces_are_all_listed() -> None:
    from hamerspace.config.packaged import packaged_spaces

    text = (ROOT / "docs" / "search-spaces.md").read_text()
    for name in packaged_spaces():
        assert f"| `{name}` |" in text


def test_study_keys_are_all_listed() -> None:
    from hamerspace.config.study import StudyConfig

    text = (ROOT / "docs" / "getting-started.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*) \|$", text, re.MULTILINE))
    for section in ("constraints", "budget", "target", "search"):
        keys = StudyConfig.model_fields[section].annotation.model_fields
        assert set(re.findall(r"`(\w+)`", rows[section])) == set(keys), section


def test_python_flags_are_all_listed() -> None:
    from hamerspace.config.settings import SETTINGS

    text = (ROOT / "docs" / "python-api.md").read_text()
    for name in SETTINGS:
        assert f"`{name}`" in text


def test_exit_codes_are_those_of_the_command_line() -> None:
    from hamerspace.cli.app import EXIT_CODES
    from hamerspace.cli.search import INTERRUPTED, NOTHING_FEASIBLE, SOURCE_IS_BEST
    from hamerspace.errors import HamerspaceError

    codes = [0, 1, HamerspaceError.exit_code, NOTHING_FEASIBLE, SOURCE_IS_BEST]
    codes += [128 + signal.SIGHUP, INTERRUPTED, 128 + signal.SIGTERM]
    text = (ROOT / "docs" / "cli.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == codes
    assert [int(code) for code in re.findall(r"\d+", EXIT_CODES)] == codes


def test_every_command_has_its_section() -> None:
    from typer.main import get_command

    from hamerspace.cli import app

    text = (ROOT / "docs" / "cli.md").read_text()
    for name, command in get_command(app).commands.items():
        assert f"| [`{name}`](#{name}) |" in text
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert f"hamerspace {name}" in section
        called = command.make_context(name, [], resilient_parsing=True).command
        known = {option for param in called.params for option in param.opts}
        for row in re.findall(r"^\| (`--.*?) \|", section, re.MULTILINE):
            assert set(re.findall(r"`(--[\w-]+)`", row)) <= known


@pytest.mark.slow
def test_examples_of_the_command_line_run(workplace: Path, call: Callable[..., Ended]) -> None:
    """In the order of the page, with a budget of a few trials; not what installs or serves."""
    shown = [words for page, words in commands() if page.name == "cli.md"]
    assert len(shown) > 10
    for words in shown:
        if "install" in words or "completion" in words[1] or words[1] == "dashboard":
            continue
        if "--figures" in words and programs.find("browser") is None:
            continue
        if words[1] == "compare":
            shutil.copytree(workplace / "runs" / "model", workplace / "runs" / "other")
        searches = words[1] in ("search", "optimize")
        budget = ["--space", "quick", "--trials", str(TRIALS)] if searches else []
        ended = call(*words[1:], *budget)
        assert ended.code == 0, (words, ended.err)


def test_metrics_are_all_listed() -> None:
    from hamerspace.tasks.metrics import METRICS

    text = (ROOT / "docs" / "getting-started.md").read_text()
    for name in METRICS:
        assert f"`{name}`" in text


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    done = subprocess.run(
        [ROOT / "scripts" / "docs", tmp_path / "site"],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "site" / "api" / "study.html").read_text()
    for name in ("Study.optimize", "Study.from_model", "StudyListener"):
        assert name in text
    for page in (*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "api").glob("*.rst")):
        where = page.relative_to(ROOT / "docs").with_suffix(".html")
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        assert f"<h1>{title}<" in (tmp_path / "site" / where).read_text()
