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


@pytest.mark.parametrize("shape", [(3, 4), (3, 1), (3, 2, 5)])
def test_a_model_that_ends_in_sigmoids_learns_as_the_same_without_them(shape):
    student, teacher = (
        3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)
    )
    labels = (teacher > 0).int()
    for weight in (0.0, 0.4, 1.0):
        plain, ended = (
            mixed_loss(*scores, labels, "binary_cross_entropy", 2.0, weight)
            for scores in ((student, teacher), (student.sigmoid(), teacher.sigmoid()))
        )
        assert float(plain) > 0
        assert torch.allclose(plain, ended, atol=1e-5)
    alone = mixed_loss(student.sigmoid(), teacher.sigmoid(), None, "none", 2.0, 1.0)
    assert torch.allclose(alone, plain, atol=1e-5)
    same = mixed_loss(teacher, teacher, labels, "binary_cross_entropy", 2.0, 1.0)
    assert float(same) == pytest.approx(0.0, abs=1e-6)


def test_a_saturated_sigmoid_gives_finite_steps():
    logits = torch.tensor([[-200.0, 200.0, 40.0]], requires_grad=True)
    loss = mixed_loss(
        logits.sigmoid(), None, torch.tensor([[1, 0, 0]]), "binary_cross_entropy", 1.0, 0.0
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_one_hot_labels_are_those_of_their_classes():
    student, one_hot = scores(0), torch.eye(4)[LABELS]
    expected = mixed_loss(student, None, LABELS, "cross_entropy", 1.0, 0.0)
    assert torch.allclose(mixed_loss(student, None, one_hot, "cross_entropy", 1.0, 0.0), expected)


def test_labels_of_each_position_are_learnt_but_for_those_that_are_no_class():
    student = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    labels = student.argmax(dim=1)
    expected = torch.nn.functional.cross_entropy(student[:, :, 1:], labels[:, 1:])
    labels[:, 0] = 255
    for outputs in (student, student.movedim(1, 3)):
        loss = mixed_loss(outputs, outputs, labels, "cross_entropy", 1.0, 0.0)
        assert torch.allclose(loss, expected)
        taught = mixed_loss(outputs, outputs, labels, "cross_entropy", 1.0, 1.0)
        assert float(taught) == pytest.approx(0.0, abs=1e-6)
    nothing = mixed_loss(student, None, torch.full_like(labels, 255), "cross_entropy", 1.0, 0.0)
    assert float(nothing) == 0.0
