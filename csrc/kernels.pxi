# kernels.pxi: the mathematics of the character RNN, compiled once per processor level (see kernels_<level>.pyx).
#
# a) Dimensions:  m hidden units, K symbols, T time steps, B lanes (text streams walked side by side).
#    m_ and K_ are m and K padded to whole 64-byte lines, an odd number of them: rows start aligned, loops over a row have no
#    remainder, and a column of tiles never falls into a single set of the cache. Padding is 0 in everything that is m_ wide and never changes.
# b) Parameters: one array theta (R, m_) whose rows are
#        W    rows 0 .. m-1           W[i, :] weights into unit i
#        V    rows m .. m+K-1         V[k, :] weights into symbol k
#        U    rows m+K .. m+2K-1      U transposed, so that U x_t is the row of the symbol x_t
#        b    row  m+2K
#        c    from row m+2K+1, running on over as many rows as its K_ elements need; its padding is -1e30, which exp turns into 0
#    Gradients and each memory of the optimiser have the same shape, so that row r of one belongs to row r of the other.
# c) WT and VT are W and V transposed. The forward pass multiplies by columns of W and the backward pass by its rows; a
#    product that adds scaled rows (axpy) vectorises without reordering a sum, so both layouts are kept and `turn` renews the second.
# d) Everything that does not wait for h_{t-1} stands outside the loop over time, as one product over all T B rows.
# e) Threads of one update share the arrays and split lanes, then rows of T B, then lanes, then rows of theta, with a
#    barrier between. No element is ever summed by two threads, hence the same bits for any number of them.
# f) These functions guard memory (shapes, ids below K) and nothing else; charrnn/model.py words the errors for people.
#    The same functions in NumPy, to be read first: charrnn/reference.py.
include "leaves.pxi"
from libc.math cimport sqrt, INFINITY
from libc.string cimport memset, memcpy
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

cdef enum: ROWS_AT_ONCE = 64     # rows of outputs that stay in cache from the logits to V^T g
cdef enum: GRADIENT_ROWS = 20    # rows of a weight gradient, at most, that are clipped and applied while in the first-level cache ...
cdef enum: SHORT = 128           # ... if a window has no more characters than this

cdef inline Py_ssize_t whole_lines(Py_ssize_t n, size_t itemsize) noexcept nogil:
    """n elements rounded up to whole 64-byte lines."""
    cdef Py_ssize_t line = 64 // itemsize
    return (n + line - 1) // line * line


cdef inline Py_ssize_t share(Py_ssize_t rows, Py_ssize_t most) noexcept nogil:
    """How many of these rows come next, when they are dealt out in nearly equal shares of at most `most`."""
    return rows // ((rows + most - 1) // most)


cdef struct Rule:
    # One update: which optimiser (0 AdaGrad, 1 Adam, 2 RMSProp, 3 SGD), its constants, this step's rate and U's share of it.
    int kind
    double rate, root, input_rate, factor, clip, clip_norm, eps, beta1, beta2


# ---- forward -----------------------------------------------------------------------------------------------------------

cdef void recur(floating[:, :, ::1] H, floating[:, ::1] theta, floating[:, ::1] WT, const int[:, ::1] X,
                Py_ssize_t K, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    """a_t = W h_{t-1} + U x_t + b;  h_t = tanh(a_t)   for the lanes low <= lane < high.

    H (T+1, B, m_): IN H[0], OUT H[1:].  X (T, B)."""
    cdef Py_ssize_t T = X.shape[0], B = X.shape[1], m = WT.shape[0], m_ = H.shape[2], t, lane
    cdef char room[ROOM_FOR_ENDS]
    if B == 1:
        recur_lane(&H[1, 0, 0], &H[0, 0, 0], T, &X[0, 0], &theta[m + K, 0], &theta[m + 2 * K, 0], &WT[0, 0], m_,
                   gather_ends(room, &WT[0, 0], m_, m, m), m)
        return
    for t in range(T):
        for lane in range(low, high):
            add_rows(&H[t + 1, lane, 0], &theta[m + K + X[t, lane], 0], &theta[m + 2 * K, 0], m_)
        product(&H[t + 1, low, 0], m_, &H[t + 1, low, 0], m_, &H[t, low, 0], m_, &WT[0, 0], m_, high - low, m, m)
        tanh_here(&H[t + 1, low, 0], (high - low) * m_)


cdef void emit(floating[:, :, ::1] P, double[:, ::1] losses, floating[:, :, ::1] H, floating[:, ::1] theta,
               floating[:, ::1] VT, const int[:, ::1] Y, floating[:, :, ::1] D, Py_ssize_t K, double scale, bint learn,
               Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    """o = V h + c;  p = softmax(o);  loss = -log p[y];  if learn: g = scale (p - y), D = V^T g   for rows low <= t B + lane < high.

    P (T, B, K_): OUT p, or g if learn.  losses (T, B): OUT nats.  D (T, B, m_): OUT.  H (T+1, B, m_): IN."""
    cdef Py_ssize_t B = Y.shape[1], m = VT.shape[0], m_ = H.shape[2], K_ = P.shape[2], width = whole_lines(K, sizeof(floating)), first, some, r
    cdef const floating *h = &H[1, 0, 0]
    cdef const int *y = &Y[0, 0]
    cdef floating *p
    cdef floating logits[ROWS_AT_ONCE]
    cdef floating totals[ROWS_AT_ONCE]
    cdef double nats[ROWS_AT_ONCE]
    first = low
    while first < high:
        some = min(<Py_ssize_t>ROWS_AT_ONCE, high - first)
        p = &P[0, 0, 0] + first * K_
        product(p, K_, &theta[m + 2 * K + 1, 0], 0, h + first * m_, m_, &VT[0, 0], K_, some, m, width)
        for r in range(some):  # one thing at a time for all rows: a row's sum need not wait for its maximum
            totals[r] = max_row(p + r * K_, width)
        for r in range(some):
            logits[r] = p[r * K_ + y[first + r]] - totals[r]
            totals[r] = exp_shifted(p + r * K_, width, totals[r], <floating>1)
            nats[r] = totals[r]
        log_here(nats, some)
        for r in range(some):
            (&losses[0, 0])[first + r] = nats[r] - logits[r]
            scale_row(p + r * K_, <floating>scale / totals[r], width)
            if p[r * K_ + width - 1] != 0 and width > K:  # weights beyond 1e30 make the padding of c likely
                memset(p + r * K_ + K, 0, (width - K) * sizeof(floating))
            if learn:
                p[r * K_ + y[first + r]] -= <floating>scale
        if learn:
            product(&D[0, 0, 0] + first * m_, m_, NULL, 0, p, K_, &theta[m, 0], m_, some, K, m)
        first += some


# ---- backward ----------------------------------------------------------------------------------------------------------

cdef void unwind(floating[:, :, ::1] D, floating[:, :, ::1] H, floating[:, ::1] theta, Py_ssize_t m, Py_ssize_t low,
                 Py_ssize_t high) noexcept nogil:
    """dh_t = V^T g_t + W^T da_{t+1};  da_t = dh_t (1 - h_t^2)   for the lanes low <= lane < high.

    D (T, B, m_): IN V^T g, OUT da."""
    cdef Py_ssize_t T = D.shape[0], B = D.shape[1], m_ = D.shape[2], t
    cdef char room[ROOM_FOR_ENDS]
    tanh_backward(&D[T - 1, low, 0], &H[T, low, 0], (high - low) * m_)
    if B == 1:
        unwind_lane(&D[0, 0, 0], &H[1, 0, 0], T, &theta[0, 0], m_, gather_ends(room, &theta[0, 0], m_, m, m), m)
        return
    for t in range(T - 2, -1, -1):
        product(&D[t, low, 0], m_, &D[t, low, 0], m_, &D[t + 1, low, 0], m_, &theta[0, 0], m_, high - low, m, m)
        tanh_backward(&D[t, low, 0], &H[t + 1, low, 0], (high - low) * m_)


cdef void gradient_of_rows(floating *out, floating[:, :, ::1] D, floating[:, :, ::1] P, floating[:, :, ::1] H,
                           Py_ssize_t m, Py_ssize_t first, Py_ssize_t some) noexcept nogil:
    """dW = sum over t of da_t h_{t-1}^T;  dV = sum over t of g_t h_t^T   for rows first .. first+some-1 of theta, W's or V's."""
    cdef Py_ssize_t rows = D.shape[0] * D.shape[1], m_ = D.shape[2], K_ = P.shape[2]
    if first < m:
        outer_product(out, m_, &D[0, 0, first], m_, &H[0, 0, 0], m_, some, rows, m)
    else:
        outer_product(out, m_, &P[0, 0, first - m], K_, &H[1, 0, 0], m_, some, rows, m)


cdef void gradient_of_columns(floating[:, ::1] gradients, unsigned char[::1] seen, floating[:, :, ::1] D,
                              floating[:, :, ::1] P, const int[:, ::1] X, Py_ssize_t m, Py_ssize_t K, int thread,
                              int threads) noexcept nogil:
    """dU[:, x_t] += da_t;  db = sum over t of da_t;  dc = sum over t of g_t.  Thread i of n owns the symbols x with x mod n = i.

    OUT the rows of U, b and c of gradients, the former only where seen (K): OUT 1 for each symbol of the window."""
    cdef Py_ssize_t rows = D.shape[0] * D.shape[1], m_ = D.shape[2], K_ = P.shape[2], r, x
    cdef const int *ids = &X[0, 0]
    x = thread
    while x < K:
        seen[x] = 0
        x += threads
    for r in range(rows):
        x = ids[r]
        if threads == 1 or x % threads == thread:
            if seen[x]:
                add_onto(&gradients[m + K + x, 0], &D[0, 0, 0] + r * m_, m_)
            else:
                memcpy(&gradients[m + K + x, 0], &D[0, 0, 0] + r * m_, m_ * sizeof(floating))
                seen[x] = 1
    if thread == 0:
        sum_of_rows(&gradients[m + 2 * K, 0], &D[0, 0, 0], rows, m_)
    if thread == threads - 1:
        sum_of_rows(&gradients[m + 2 * K + 1, 0], &P[0, 0, 0], rows, K_)


# ---- update ------------------------------------------------------------------------------------------------------------

cdef void apply(floating[:, ::1] theta, floating[:, :, ::1] slots, Py_ssize_t row, const floating *g, Py_ssize_t n,
                const Rule *rule) noexcept nogil:
    """theta[row] changes by the rule, given n elements of its gradient g; the optimiser's memories are slots[:, row]."""
    cdef floating *p = &theta[row, 0]
    cdef floating *s = &slots[0, row, 0]
    if rule.kind == 0:
        if floating is float:
            adagrad_row_f(p, s, g, n, rule.factor, rule.clip, rule.rate, rule.eps)
        else:
            adagrad_row_d(p, s, g, n, rule.factor, rule.clip, rule.rate, rule.eps)
    elif rule.kind == 1:
        if floating is float:
            adam_row_f(p, s, &slots[1, row, 0], g, n, rule.factor, rule.clip, rule.rate, rule.root, rule.beta1, rule.beta2, rule.eps)
        else:
            adam_row_d(p, s, &slots[1, row, 0], g, n, rule.factor, rule.clip, rule.rate, rule.root, rule.beta1, rule.beta2, rule.eps)
    elif rule.kind == 2:
        if floating is float:
            rmsprop_row_f(p, s, g, n, rule.factor, rule.clip, rule.rate, rule.beta2, rule.eps)
        else:
            rmsprop_row_d(p, s, g, n, rule.factor, rule.clip, rule.rate, rule.beta2, rule.eps)
    else:
        if floating is float:
            sgd_row_f(p, s, g, n, rule.factor, rule.clip, rule.rate, rule.beta1)
        else:
            sgd_row_d(p, s, g, n, rule.factor, rule.clip, rule.rate, rule.beta1)


cdef void learn_rows(floating[:, ::1] theta, floating[:, :, ::1] slots, floating[:, ::1] gradients, floating[:, :, ::1] D,
                     floating[:, :, ::1] P, floating[:, :, ::1] H, const Rule *rule, Py_ssize_t low, Py_ssize_t high,
                     Py_ssize_t m) noexcept nogil:
    """Gradient, clip and update of the rows low .. high-1, W's or V's; in a short window a few rows at a time, whose gradient
    then never leaves the first-level cache."""
    cdef Py_ssize_t m_ = theta.shape[1], first = low, some, r
    cdef Py_ssize_t most = GRADIENT_ROWS if D.shape[0] * D.shape[1] <= SHORT else high - low
    while first < high:
        some = share(high - first, most)
        gradient_of_rows(&gradients[low, 0], D, P, H, m, first, some)
        for r in range(some):
            apply(theta, slots, first + r, &gradients[low + r, 0], m_, rule)
        first += some


cdef void learn_rows_beside(floating[:, ::1] theta, floating[:, :, ::1] slots, floating[:, ::1] gradients,
                            floating[:, :, ::1] D, floating[:, :, ::1] P, floating[:, :, ::1] H, floating[:, ::1] WT,
                            const Rule *rule, Py_ssize_t w0, Py_ssize_t w1, Py_ssize_t v0, Py_ssize_t v1, Py_ssize_t m) noexcept nogil:
    """`learn_rows` for AdaGrad in short windows, rows w0 .. w1-1 of W and v0 .. v1-1 of V: the update of a few rows runs beside
    the product that makes the gradient of the next few (tiles.h), in two buffers in turn, and the last beside the renewal of WT."""
    cdef Py_ssize_t rows = D.shape[0] * D.shape[1], m_ = theta.shape[1], K_ = P.shape[2], first = w0, some, turns = 0
    cdef Py_ssize_t most = min(<Py_ssize_t>GRADIENT_ROWS, (w1 - w0) // 2)
    cdef floating *out
    cdef aside_f side_f
    cdef aside_d side_d
    if floating is float:
        aside_set_f(&side_f, NULL, NULL, NULL, 0, 0, 0, 0)
    else:
        aside_set_d(&side_d, NULL, NULL, NULL, 0, 0, 0, 0)
    while first < v1:
        if first == w1:
            first = v0
        some = share((w1 if first < w1 else v1) - first, most)
        out = &gradients[w0 + (turns & 1) * most, 0]
        turns += 1
        if floating is float:
            if first < m:
                outer_product_beside_f(out, m_, &D[0, 0, first], m_, &H[0, 0, 0], m_, some, rows, m, &side_f)
            else:
                outer_product_beside_f(out, m_, &P[0, 0, first - m], K_, &H[1, 0, 0], m_, some, rows, m, &side_f)
            aside_rest_f(&side_f)
            aside_set_f(&side_f, &theta[first, 0], &slots[0, first, 0], out, some * m_, rule.clip, rule.rate, rule.eps)
        else:
            if first < m:
                outer_product_beside_d(out, m_, &D[0, 0, first], m_, &H[0, 0, 0], m_, some, rows, m, &side_d)
            else:
                outer_product_beside_d(out, m_, &P[0, 0, first - m], K_, &H[1, 0, 0], m_, some, rows, m, &side_d)
            aside_rest_d(&side_d)
            aside_set_d(&side_d, &theta[first, 0], &slots[0, first, 0], out, some * m_, rule.clip, rule.rate, rule.eps)
        first += some
    if floating is float:
        turn_beside_f(&WT[0, w0], m_, &theta[w0, 0], m_, w1 - w0, m, &side_f)
        aside_rest_f(&side_f)
    else:
        turn_beside_d(&WT[0, w0], m_, &theta[w0, 0], m_, w1 - w0, m, &side_d)
        aside_rest_d(&side_d)


cdef double global_norm(double[::1] squares) noexcept nogil:
    """The Euclidean norm of the whole gradient from its rows' sums of squares, added in one order."""
    cdef double total = 0
    for row in range(squares.shape[0]):
        total += squares[row]
    return sqrt(total)


cdef void learn(floating[:, ::1] theta, floating[:, :, ::1] slots, floating[:, ::1] gradients, double[::1] squares,
                unsigned char[::1] seen, floating[:, :, ::1] D, floating[:, :, ::1] P, floating[:, :, ::1] H,
                floating[:, ::1] WT, floating[:, ::1] VT, const int[:, ::1] X, const Rule *rule, int *barrier,
                int thread, int threads) noexcept nogil:
    """All gradients, clipped, applied to theta; then WT and VT renewed. Thread i of n does its share of the rows."""
    cdef Py_ssize_t m = WT.shape[0], K = seen.shape[0], m_ = theta.shape[1], K_ = P.shape[2], r, x
    cdef Py_ssize_t w0 = m * thread // threads, w1 = m * (thread + 1) // threads
    cdef Py_ssize_t v0 = m + K * thread // threads, v1 = m + K * (thread + 1) // threads
    cdef Rule scaled = rule[0]
    cdef double norm
    cdef bint beside = (rule.kind == 0 and rule.clip_norm == INFINITY and D.shape[0] * D.shape[1] <= SHORT and w1 - w0 >= GRADIENT_ROWS
                        and v1 > v0)
    gradient_of_columns(gradients, seen, D, P, X, m, K, thread, threads)
    if rule.clip_norm < INFINITY:
        gradient_of_rows(&gradients[w0, 0], D, P, H, m, w0, w1 - w0)
        gradient_of_rows(&gradients[v0, 0], D, P, H, m, v0, v1 - v0)
        for r in range(w0, w1):
            squares[r] = squares_row(&gradients[r, 0], m_)
        for r in range(v0, v1):
            squares[r] = squares_row(&gradients[r, 0], m_)
        x = thread
        while x < K:
            squares[m + K + x] = squares_row(&gradients[m + K + x, 0], m_) if seen[x] else 0
            x += threads
        if thread == 0:
            squares[m + 2 * K] = squares_row(&gradients[m + 2 * K, 0], m_)
        if thread == threads - 1:
            squares[m + 2 * K + 1] = squares_row(&gradients[m + 2 * K + 1, 0], K_)
        barrier_wait(barrier, threads)
        norm = global_norm(squares)
        if norm > rule.clip_norm:
            scaled.factor = rule.clip_norm / norm
        for r in range(w0, w1):
            apply(theta, slots, r, &gradients[r, 0], m_, &scaled)
        for r in range(v0, v1):
            apply(theta, slots, r, &gradients[r, 0], m_, &scaled)
    elif beside:
        learn_rows_beside(theta, slots, gradients, D, P, H, WT, rule, w0, w1, v0, v1, m)
    else:
        learn_rows(theta, slots, gradients, D, P, H, rule, w0, w1, m)
        learn_rows(theta, slots, gradients, D, P, H, rule, v0, v1, m)
    scaled.rate *= rule.input_rate
    x = thread
    while x < K:
        if rule.kind != 0 and not seen[x]:
            memset(&gradients[m + K + x, 0], 0, m_ * sizeof(floating))
        if rule.kind != 0 or seen[x]:  # a zero gradient changes nothing under AdaGrad: leaving the row alone is exact
            apply(theta, slots, m + K + x, &gradients[m + K + x, 0], m_, &scaled)
        x += threads
    scaled.rate = rule.rate
    if thread == 0:
        apply(theta, slots, m + 2 * K, &gradients[m + 2 * K, 0], m_, &scaled)
    if thread == threads - 1:
        apply(theta, slots, m + 2 * K + 1, &gradients[m + 2 * K + 1, 0], K_, &scaled)
    if not beside:
        turn(&WT[0, w0], m_, &theta[w0, 0], m_, w1 - w0, m)
    turn(&VT[0, v0 - m], K_, &theta[v0, 0], m_, v1 - v0, m)


cdef void follow(double[:, ::1] losses, Py_ssize_t u, double[:, ::1] each, double[::1] smooth, floating[:, ::1] theta,
                 floating[:, ::1] best) noexcept nogil:
    """losses[u] = the window's loss, smooth = 0.999 smooth + 0.001 loss;  best = theta as the lowest smooth loss left it.

    smooth (4,): the smooth loss (NaN before the first window), its lowest value, the number of windows so far, the number of the
    lowest (made negative while best has yet to be copied). The parameters after the update of a lowest window are theta when the next
    window arrives, so they are copied then, and only if that window is no new lowest: seldom enough to cost nothing."""
    cdef double total = 0
    for t in range(each.shape[0]):
        for lane in range(each.shape[1]):
            total += each[t, lane]
    smooth[2] += 1
    if smooth[0] != smooth[0]:
        smooth[0] = total
    else:
        smooth[0] = 0.999 * smooth[0] + 0.001 * total
    if smooth[0] < smooth[1]:
        smooth[1] = smooth[0]
        smooth[3] = -smooth[2]
    elif smooth[3] < 0:
        memcpy(&best[0, 0], &theta[0, 0], theta.shape[0] * theta.shape[1] * sizeof(floating))
        smooth[3] = -smooth[3]
    losses[u, 0] = total
    losses[u, 1] = smooth[0]


# ---- what Python calls -------------------------------------------------------------------------------------------------

cdef size_t address(array) except? 0:
    """Where an array begins."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return <size_t>view.buf


cdef object check(work, theta, Py_ssize_t T, Py_ssize_t B):
    """Raise unless theta and the arrays of `work` have the shapes and the alignment that the loops rely on for this T and B."""
    cdef Py_ssize_t m = work.m, K = work.K, m_ = theta.shape[1], K_
    _, _, K_ = work.error.shape  # unpacked: an index would not be checked against the number of dimensions
    if min(m, K, T, B) < 1 or m_ < m or K_ < K or m_ * theta.itemsize % 64 or K_ * theta.itemsize % 64:
        raise ValueError(f"impossible sizes: m={m} in rows of {m_}, K={K} in rows of {K_}, T={T}, B={B}")
    rows = m + 2 * K + 1 + (K_ + m_ - 1) // m_
    expected = {
        "gradients": (rows, m_), "WT": (m, m_), "VT": (m, K_), "seen": (K,), "squares": (m + 2 * K + 2,), "hidden": (T + 1, B, m_),
        "delta": (T, B, m_), "error": (T, B, K_), "losses": (T, B), "barrier": (32,), "kept": (K_,),
    }
    if theta.shape[0] != rows:
        raise ValueError(f"theta has {theta.shape[0]} rows, expected {rows}")
    for name, shape in expected.items():
        if getattr(work, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(work, name).shape}, expected {shape}")
    for array in (theta, work.WT, work.VT, work.hidden):
        if address(array) % 16:
            raise ValueError("theta, WT, VT and hidden must be aligned to 16 bytes, and are fastest to 64 (parameters.aligned_zeros)")


cdef object check_ids(const int *ids, Py_ssize_t n, Py_ssize_t K):
    cdef Py_ssize_t i
    cdef int low = 0, high = 0
    with nogil:
        for i in range(n):
            low = min(low, ids[i])
            high = max(high, ids[i])
    if low < 0 or high >= K:
        raise ValueError(f"ids must lie in 0..{K - 1}, found {low if low < 0 else high}")


def renew(floating[:, ::1] theta, work):
    """WT = W transposed, VT = V transposed: to be called after theta was changed from outside."""
    cdef floating[:, ::1] WT = work.WT, VT = work.VT
    cdef Py_ssize_t m = work.m, K = work.K
    T, B = work.losses.shape
    check(work, theta, T, B)
    turn(&WT[0, 0], WT.shape[1], &theta[0, 0], theta.shape[1], m, m)
    turn(&VT[0, 0], VT.shape[1], &theta[m, 0], theta.shape[1], K, m)


def forward(floating[:, ::1] theta, work, const int[:, ::1] inputs, const int[:, ::1] targets, double scale=1.0, bint learn=True):
    """hidden[1:], error and losses from hidden[0]; if learn: error = scale (p - y) and delta = V^T error, else error = p.

    inputs, targets (T, B) ids. work: see charrnn.network.parameters.Workspace."""
    cdef Py_ssize_t T = inputs.shape[0], B = inputs.shape[1], K = work.K
    cdef floating[:, :, ::1] H = work.hidden, P = work.error, D = work.delta
    cdef floating[:, ::1] WT = work.WT, VT = work.VT
    cdef double[:, ::1] losses = work.losses
    check(work, theta, T, B)
    if targets.shape[0] != T or targets.shape[1] != B:
        raise ValueError("inputs and targets differ in shape")
    check_ids(&inputs[0, 0], T * B, K)
    check_ids(&targets[0, 0], T * B, K)
    with nogil:
        recur(H, theta, WT, inputs, K, 0, B)
        emit(P, losses, H, theta, VT, targets, D, K, scale, learn, 0, T * B)


def backward(floating[:, ::1] theta, work, const int[:, ::1] inputs):
    """All gradients of the window, written over what was there, from hidden, error and delta as `forward` left them. delta becomes da."""
    cdef Py_ssize_t T = inputs.shape[0], B = inputs.shape[1], m = work.m, K = work.K, x
    cdef floating[:, :, ::1] H = work.hidden, P = work.error, D = work.delta
    cdef floating[:, ::1] gradients = work.gradients
    cdef unsigned char[::1] seen = work.seen
    check(work, theta, T, B)
    check_ids(&inputs[0, 0], T * B, K)
    with nogil:
        unwind(D, H, theta, m, 0, B)
        gradient_of_rows(&gradients[0, 0], D, P, H, m, 0, m)
        gradient_of_rows(&gradients[m, 0], D, P, H, m, m, K)
        gradient_of_columns(gradients, seen, D, P, inputs, m, K, 0, 1)
        for x in range(K):
            if not seen[x]:
                memset(&gradients[m + K + x, 0], 0, theta.shape[1] * sizeof(floating))


def train(floating[:, ::1] theta, floating[:, :, ::1] slots, work, const int[:, :, ::1] inputs, const int[:, :, ::1] targets,
          const unsigned char[::1] resets, double[:, ::1] losses, const double[:, ::1] rates, rule, double[::1] smooth,
          floating[:, ::1] best, int thread=0, int threads=1):
    """Many updates in one call: window u of inputs and targets (n, T, B) is one step of truncated backprop-through-time.

    hidden[0] carries the state from window to window (IN/OUT), 0 where resets[u].  losses (n, 2): OUT nats, summed over the
    window, and their smoothed course.  rates (n, 2): the rate of each update and the factor on Adam's root.
    rule: see charrnn.network.parameters.Rule.  smooth (4,) and best, IN/OUT: see `follow`.
    Threads: each calls this with its own number `thread` and the same everything else. If that fails for one of them, it has to
    set work.barrier[ABANDONED], or the others wait for it for ever."""
    cdef Py_ssize_t n = inputs.shape[0], T = inputs.shape[1], B = inputs.shape[2], m = work.m, K = work.K, m_ = theta.shape[1]
    cdef Py_ssize_t u
    if not 0 <= thread < threads:
        raise ValueError(f"thread {thread} of {threads}")
    cdef Py_ssize_t low = B * thread // threads, high = B * (thread + 1) // threads
    cdef Py_ssize_t row0 = T * B * thread // threads, row1 = T * B * (thread + 1) // threads
    cdef floating[:, :, ::1] H = work.hidden, P = work.error, D = work.delta
    cdef floating[:, ::1] WT = work.WT, VT = work.VT, gradients = work.gradients
    cdef unsigned char[::1] seen = work.seen
    cdef double[:, ::1] each = work.losses
    cdef double[::1] squares = work.squares
    cdef int[::1] barrier = work.barrier
    cdef double scale = rule.scale
    cdef Rule r
    r.kind, r.factor, r.clip, r.clip_norm, r.eps, r.beta1, r.beta2 = rule.kind, 1, rule.clip, rule.clip_norm, rule.eps, rule.beta1, rule.beta2
    r.input_rate = rule.input_rate
    check(work, theta, T, B)
    if (targets.shape[0] != n or targets.shape[1] != T or targets.shape[2] != B or resets.shape[0] != n or losses.shape[0] != n
            or losses.shape[1] != 2 or rates.shape[0] != n or rates.shape[1] != 2):
        raise ValueError("inputs, targets, resets, losses and rates do not belong together")
    if smooth.shape[0] != 4 or best.shape[0] != theta.shape[0] or best.shape[1] != m_:
        raise ValueError("smooth must have 4 elements and best theta's shape")
    if slots.shape[0] < (2 if r.kind == 1 else 1) or slots.shape[1] != theta.shape[0] or slots.shape[2] != m_:
        raise ValueError("slots do not have theta's shape")
    if n == 0:
        return
    check_ids(&inputs[0, 0, 0], n * T * B, K)
    check_ids(&targets[0, 0, 0], n * T * B, K)
    with nogil:
        for u in range(0 if barrier_wait(&barrier[0], threads) else n):  # nothing, if one of the others never got here
            r.rate = rates[u, 0]
            r.root = rates[u, 1]
            if resets[u] and low < high:
                memset(&H[0, low, 0], 0, (high - low) * m_ * sizeof(floating))
            if low < high:
                recur(H, theta, WT, inputs[u], K, low, high)
            barrier_wait(&barrier[0], threads)
            emit(P, each, H, theta, VT, targets[u], D, K, scale, True, row0, row1)
            barrier_wait(&barrier[0], threads)
            if thread == 0:
                follow(losses, u, each, smooth, theta, best)
            if low < high:
                unwind(D, H, theta, m, low, high)
            barrier_wait(&barrier[0], threads)
            learn(theta, slots, gradients, squares, seen, D, P, H, WT, VT, inputs[u], &r, &barrier[0], thread, threads)
            barrier_wait(&barrier[0], threads)
            if low < high:
                memcpy(&H[0, low, 0], &H[T, low, 0], (high - low) * m_ * sizeof(floating))


# ---- sampling ----------------------------------------------------------------------------------------------------------

cdef Py_ssize_t draw(floating *p, floating *kept, Py_ssize_t K, Py_ssize_t width, double uniform, floating sharpness,
                     Py_ssize_t top_k, double top_p) noexcept nogil:
    """A symbol from softmax(p * sharpness), p the logits: the first whose cumulated probability exceeds uniform.

    Restricted to the top_k likeliest and to the fewest that reach probability top_p together. sharpness = inf: the likeliest."""
    cdef Py_ssize_t k, best, found
    cdef floating total, top = max_row(p, width)
    cdef double goal, have = 0
    if sharpness == INFINITY:
        for k in range(K):
            if p[k] == top:
                return k
        return 0
    total = exp_shifted(p, width, top, sharpness)
    if top_k < K or top_p < 1:
        memset(kept, 0, K * sizeof(floating))
        for found in range(top_k):
            best = 0
            for k in range(1, K):
                if p[k] > p[best]:
                    best = k
            kept[best] = p[best]
            have += p[best]
            p[best] = -1
            if have >= top_p * total:
                break
        p = kept
        total = <floating>have
    goal = uniform * total
    have = 0
    best = 0
    for k in range(K):
        have += p[k]
        if p[k] > 0:
            best = k  # rounding may leave the sum below the goal: then the last possible symbol
            if have > goal:
                break
    return best


def sample(floating[:, ::1] theta, work, int[:, ::1] out, const int[::1] first, const double[:, ::1] uniforms,
           double temperature=1.0, Py_ssize_t top_k=0, double top_p=1.0):
    """out (n, B): symbols drawn one after the other from hidden[0] (IN/OUT) and the inputs `first` (B,), each fed back in.

    uniforms (n, B) in [0, 1). work must have T = 1. temperature divides the logits; 0 takes the likeliest."""
    cdef Py_ssize_t n = out.shape[0], B = out.shape[1], m = work.m, K = work.K, m_ = theta.shape[1]
    cdef Py_ssize_t t, lane
    cdef floating[:, :, ::1] H = work.hidden, P = work.error, D = work.delta
    cdef floating[:, ::1] WT = work.WT, VT = work.VT
    cdef Py_ssize_t K_ = VT.shape[1], width = whole_lines(K, sizeof(floating))
    cdef floating[::1] kept = work.kept
    cdef floating sharpness = <floating>(INFINITY if temperature == 0 else 1 / temperature)
    cdef int *x
    cdef char room[ROOM_FOR_ENDS]
    cdef const floating *ends
    cdef floating *new
    cdef floating *old
    check(work, theta, 1, B)
    if first.shape[0] != B or uniforms.shape[0] != n or uniforms.shape[1] != B:
        raise ValueError("out, first and uniforms do not belong together")
    check_ids(&first[0], B, K)
    if n == 0:
        return
    if top_k <= 0 or top_k > K:
        top_k = K
    with nogil:
        ends = gather_ends(room, &WT[0, 0], m_, m, m)
        for t in range(n):
            old = &H[t & 1, 0, 0]
            new = &H[1 - (t & 1), 0, 0]
            x = &out[t - 1, 0] if t else <int *>&first[0]
            if B == 1:
                recur_lane(new, old, 1, x, &theta[m + K, 0], &theta[m + 2 * K, 0], &WT[0, 0], m_, ends, m)
                row_product(&P[0, 0, 0], &theta[m + 2 * K + 1, 0], new, &VT[0, 0], K_, m, width)
            else:
                for lane in range(B):
                    add_rows(new + lane * m_, &theta[m + K + x[lane], 0], &theta[m + 2 * K, 0], m_)
                product(new, m_, new, m_, old, m_, &WT[0, 0], m_, B, m, m)
                tanh_here(new, B * m_)
                product(&P[0, 0, 0], K_, &theta[m + 2 * K + 1, 0], 0, new, m_, &VT[0, 0], K_, B, m, width)
            for lane in range(B):
                out[t, lane] = <int>draw(&P[0, lane, 0], &kept[0], K, width, uniforms[t, lane], sharpness, top_k, top_p)
        if n & 1:
            memcpy(&H[0, 0, 0], &H[1, 0, 0], B * m_ * sizeof(floating))


# ---- leaves that tests and the bench look at ------------------------------------------------------------------------------

def tanh(floating[::1] out, const floating[::1] x):
    """out = tanh(x), the function of the hidden layer."""
    if out.shape[0] != x.shape[0]:
        raise ValueError("out and x differ in length")
    if x.shape[0] == 0:
        return
    with nogil:
        if floating is float:
            tanh_row_f(&out[0], &x[0], x.shape[0])
        else:
            tanh_row_d(&out[0], &x[0], x.shape[0])


def exp(floating[::1] out, const floating[::1] x):
    """out = exp(x), the function of the softmax."""
    if out.shape[0] != x.shape[0]:
        raise ValueError("out and x differ in length")
    if x.shape[0] == 0:
        return
    with nogil:
        if floating is float:
            exp_row_f(&out[0], &x[0], x.shape[0])
        else:
            exp_row_d(&out[0], &x[0], x.shape[0])


def peak(floating[::1] sink, Py_ssize_t rounds):
    """Run multiply-adds on registers alone and return how many floating-point operations that was."""
    cdef double done
    if sink.shape[0] < 1:
        raise ValueError("sink is empty")
    with nogil:
        if floating is float:
            done = peak_f(rounds, &sink[0])
        else:
            done = peak_d(rounds, &sink[0])
    return done
