"""The oracle itself: against finite differences, textbook formulas and counted draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import distance, reference, truth

from charrnn.network.parameters import OPTIMIZERS, Rule, Workspace, named_views, new_theta

# ---- gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "K", "T", "B"), [(5, 7, 6, 1), (4, 3, 9, 3), (1, 2, 1, 1), (3, 11, 1, 4)])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_gradients_are_the_differences_of_the_loss(m, K, T, B, scale):
    """Every entry of every parameter, at a state that is not 0, by (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h."""
    p = truth(m, K, T, B)
    p.window(reference, scale)
    gradients = {name: g.copy() for name, g in p.gradients.items()}
    step = 1e-3

    def loss() -> float:
        reference.forward(p.theta, p.work, p.inputs[0], p.targets[0], scale)
        return scale * float(p.work.losses.sum())

    for name, parameter in p.named.items():
        numeric = np.zeros_like(gradients[name])
        for place in np.ndindex(parameter.shape):
            kept = parameter[place]
            values = []
            for shift in (1, -1, 2, -2):
                parameter[place] = kept + shift * step
                values.append(loss())
            parameter[place] = kept
            numeric[place] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step)
        assert distance(gradients[name], numeric, p.sizes[name]) < 1e-10, name  # h^4/30 times a fifth derivative


def test_the_carried_state_counts_in_the_gradient_of_w():
    p = truth(5, 7, 4, 2)
    p.window(reference)
    whole = p.gradients["W"].copy()
    first = np.einsum("bi,bj->ij", p.work.delta[0, :, :5], p.work.hidden[0, :, :5])
    assert np.abs(first).max() > 1e-3
    p.work.hidden[0] = 0
    reference.backward(p.theta, p.work, p.inputs[0])  # delta needs hidden[0] no more
    np.testing.assert_allclose(whole - p.gradients["W"], first, rtol=1e-12, atol=1e-14)


def test_the_loss_of_an_untrained_network_is_log_k():
    theta, work = new_theta(9, 13, "float64"), Workspace(9, 13, 5, 2, "float64")
    ids = np.arange(10, dtype=np.intc).reshape(5, 2)
    reference.forward(theta, work, ids, ids)
    np.testing.assert_allclose(work.losses, math.log(13), rtol=1e-15)


def test_the_loss_is_finite_where_the_probability_underflows():
    p = truth(3, 4, 1, 1)
    p.named["c"][:] = [5000, 0, 0, 0]
    p.targets[0] = 2
    reference.forward(p.theta, p.work, p.inputs[0], p.targets[0])
    assert p.work.losses[0, 0] == pytest.approx(5000, rel=1e-3)


# ---- updates -----------------------------------------------------------------------------------------------------------


def textbook(optimizer: str, x: float, gradients: list[float], eta: float, rule: Rule) -> float:
    """One number under the published rules, step by step: Duchi et al. 2011; Kingma & Ba 2015, algorithm 1; Tieleman & Hinton 2012."""
    s = v = 0.0
    for t, g in enumerate(gradients, 1):
        if optimizer == "adagrad":
            s += g * g
            x -= eta * g / math.sqrt(s + rule.eps)
        elif optimizer == "adam":
            s = rule.beta1 * s + (1 - rule.beta1) * g
            v = rule.beta2 * v + (1 - rule.beta2) * g * g
            x -= eta * (s / (1 - rule.beta1**t)) / (math.sqrt(v / (1 - rule.beta2**t)) + rule.eps)
        elif optimizer == "rmsprop":
            v = rule.beta2 * v + (1 - rule.beta2) * g * g
            x -= eta * g / (math.sqrt(v) + rule.eps)
        else:
            s = rule.beta1 * s + g
            x -= eta * s
    return x


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_are_those_of_the_textbooks(optimizer):
    rule = Rule(optimizer, eps=1e-3, beta1=0.8, beta2=0.97)
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=(2, 3)), rng.normal(size=(20, 2, 3))
    theta, slots = start.copy(), np.zeros((2, 2, 3))
    for g, (rate, root) in zip(gradients, rule.rates(np.full(20, 0.07), 1), strict=True):
        reference.update(theta, slots, g, rate, root, rule)
    for place in np.ndindex(start.shape):
        expected = textbook(optimizer, start[place], [g[place] for g in gradients], 0.07, rule)
        assert theta[place] == pytest.approx(expected, rel=1e-12)


def test_clipping_bounds_elements_after_the_norm():
    g = np.array([[3.0, -4.0, 12.0]])
    for clip, clip_norm, expected in [
        (math.inf, math.inf, [3, -4, 12]),
        (5, math.inf, [3, -4, 5]),
        (math.inf, 6.5, [1.5, -2, 6]),
        (1.75, 6.5, [1.5, -1.75, 1.75]),
        (math.inf, 13, [3, -4, 12]),
    ]:
        theta = np.zeros((1, 3))
        reference.update(theta, np.zeros((1, 1, 3)), g, 1.0, 1.0, Rule("sgd", clip=clip, clip_norm=clip_norm, beta1=0))
        np.testing.assert_allclose(-theta[0], expected, rtol=1e-15)
    assert (g == [[3, -4, 12]]).all()


def test_best_follows_the_lowest_smooth_loss():
    smooth, best = np.array([np.nan, np.inf, 0, 0]), np.zeros((1, 1))
    course, seen = [10.0, 9.0, 11.0, 50.0, 2.0, 1.0], []
    for window, loss in enumerate(course, 1):
        reference.follow(loss, smooth, np.array([[float(window - 1)]]), best)  # theta: the number of updates so far
        seen.append((float(smooth[0]), int(smooth[3]), float(best[0, 0])))
    expected = [10.0]
    for loss in course[1:]:
        expected.append(0.999 * expected[-1] + 0.001 * loss)
    assert [s for s, _, _ in seen] == pytest.approx(expected)
    # the lowest is window 2: its parameters, those after 2 updates, are copied when window 3 turns out to be no lower
    assert [(n, b) for _, n, b in seen] == [(-1, 0), (-2, 0), (2, 2), (2, 2), (2, 2), (2, 2)]


# ---- sampling ----------------------------------------------------------------------------------------------------------


def frequencies(p: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """How often each symbol comes when the uniforms are spread evenly: within 1/10,000 of its probability."""
    drawn = [reference.draw(np.log(p), (i + 0.5) / 10_000, temperature, top_k or len(p), top_p) for i in range(10_000)]
    return np.bincount(drawn, minlength=len(p)) / 10_000


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [0.1, 0.4, 0.2, 0.25, 0.05]),
        ((0.5,), np.square([0.1, 0.4, 0.2, 0.25, 0.05]) / 0.275),
        ((0.0,), [0, 1, 0, 0, 0]),
        ((1.0, 2), [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
        ((1.0, 0, 0.7), [0, 0.4 / 0.85, 0.2 / 0.85, 0.25 / 0.85, 0]),  # 0.65 is not enough
        ((1.0, 2, 0.3), [0, 1, 0, 0, 0]),
        ((1.0, 99), [0.1, 0.4, 0.2, 0.25, 0.05]),
    ],
)
def test_symbols_come_as_often_as_they_should(options, expected):
    np.testing.assert_allclose(frequencies(np.array([0.1, 0.4, 0.2, 0.25, 0.05]), *options), expected, atol=1.01e-4)


def test_each_symbol_is_fed_back():
    """A network that knows nothing but its input: symbol k is followed by k + 1."""
    m = K = 6
    theta, work = new_theta(m, K, "float64"), Workspace(m, K, 1, 1, "float64")
    p = named_views(theta, m, K)
    p["U"][:] = 3 * np.eye(m)
    p["V"][:] = 100 * np.roll(np.eye(K), 1, axis=0)
    out = np.zeros((8, 1), np.intc)
    reference.sample(theta, work, out, np.array([2], np.intc), np.full((8, 1), 0.5))
    assert out[:, 0].tolist() == [3, 4, 5, 0, 1, 2, 3, 4]


def test_softmax_of_anything_adds_up_to_one():
    logits = np.array([[0.0, 1e4, -1e4], [-1e30, -1e30, -1e30], [1e308, 1e308, 0]])
    np.testing.assert_allclose(reference.softmax(logits), [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]])
