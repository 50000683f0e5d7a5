import pytest

from hamerspace._numbers import number, signed, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.0968, "0.0968"),
        (0.1, "0.1"),
        (1.005, "1"),
        (99.96, "100"),
        (1234567.8, "1,234,568"),
        (0.0000213, "0.0000213"),
        (-12.34, "-12.3"),
    ],
)
def test_numbers_are_short_and_never_scientific(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1 / 12, "12x faster"),
        (0.256, "3.9x faster"),
        (2.5, "2.5x slower"),
        (1.02, "same"),
        (0.0, ""),
        (None, ""),
    ],
)
def test_ratios_become_words(ratio, text):
    assert times(ratio, "faster", "slower") == text


@pytest.mark.parametrize(("value", "text"), [(0.24, "+0.2"), (-1.06, "-1.1"), (-0.04, "0.0")])
def test_a_sign_stands_on_all_but_zero(value, text):
    assert signed(value) == text
