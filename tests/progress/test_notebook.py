"""The display of a real search in a real kernel."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from hamerspace.progress.notebook import NotebookProgress, in_notebook


def shown(cell):
    """The HTML that a cell displays, in the end."""
    return [
        output.data["text/html"]
        for output in cell.outputs
        if output.output_type == "display_data" and "text/html" in output.data
    ]


@pytest.fixture
def execute(write_study, tmp_path):
    """``execute(*cells)`` runs cells after one that makes ``study``, and returns them."""
    path = write_study(tmp_path / "study", budget={"trials": 2})
    first = f"from hamerspace import Study\nstudy = Study.from_yaml({str(path)!r}, out='run')"

    def run(*sources):
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in (first, *sources)]
        where = {"metadata": {"path": str(tmp_path)}}
        client = NotebookClient(notebook, timeout=200, kernel_name="python3", resources=where)
        try:
            client.execute()
        except CellExecutionError as error:
            run.error = error
        return notebook.cells[1:]

    return run


@pytest.mark.slow
def test_a_search_shows_one_display_that_ends_with_the_outcome(execute):
    searched, again, silent = execute(
        "study.optimize();", "study.optimize();", "study.optimize(n_trials=3, progress=False)"
    )
    (html,) = shown(searched)
    assert "2 of 2 trials" in html
    assert "done in" in html
    assert "#1" in html
    assert not shown(again), "there was nothing left to do"
    assert not shown(silent)
    (card,) = [o.data["text/html"] for o in silent.outputs if o.output_type == "execute_result"]
    assert "Study tiny" in card


@pytest.mark.slow
def test_an_error_ends_the_display_too(execute):
    cells = execute(
        "import hamerspace.search.running as module\n"
        "def refuse(*_): raise KeyboardInterrupt\n"
        "module.confirm_front = refuse\n"
        "study.optimize()"
    )
    (html,) = shown(cells[0])
    assert "interrupted after" in html
    assert "the same call goes on" in html


def test_before_the_work_begins_there_is_nothing_to_show(study):
    assert not in_notebook()
    with NotebookProgress(study) as display:
        assert repr(display).startswith("tiny: 0 of 6 trials")
