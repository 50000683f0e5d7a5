"""What training learns from, as numbers."""

import math

import pytest
import torch

from hamerspace.compress._losses import ending_of, mixed_loss

LABELS = torch.tensor([0, 2, 1])


def scores(seed):
    return 3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_a_model_that_ends_in_a_softmax_learns_as_the_same_without_it(weight):
    student, teacher = scores(0), scores(1)
    plain = mixed_loss(student, teacher, LABELS, "cross_entropy", 1.0, weight)
    ending = ending_of(teacher.softmax(1), "cross_entropy")
    soft = mixed_loss(
        student.softmax(1), teacher.softmax(1), LABELS, "cross_entropy", 1.0, weight, ending
    )
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
            mixed_loss(*scores, labels, "binary_cross_entropy", 2.0, weight, ending)
            for scores, ending in (
                ((student, teacher), ""),
                ((student.sigmoid(), teacher.sigmoid()), "sigmoid"),
            )
        )
        assert float(plain) > 0
        assert torch.allclose(plain, ended, atol=1e-5)
    alone = mixed_loss(student.sigmoid(), teacher.sigmoid(), None, "none", 2.0, 1.0, "sigmoid")
    assert torch.allclose(alone, plain, atol=1e-5)
    same = mixed_loss(teacher, teacher, labels, "binary_cross_entropy", 2.0, 1.0)
    assert float(same) == pytest.approx(0.0, abs=1e-6)


def test_a_saturated_sigmoid_gives_finite_steps():
    logits = torch.tensor([[-200.0, 200.0, 40.0]], requires_grad=True)
    labels = torch.tensor([[1, 0, 0]])
    loss = mixed_loss(logits.sigmoid(), None, labels, "binary_cross_entropy", 1.0, 0.0, "sigmoid")
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


@pytest.mark.parametrize("classes_at", [1, -1])
def test_one_hot_labels_of_each_position_have_their_classes_on_their_axis(classes_at):
    labels = torch.randint(0, 4, (6, 5), generator=torch.Generator().manual_seed(0))
    one_hot = torch.eye(4)[labels].movedim(-1, classes_at)
    for right in (20 * one_hot, -20 * one_hot):
        loss = mixed_loss(right, right, one_hot, "cross_entropy", 1.0, 0.0)
        assert float(loss) == pytest.approx(0.0 if right.max() > 0 else 20 + math.log(3), abs=1e-3)
        assert float(mixed_loss(right, right, one_hot, "cross_entropy", 1.0, 1.0)) < 1e-6


def test_a_batch_of_logits_between_0_and_1_is_one_of_logits():
    labels = torch.ones(4, 1)
    within, beyond = (torch.full((4, 1), value) for value in (0.999, 1.001))
    losses = [
        float(mixed_loss(x, None, labels, "binary_cross_entropy", 1.0, 0.0))
        for x in (within, beyond)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_what_a_model_ends_in_is_told_by_what_made_its_outputs():
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    numbers = (logits / 10 + 0.5).clamp(0.0, 1.0)
    parts = torch.cat([logits.sigmoid()[:, :1], logits.sigmoid()[:, 1:]], dim=1)
    for outputs, loss, ending in (
        (parts.reshape(50, 3, 1), "none", "sigmoid"),
        (logits.softmax(1).unsqueeze(1), "cross_entropy", "softmax"),
        (logits.softmax(1), "none", ""),
        (numbers, "none", ""),
        (logits, "binary_cross_entropy", ""),
        (logits, "cross_entropy", ""),
        (1 / (1 + (-logits).exp()), "binary_cross_entropy", "sigmoid"),
    ):
        assert ending_of(outputs, loss) == ending
