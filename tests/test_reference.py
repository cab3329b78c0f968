"""The oracle itself: against a complex step, textbook formulas and counted draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from networks import KINDS, MASKS, NO_MASKS, agrees_with_a_complex_step, network
from problems import problem

from charrnn.network import decoding, optimisers, reference
from charrnn.network.blocks import new_theta, views
from charrnn.network.optimisers import OPTIMIZERS, UpdateRule
from charrnn.network.smooth import SmoothLoss

# ---- gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", [NO_MASKS, MASKS], ids=["", "dropout"])
@pytest.mark.parametrize(("m", "K", "T", "B"), [(2, 5, 4, 3), (1, 2, 1, 1)])
@pytest.mark.parametrize(("cell", "layers"), KINDS)
def test_gradients_are_those_of_a_complex_step(cell, layers, m, K, T, B, masks):
    """Every entry of every parameter, at a state that is not 0."""
    agrees_with_a_complex_step(network(cell, layers, m, K), T, B, masks)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradients_through_25_steps(cell):
    agrees_with_a_complex_step(network(cell, 2, 2, 2, std=0.7), 25, 1, MASKS)


def test_the_loss_of_an_untrained_network_is_log_k():
    made = network("lstm", 2, 9, 13, std=0)
    ids = np.arange(10, dtype=np.intc).reshape(5, 2)
    assert made.loss_and_gradients(ids, ids)[0] == pytest.approx(10 * math.log(13), rel=1e-15)


def test_the_loss_is_finite_where_the_probability_underflows():
    made = network("rnn", 1, 3, 4)
    made.parameters["c"][:] = [5000, 0, 0, 0]
    assert made.loss_and_gradients(np.array([[0]]), np.array([[2]]))[0] == pytest.approx(5000, rel=1e-3)


# ---- updates -----------------------------------------------------------------------------------------------------------


def textbook(optimizer: str, x: float, gradients: list[float], eta: float, rule: UpdateRule) -> float:
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
    rule = UpdateRule(optimizer, eps=1e-3, beta1=0.8, beta2=0.97)
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=(2, 3)), rng.normal(size=(20, 2, 3))
    theta, slots = start.copy(), np.zeros((2, 2, 3))
    for g, (rate, root, _) in zip(gradients, rule.rates(np.full(20, 0.07), 1), strict=True):
        optimisers.update(theta, slots, g, rate, root, rule)
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
        optimisers.update(theta, np.zeros((1, 1, 3)), g, 1.0, 1.0, UpdateRule("sgd", clip=clip, clip_norm=clip_norm, beta1=0))
        np.testing.assert_allclose(-theta[0], expected, rtol=1e-15)
    assert (g == [[3, -4, 12]]).all()


def test_best_is_the_lowest_smooth_loss():
    smooth, best = SmoothLoss(), np.zeros((1, 1))
    course, seen = [10.0, 9.0, 11.0, 50.0, 2.0, 1.0], []
    for number, loss in enumerate(course, 1):
        smooth.add(loss, np.array([[float(number - 1)]]), best)  # theta: the number of updates so far
        seen.append((smooth.best_step, smooth.pending, float(best[0, 0])))
    expected = [10.0]
    for loss in course[1:]:
        expected.append(0.999 * expected[-1] + 0.001 * loss)
    assert smooth.value == pytest.approx(expected[-1])
    assert smooth.lowest == pytest.approx(min(expected))
    # the lowest is window 2: its parameters, those after 2 updates, are copied when window 3 turns out to be no lower
    assert seen == [(1, True, 0), (2, True, 0), (2, False, 2), (2, False, 2), (2, False, 2), (2, False, 2)]


# ---- sampling ----------------------------------------------------------------------------------------------------------


def frequencies(p: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """How often each symbol comes when the uniforms are spread evenly: within 1/2,000 of its probability."""
    rules = decoding.Rules(temperature, top_k, top_p)
    drawn = [decoding.draw(np.log(p), (i + 0.5) / 2000, rules, np.zeros(1, np.intc)) for i in range(2000)]
    return np.bincount(drawn, minlength=len(p)) / 2000


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
    np.testing.assert_allclose(frequencies(np.array([0.1, 0.4, 0.2, 0.25, 0.05]), *options), expected, atol=5.1e-4)


def test_each_symbol_is_fed_back(level):
    """A network that knows nothing but its input: symbol k is followed by k + 1."""
    made = network("rnn", 1, 6, 6, std=0, level=level)
    made.parameters["U"][:] = 3 * np.eye(6)
    made.parameters["V"][:] = 100 * np.roll(np.eye(6), 1, axis=0)
    ids = np.full((1, 9), 2, np.intc)
    made.kernels.sample(made.theta, made.workspace(1, 1, backward=False), ids, 1, np.full((8, 1), 0.5), decoding.Rules())
    assert ids[0].tolist() == [2, 3, 4, 5, 0, 1, 2, 3, 4]


def test_softmax_of_anything_adds_up_to_one():
    logits = np.array([[0.0, 1e4, -1e4], [-1e30, -1e30, -1e30], [1e308, 1e308, 0]])
    np.testing.assert_allclose(reference.softmax(logits), [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]])


# ---- blocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "layers"), KINDS)
def test_blocks_cover_the_parameters_and_do_not_overlap(cell, layers):
    made = network(cell, layers, 11, 7, std=1)
    theta = new_theta(made.architecture, "float64")
    padding = theta.copy()
    for number, view in enumerate(views(theta, made.architecture).values(), 1):
        assert (view == 0).all()  # nobody else has written here
        view[:] = number
    assert ((theta == padding) | (theta > 0)).all()
    assert np.count_nonzero(theta > 0) == sum(view.size for view in made.parameters.values())


def test_decoupled_weight_decay_is_that_of_adamw():
    torch = pytest.importorskip("torch")
    sizes, rule = ("rnn", 1, 3, 4, 5, 2), UpdateRule("adam", weight_decay=2.0, clip_norm=0.1)
    p = problem(sizes, "float64", rule, n=6, memory=0)
    weights = [torch.nn.Parameter(torch.tensor(p.named[name].copy())) for name in p.named]
    decays = [[w for w in weights if w.ndim > 1], [w for w in weights if w.ndim == 1]]
    theirs = torch.optim.AdamW([{"params": decays[0], "weight_decay": 2.0}, {"params": decays[1], "weight_decay": 0.0}], lr=0.05, eps=1e-8)
    for u in range(6):
        p.train(reference, u, u + 1)
        for w, name in zip(weights, p.gradients, strict=True):
            w.grad = torch.tensor(p.gradients[name].copy())
        norm = torch.nn.utils.clip_grad_norm_(weights, 0.1)
        theirs.step()
        assert p.losses[u, 2] == pytest.approx(float(norm), rel=1e-12)
        for w, name in zip(weights, p.named, strict=True):
            np.testing.assert_allclose(p.named[name], w.detach().numpy(), rtol=1e-5)
