# kernels.pxi: the mathematics of recurrent networks, compiled once per processor level (see kernels_<level>.pyx).
#
# a) Dimensions:  m hidden units, K symbols, T time steps, B lanes (text streams walked side by side), L layers; a cell has G gates in
#    R rows of pre-activations, and N states. m_ and K_ are m and K padded to whole 64-byte lines: rows start aligned and loops over a
#    row have no remainder. Padding is 0 in theta's weights, in states and in derivatives, and never changes.
# b) Parameters: one array theta (R, m_), laid out in charrnn/network/blocks.py. Gradients and each array of the optimiser's state have
#    the same shape, so that row r of one belongs to row r of the other. Working arrays: charrnn/network/workspace.py.
# c) Products multiply by panels (panels.h), kept in `scratch` and renewed after each update: of W, U and V transposed going forward
#    and, where their rows are long, of themselves going back. A product adds scaled rows (axpy), which vectorises without reordering a sum.
# d) What does not wait for h_{t-1} stands outside the loop over time, if lanes are few: as one product over all T B rows. With many
#    lanes it is done step by step, while what it reads is in the cache.
# e) Threads of one update share the arrays and split lanes (or, where these are fewer, units), then rows of T B, then lanes, then rows
#    of theta, with a barrier between. No element is ever summed by two threads, hence the same bits for any number of them.
# f) What a cell is: csrc/cells. These functions guard memory (checks.pxi) and nothing else; Python words the errors for people.
#    The same functions in NumPy, to be read first: charrnn/network/reference.py.
include "declarations.pxi"
include "sizes.pxi"
include "forward.pxi"
include "backward.pxi"
include "update.pxi"
include "sampling.pxi"
include "checks.pxi"

CELLS = tuple([cell_facts(i).name.decode() for i in range(CELL_COUNT)])


def scratch_size(work):
    """How many elements work.scratch must have, from the other arrays of a workspace."""
    cdef Sizes n
    set_sizes(&n, work, work.dtype.itemsize)
    return scratch_elements(&n, work.threads)


def pack(floating[:, ::1] theta not None, work):
    """Renew the panels in scratch: to be called after theta was changed from outside."""
    cdef Sizes n
    set_sizes(&n, work, sizeof(floating))
    cdef floating[::1] scratch = arrays_of(work, theta, &n, False, [theta], [])["scratch"]
    with nogil:
        pack_weights(&theta[0, 0], &scratch[0], &n)


def forward(floating[:, ::1] theta not None, work, const int[:, ::1] inputs not None, const int[:, ::1] targets not None,
            double scale=1.0, bint gradient=True, double dropout=0.0, seed=0, update=0, double recurrent_dropout=0.0):
    """states[:, :, 1:], gates, error and losses from states[:, :, 0]; error = scale (p - y) if gradient, else p.

    inputs, targets (T, B) ids. work: see charrnn.network.workspace.Workspace."""
    cdef Sizes n
    set_sizes(&n, work, sizeof(floating))
    set_dropout(&n.dropout, dropout, seed, update)
    set_dropout(&n.recurrent, recurrent_dropout, seed, update)
    arrays = arrays_of(work, theta, &n, False, [theta, inputs, targets], [])
    cdef floating[:, :, :, :, ::1] states = arrays["states"], gates = arrays["gates"]
    cdef floating[:, :, :, ::1] dropped = arrays["dropped"]
    cdef floating[:, :, ::1] P = arrays["error"]
    cdef floating[::1] scratch = arrays["scratch"]
    cdef double[:, ::1] losses = arrays["losses"]
    if inputs.shape[0] != n.T or inputs.shape[1] != n.B or targets.shape[0] != n.T or targets.shape[1] != n.B:
        raise ValueError(f"inputs and targets must have shape {(n.T, n.B)}")
    check_ids(&inputs[0, 0], n.T * n.B, n.K)
    check_ids(&targets[0, 0], n.T * n.B, n.K)
    with nogil:
        layers_forward(gates, states, dropped, theta, &scratch[0], &inputs[0, 0], &n)
        softmax_cross_entropy(P, losses, handed_up(states, dropped, &n, n.L - 1), theta, &scratch[0], &targets[0, 0], <floating *>NULL,
                              &n, scale, gradient, 0, n.T * n.B)


def backward(floating[:, ::1] theta not None, work, const int[:, ::1] inputs not None, double dropout=0.0, seed=0, update=0,
             double recurrent_dropout=0.0):
    """All gradients of the window, written over what was there, from what `forward` left with the same arguments. gates become da."""
    cdef Sizes n
    cdef int layer
    set_sizes(&n, work, sizeof(floating))
    set_dropout(&n.dropout, dropout, seed, update)
    set_dropout(&n.recurrent, recurrent_dropout, seed, update)
    arrays = arrays_of(work, theta, &n, True, [theta, inputs], [])
    cdef floating[:, :, :, :, ::1] states = arrays["states"], gates = arrays["gates"]
    cdef floating[:, :, :, ::1] dropped = arrays["dropped"]
    cdef floating[:, :, ::1] P = arrays["error"], delta = arrays["delta"]
    cdef floating[:, ::1] d_cell = arrays["d_cell"], gradients = arrays["gradients"]
    cdef floating[::1] scratch = arrays["scratch"]
    cdef unsigned char[::1] seen = arrays["seen"]
    if inputs.shape[0] != n.T or inputs.shape[1] != n.B:
        raise ValueError(f"inputs must have shape {(n.T, n.B)}")
    check_ids(&inputs[0, 0], n.T * n.B, n.K)
    with nogil:
        through_output(&delta[1, 0, 0], &P[0, 0, 0], theta, &scratch[0], 0, n.T * n.B, &n)
        layers_backward(gates, states, dropped, P, delta, d_cell, gradients, seen, theta, &scratch[0], &inputs[0, 0], &n)
        for layer in range(n.L + 1 if n.T * n.B <= SHORT else 0):
            matrix_gradient(gradients, gates, states, dropped, P, &scratch[0], &n, layer, WEIGHTS_W, 0, n.T * n.B)
            if 0 < layer < n.L:
                matrix_gradient(gradients, gates, states, dropped, P, &scratch[0], &n, layer, WEIGHTS_U, 0, n.T * n.B)
        zero_unseen(gradients, seen, &n)


def train(floating[:, ::1] theta not None, floating[:, :, ::1] slots not None, work, const int[:, :, ::1] inputs not None,
          const int[:, :, ::1] targets not None, const unsigned char[::1] resets not None, double[:, ::1] losses not None,
          const double[:, ::1] rates not None, rule, double[::1] smooth not None, floating[:, ::1] best not None, first_update=1,
          int thread=0, int threads=1):
    """Many updates in one call: window u of inputs and targets (n, T, B) is one step of truncated backprop-through-time.

    states[:, :, 0] carries the state from window to window (IN/OUT), 0 where resets[u].  losses (n, 3): OUT nats, summed over the
    window, their smoothed course, and the gradient's norm (NaN unless rule.clip_norm bounds it).  rates (n, 3): `UpdateRule.rates`.
    rule: charrnn.network.optimisers.UpdateRule.  smooth (5,) and best, IN/OUT: charrnn.network.smooth.SmoothLoss.
    Threads: each calls this with its own number `thread` and the same everything else, of a workspace for at least so many. If that
    fails for one of them, it has to set work.barrier[ABANDONED], or the others wait for it for ever."""
    cdef Sizes n
    cdef Rule r
    cdef Py_ssize_t windows = inputs.shape[0], u, count
    cdef int layer, state
    set_sizes(&n, work, sizeof(floating), thread, threads)
    set_dropout(&n.dropout, rule.dropout, rule.seed, first_update)
    set_dropout(&n.weight_drop, rule.weight_drop, rule.seed, first_update)
    set_dropout(&n.recurrent, rule.recurrent_dropout, rule.seed, first_update)
    r.kind, r.factor, r.clip, r.clip_norm, r.eps, r.input_rate = rule.kind, 1, rule.clip, rule.clip_norm, rule.eps, rule.input_rate
    r.beta1, r.rest1, r.rest2 = rule.beta1, 1 - <double>rule.beta1, 1 - <double>rule.beta2
    arrays = arrays_of(work, theta, &n, True, [inputs, targets, resets, rates], [theta, slots, losses, smooth, best])
    cdef floating[:, :, :, :, ::1] states = arrays["states"], gates = arrays["gates"]
    cdef floating[:, :, :, ::1] dropped = arrays["dropped"]
    cdef floating[:, :, ::1] P = arrays["error"], delta = arrays["delta"]
    cdef floating[:, ::1] d_cell = arrays["d_cell"], gradients = arrays["gradients"]
    cdef floating[::1] scratch = arrays["scratch"]
    cdef unsigned char[::1] seen = arrays["seen"]
    cdef floating[:, ::1] used = arrays["used"] if n.weight_drop.rate > 0 else theta
    cdef double[:, ::1] each = arrays["losses"]
    cdef double[::1] squares = arrays["squares"]
    cdef int[::1] barrier = arrays["barrier"]
    cdef double scale = rule.scale, norm
    if (inputs.shape[1] != n.T or inputs.shape[2] != n.B or targets.shape[0] != windows or targets.shape[1] != n.T
            or targets.shape[2] != n.B or resets.shape[0] != windows or losses.shape[0] != windows or losses.shape[1] != 3
            or rates.shape[0] != windows or rates.shape[1] != 3):
        raise ValueError(f"inputs, targets, resets, losses and rates do not belong together, or to T={n.T}, B={n.B}")
    if smooth.shape[0] != 5 or best.shape[0] != theta.shape[0] or best.shape[1] != n.m_:
        raise ValueError("smooth must have 5 elements and best theta's shape")
    if not 0 <= r.kind < 4 or slots.shape[0] < (2 if r.kind == 1 else 1) or slots.shape[1] != theta.shape[0] or slots.shape[2] != n.m_:
        raise ValueError("slots do not have theta's shape, or are too few")
    if windows == 0:
        return
    check_ids(&inputs[0, 0, 0], windows * n.T * n.B, n.K)
    check_ids(&targets[0, 0, 0], windows * n.T * n.B, n.K)
    n.barrier = &barrier[0]
    count = (n.lane1 - n.lane0 - 1) * n.m_ + n.unit1 - n.unit0  # from the first to the last of this thread's lanes and units
    with nogil:
        for u in range(0 if barrier_wait(n.barrier, threads) else windows):  # nothing, if one of the others never got here
            r.rate, r.root, r.keep = rates[u, 0], rates[u, 1], rates[u, 2]
            carry(states, &n, resets[u], False)
            if n.weight_drop.rate > 0:
                drop_weights(used, theta, &scratch[0], &n)
            layers_forward(gates, states, dropped, used, &scratch[0], &inputs[u, 0, 0], &n)
            softmax_cross_entropy(P, each, handed_up(states, dropped, &n, n.L - 1), used, &scratch[0], &targets[u, 0, 0],
                                  &delta[1, 0, 0], &n, scale, True, n.row0, n.row1)
            barrier_wait(n.barrier, threads)
            if thread == 0:
                track(losses, u, each, smooth, theta, best)
            layers_backward(gates, states, dropped, P, delta, d_cell, gradients, seen, used, &scratch[0], &inputs[u, 0, 0], &n)
            norm = step(theta, slots, gradients, squares, seen, gates, states, dropped, P, &scratch[0], &n, &r)
            if thread == 0:
                losses[u, 2] = norm
            if barrier_wait(n.barrier, threads):
                break  # abandoned in between: the caller was interrupted, and waits for this to end
            carry(states, &n, False, True)
            n.dropout.update += 1
            n.weight_drop.update += 1
            n.recurrent.update += 1


cdef void carry(floating[:, :, :, :, ::1] states, const Sizes *n, bint reset, bint last) noexcept nogil:
    """states[:, :, 0] = 0 if reset, states[:, :, T] if last   for this thread's lanes and units."""
    cdef Py_ssize_t lane, size = max(<Py_ssize_t>0, n.unit1 - n.unit0) * sizeof(floating)
    cdef int layer, s
    for layer in range(n.L if reset or last else 0):
        for s in range(n.N):
            for lane in range(n.lane0, n.lane1):
                if reset:
                    memset(&states[layer, s, 0, lane, n.unit0], 0, size)
                else:
                    memcpy(&states[layer, s, 0, lane, n.unit0], &states[layer, s, n.T, lane, n.unit0], size)


# ---- what tests and the bench look at ------------------------------------------------------------------------------------

cdef enum: TANH, SIGMOID, EXP


def elementwise(floating[::1] out not None, const floating[::1] x not None, int function):
    """out = tanh(x), sigmoid(x) or exp(x)."""
    a, b = span(out), span(x)
    if out.shape[0] != x.shape[0]:
        raise ValueError("out and x differ in length")
    if a[0] < b[1] and b[0] < a[1]:
        raise ValueError("out and x overlap")
    if not x.shape[0]:  # which has no first element to point to
        return
    with nogil:
        if function == TANH:
            tanh_row(&out[0], &x[0], x.shape[0])
        elif function == SIGMOID:
            sigmoid_row(&out[0], &x[0], x.shape[0])
        else:
            exp_row(&out[0], &x[0], x.shape[0])


def tanh(out, x):
    """out = tanh(x)."""
    elementwise(out, x, TANH)


def sigmoid(out, x):
    """out = 1 / (1 + exp(-x))."""
    elementwise(out, x, SIGMOID)


def exp(out, x):
    """out = exp(x), the function of the softmax."""
    elementwise(out, x, EXP)


def peak(floating[::1] sink not None, Py_ssize_t rounds):
    """Run multiply-adds on registers alone and return how many floating-point operations that was."""
    cdef double done
    if sink.shape[0] < 1:
        raise ValueError("sink is empty")
    with nogil:
        done = run_peak(&sink[0], rounds)
    return done
