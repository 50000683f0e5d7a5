"""What goes together: sources, techniques and backends, by the formats between them."""

from dataclasses import replace

import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Host
from hamerspace.compress import TECHNIQUES, Technique
from hamerspace.recipe import Condition, Parameter
from hamerspace.space import compatibility
from hamerspace.space.compatibility import judge_backends, judge_techniques

HOST = Host("x86_64", frozenset())


def widen(result, takes, needs):
    """A technique, all but its work."""

    class Widen(Technique):
        name, extra, distributions = "widen", "pytorch", ()
        result_format, formats, modules = result, takes, needs

        def parameters(self):
            active = Condition("widen.ratio", excluded=(0.0,))
            return (
                Parameter("widen.ratio", 0.0, "How much.", low=0.0, high=1.0),
                Parameter("widen.how", "evenly", "How.", ("evenly", "boldly"), when=(active,)),
            )

        def capabilities(self, source, loss):
            return ()

        def stage_parameters(self, recipe):
            return None

        def change(self, job):
            raise NotImplementedError

    return Widen()


@pytest.fixture
def judge(sources, monkeypatch):
    def judge(source="conv", result_format=None, formats=("pytorch",), modules=()):
        technique = widen(result_format, formats, modules)
        known = type("Known", (dict,), {"load": dict.get})(widen=technique)
        monkeypatch.setattr(compatibility, "TECHNIQUES", known)
        backends = {name: BACKENDS.load(name) for name in ("onnxruntime", "openvino", "pytorch")}
        return judge_techniques(getattr(sources, source), "cross_entropy", backends)

    return judge


def test_a_technique_is_inert_with_backends_that_cannot_take_its_result(judge):
    judged = judge(result_format="torch_export")
    assert judged.masks == ()
    assert all("backend" not in str(p.when) for p in judged.offers)
    first, second = judge(result_format="no_such_format").offers
    assert str(first.when[0]) == "backend is not onnxruntime, openvino, pytorch"
    assert len(second.when) == 1  # inert already where the first is


def test_what_is_not_installed_leaves_only_the_default(judge):
    mask = judge(modules=("a_module_that_nobody_has",)).masks[0]
    assert (mask.parameter, mask.excluded) == ("widen.ratio", (0.0,))
    assert "pip install 'hamerspace[pytorch]'" in mask.reason


def test_a_format_that_nothing_leads_to_leaves_only_the_default(judge):
    mask = judge(formats=("no_such_format",)).masks[0]
    assert mask.reason.endswith("there is no conversion from pytorch to no_such_format")


def test_backends_are_masked_by_hardware_and_by_format(sources):
    backends = {name: BACKENDS.load(name) for name in ("onnxruntime", "openvino")}
    assert judge_backends(sources.conv, HOST, "cpu", backends).masks is not None
    reasons = {
        m.values: m.reason for m in judge_backends(sources.conv, HOST, "gpu", backends).masks
    }
    assert reasons[("openvino",)] == "OpenVINO does not run on the gpu here"


def test_no_more_layers_are_kept_in_float_than_there_are(sources):
    backends = {name: BACKENDS.load(name) for name in ("openvino", "pytorch")}
    source = replace(sources.conv, matrices=3)
    masks = {m.parameter: m for m in judge_backends(source, HOST, "cpu", backends).masks}
    # OpenVINO ranks sums and normalisations, too.
    for name, count in (("openvino", 12), ("pytorch", 3)):
        mask = masks[f"{name}.float_layers"]
        assert [n for n in (0, 2, 3, 11, 12, 64) if mask.covers(n)] == [
            n for n in (3, 11, 12, 64) if n >= count
        ]
        assert mask.reason == f"the model has no more than {count} layers"
    wide = judge_backends(replace(source, matrices=300), HOST, "cpu", backends).masks
    assert not any("float_layers" in mask.parameter for mask in wide)


def test_all_techniques_name_formats_that_some_conversion_knows():
    from hamerspace.tasks.conversions import CONVERSIONS

    known = {"pytorch", "onnx", "keras", *(n.partition("->")[2] for n in CONVERSIONS)}
    for name in TECHNIQUES:
        assert set(TECHNIQUES.load(name).formats) <= known
