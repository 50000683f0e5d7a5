"""What training learns from, as numbers."""

import pytest
import torch

from hamerspace.compress._losses import mixed_loss

LABELS = torch.tensor([0, 2, 1])


def scores(seed):
    return 3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_a_model_that_ends_in_a_softmax_learns_as_the_same_without_it(weight):
    student, teacher = scores(0), scores(1)
    plain = mixed_loss(student, teacher, LABELS, "cross_entropy", 1.0, weight)
    soft = mixed_loss(student.softmax(1), teacher.softmax(1), LABELS, "cross_entropy", 1.0, weight)
    assert torch.allclose(plain, soft, atol=1e-5)


@pytest.mark.parametrize(("loss", "numbers"), [("cross_entropy", LABELS), ("mse", LABELS / 2)])
def test_labels_may_stand_in_a_column_or_not(loss, numbers):
    student = scores(0) if loss == "cross_entropy" else scores(0)[:, :1]
    row = mixed_loss(student, None, numbers, loss, 1.0, 0.0)
    assert float(row) > 0
    assert torch.equal(row, mixed_loss(student, None, numbers[:, None], loss, 1.0, 0.0))


def test_a_student_that_equals_its_teacher_has_nothing_to_learn_from_it():
    outputs = scores(2)
    for loss in ("cross_entropy", "mse", "none"):
        assert float(mixed_loss(outputs, outputs, None, loss, 4.0, 1.0)) == pytest.approx(0.0)
