"""Every example of the tutorial is run as it stands, with a budget of two trials."""

import re
import shlex
from pathlib import Path

import pytest

from hamerspace.cli.search import SOURCE_IS_BEST

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
BEFORE, *EXAMPLES = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
EXAMPLES = {text.partition("\n")[0]: text for text in EXAMPLES if "```" in text}
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BUDGET = re.compile(r"(trials[= ])\d+")


def test_there_are_eight_examples():
    assert len(EXAMPLES) == 8


@pytest.mark.slow
@pytest.mark.parametrize("title", EXAMPLES)
def test_example_runs(title, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "tutorial"}
    for language, text in _BLOCK.findall(BEFORE + _BUDGET.sub(r"\g<1>2", EXAMPLES[title])):
        if language == "python":
            exec(compile(text, f"tutorial: {title}", "exec"), namespace)
        else:
            for line in text.splitlines():
                arguments = shlex.split(line)[1:]
                ended = call(*arguments)
                # Two trials may find nothing that beats the source model.
                able = (0, SOURCE_IS_BEST) if arguments[0] == "search" else (0,)
                assert ended.code in able, f"{arguments}: {ended.out}{ended.err}"
