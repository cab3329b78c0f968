"""The mistakes that people make in numerical gradients, as one table; what each gives is computed by `charrnn.lab.numeric`."""

from __future__ import annotations

from charrnn.lab.mistakes import Mistake

CHECKER_MISTAKES = (
    Mistake(
        "row-perturbed",
        "a whole row is perturbed instead of an entry",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h, all other entries as they were",
        "W[i] += h moves every entry of row i: what comes out is the sum of the row's derivatives",
        "index with both, W[i, j] += h, or go through W.flat",
    ),
    Mistake(
        "column-perturbed",
        "a whole column is perturbed instead of an entry",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h, all other entries as they were",
        "W[:, j] += h moves every entry of column j: what comes out is the sum of the column's derivatives",
        "index with both, W[i, j] += h, or go through W.flat",
    ),
    Mistake(
        "view-kept",
        "a view is kept as the old value",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h around the same W_ij",
        "old = W[i:i+1] or W[i] is no copy: it moves with W, and old - h is then the old value itself. Only half of the way is "
        "walked, and the numerical gradient is exactly half",
        "keep a number or a copy: old = W[i, j], or old = W[i].copy()",
    ),
    Mistake(
        "row-perturbed-view",
        "a row is perturbed, and a view of it kept as the old value",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h, all other entries as they were",
        "old = W[i] is a view: W[i] = old + h moves the whole row and old with it, so that old - h is where it began. What comes out is "
        "half of the sum of the row's derivatives, and rounding errors stay in W",
        "take one entry, and a number for its old value: old = W[i, j]",
    ),
    Mistake(
        "step-counted-once",
        "the difference is divided by h, not 2h",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h",
        "the distance of the two points is 2h",
        "divide by 2h",
    ),
    Mistake(
        "checker-zero",
        "the numerical gradient is 0 throughout",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h: the loss must depend on the changed W_ij",
        "both losses are equal: a copy was changed that the loss does not read, or h is so small that W_ij + h is W_ij",
        "change the very array that the loss is computed from, by an h of about 1e-5",
    ),
    Mistake(
        "gradient-perturbed",
        "the weights are not perturbed",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h: W itself has to be changed",
        "the weights that the loss reads are never written to: the array of the gradient, or a copy, is changed instead",
        "change the entry of the weights, W[i, j] += h, and put it back afterwards",
    ),
    Mistake(
        "rows-left-out",
        "rows or columns are left out of the loop",
        "there is a derivative by every entry",
        "the loop ends too early, or runs over the wrong axis: whole rows or columns still hold the zeros that they began with",
        "loop over both of W.shape, or over W.flat",
    ),
    Mistake(
        "state-drifts",
        "the two losses begin from different states",
        "dL/dW_ij = [L(W_ij + h) - L(W_ij - h)] / 2h, with one and the same h_0 in both",
        "the state that one evaluation leaves is where the next one begins: the difference of the losses is that of the states, "
        "divided by 2h",
        "set the state back before each evaluation",
    ),
    Mistake(
        "checker-labels",
        "the numerical gradient's loss takes one-hot labels for indices",
        "loss = sum over t of -log p_t[y_t], y_t an index from 0 to K-1",
        "the zeros and ones of the label are taken for K indices: the check differentiates another loss than the gradient's",
        "give both the same labels; turn one-hot ones into indices (argmax) or use -sum of y_t * log p_t",
    ),
    Mistake(
        "checker-clipped",
        "the comparison is made after clipping",
        "the gradient check compares dL/dtheta itself; clipping belongs to the update",
        "every entry is bounded by +-c",
        "compare first, clip afterwards",
    ),
    Mistake(
        "checker-factor",
        "the numerical gradient is of another scale",
        "the numerical gradient differentiates the very loss that the gradient belongs to",
        "it is the right one times a constant: mean and sum are mixed up, or the division is wrong",
        "differentiate the same loss, and divide by 2h",
    ),
)

BY_KEY = {mistake.key: mistake for mistake in CHECKER_MISTAKES}
