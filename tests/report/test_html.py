import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from hamerspace.errors import RunFolderError
from hamerspace.report.described import described_figures
from hamerspace.report.html import render, write
from tests.report.example_run import changed

EVIL = "</script><script>alert(1)</script>"
VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Checks that elements nest; collects attributes and visible text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.texts = [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def without_plotly(text):
    assert text.count(get_plotlyjs()) == 1
    return text.replace(get_plotlyjs(), "")


def test_the_verdict_stands_before_everything_else(run):
    text = Page(without_plotly(render(run))).text
    assert "confirmed on 4,000 rows: all limits kept." in text
    assert text.index("all limits kept") < text.index("The host was busy") < text.index("15 MB")
    for words in ("onnxruntime 1.32.0", run.command, "the budget of 40 trials", "opset 13"):
        assert words in text


def test_the_page_needs_no_network(run):
    text = without_plotly(render(run))
    assert not {name for name, _ in Page(text).attributes} & {"src", "href", "srcset", "action"}
    assert not re.search(r"https?:|@import|url\(", text)


def test_figures_are_valid_json(run):
    found = re.findall(r'data-figure="figure-(\w+)">(.*?)</script>', render(run), re.DOTALL)
    assert [name for name, _ in found] == [name for name, *_ in described_figures(run)]
    drawn = {name for name, data in found if json.loads(data)["data"]}
    assert {"comparison", "front", "parallel", "ended", "time", "progress"} <= drawn


def test_the_same_run_gives_the_same_document(run):
    assert render(run) == render(run)


def test_every_text_is_escaped(run):
    trials = tuple(
        changed(t, label=EVIL, reason=EVIL, parameters={"backend": EVIL, EVIL: EVIL})
        for t in run.trials
    )
    evil = replace(
        run,
        name=EVIL,
        trials=trials,
        warnings=(EVIL,),
        environment={EVIL: EVIL},
        command=EVIL,
        stopped_because=EVIL,
        source=replace(run.source, label=EVIL, description={EVIL: EVIL}),
    )
    text = without_plotly(render(evil))
    assert "<script>alert" not in text
    assert EVIL in Page(text).text


def test_an_infeasible_run_tells_what_is_missed_by_how_much(infeasible_run):
    text = Page(without_plotly(render(infeasible_run))).text
    assert "Nearest candidates" in text
    assert text.count("MB, at most 0.02 MB") == 4
    assert "winner" not in text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_run_that_has_hardly_begun_renders(shortened_run, count):
    text = Page(without_plotly(render(shortened_run(count)))).text
    assert ("No trial has finished yet" in text) == (count == 0)


def test_a_run_where_everything_failed_renders(run):
    failed = tuple(
        changed(t, ended_at="build", feasible=False, values={}, violations={"builds": 1.0})
        for t in run.trials
    )
    bare = replace(run, trials=failed, confirmed=())
    assert "None of the 40 candidates could be built." in Page(without_plotly(render(bare))).text


def test_missing_values_sort_last_and_read_as_a_dash(run):
    text = render(run)
    assert '<td class="number" data-sort="">-</td>' in text


def test_writing_replaces_the_report_and_leaves_no_draft(run, tmp_path):
    path = tmp_path / "runs" / "report.html"
    write(run, path)
    write(replace(run, name="second"), path)
    assert "<h1>second</h1>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_path_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(RunFolderError, match=r"report\.html.*Is a directory"):
        write(run, tmp_path / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
