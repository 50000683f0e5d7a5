from dataclasses import replace

import pytest

from hamerspace.errors import RunFolderError
from hamerspace.report.markdown import render_markdown, write_markdown


def test_it_tells_what_the_page_tells(run):
    text = render_markdown(replace(run, sensitivity={"openvino int8": (("conv1", 0.25),)}))
    assert text.index("all limits kept") < text.index("Warning: ") < text.index("## Pareto front")
    for words in ("conv1 2.5e-01", run.command, "| onnxruntime | 1.32.0 |", "prune.ratio"):
        assert words in text


def test_the_name_of_a_study_is_not_taken_for_markup(run):
    text = render_markdown(replace(run, name="# <b>x</b>"))
    assert text.startswith(r"# \# \<b\>x\</b\>")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_run_that_has_hardly_begun_renders(shortened_run, count):
    text = render_markdown(shortened_run(count))
    assert ("No trial has finished yet" in text) == (count == 0)


def test_nothing_feasible_tells_the_nearest(infeasible_run):
    text = render_markdown(infeasible_run)
    assert "## Nearest candidates" in text
    assert "No trial keeps all limits." in text


def test_figures_are_linked_from_where_it_lies(run, tmp_path):
    picture = tmp_path / "my figures" / "front.png"
    path = write_markdown(run, tmp_path / "docs" / "r.md", [picture])
    assert "](<../my figures/front.png>)" in path.read_text()


def test_a_path_that_cannot_be_written_is_named(run, tmp_path):
    with pytest.raises(RunFolderError, match="Is a directory"):
        write_markdown(run, tmp_path)
