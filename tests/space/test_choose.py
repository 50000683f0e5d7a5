"""Which space ``auto`` takes."""

import dataclasses

import pytest

from hamerspace.config.packaged import packaged_spaces
from hamerspace.space.catalog import choose_space, space_texts


@pytest.mark.parametrize(
    ("families", "hardware", "machine", "name", "why"),
    [
        (("conv", "linear"), "cpu", "x86_64", "cpu", "the model is made of conv, linear"),
        (("attention", "linear"), "cpu", "x86_64", "transformer", "attention and no convolutions"),
        (("attention", "conv"), "cpu", "x86_64", "cpu", "attention, conv"),
        (("conv", "rnn"), "cpu", "x86_64", "rnn", "the model has recurrent layers"),
        (("conv",), "cpu", "aarch64", "arm", "the target has an ARM processor"),
        (("rnn",), "gpu", "x86_64", "gpu", "the target is a GPU"),
        ((), "cpu", "x86_64", "cpu", "no layers with weights"),
    ],
)
def test_the_space_follows_from_the_model_and_the_target(
    sources, families, hardware, machine, name, why
):
    source = dataclasses.replace(sources.conv, op_families=families)
    chosen, reason = choose_space(source, hardware, machine)
    assert chosen == name
    assert why in reason
    assert chosen in packaged_spaces()


def test_any_space_that_auto_may_take_is_part_of_its_identity(tmp_path):
    assert len(space_texts("auto", tmp_path)) == len(packaged_spaces())
    assert len(space_texts("quick", tmp_path)) == 1
