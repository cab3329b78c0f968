# forward.pxi: from ids to hidden states, to probabilities, to losses.

cdef enum: ROWS_AT_ONCE = 64     # rows of logits that stay in cache from the product to V^T g


cdef inline Py_ssize_t symbol(const int *ids, Py_ssize_t i, const Sizes *n) noexcept nogil:
    """The i-th id. Ids were checked, but another thread of the program may have changed them since: no id leads out of theta."""
    cdef int x = (<const volatile int *>ids)[i]
    return x if 0 <= x < n.K else 0


cdef void input_rows(floating[:, :, :, :, ::1] gates, floating *below, floating[:, ::1] theta, floating *scratch, const int *X,
                     const Sizes *n, int layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """a = U x + b   for the rows first <= t B + lane < last: what need not wait for h_{t-1}. Layer 0: U x is a gather."""
    cdef Py_ssize_t row = n.R * n.m_, r
    cdef floating *a = &gates[layer, 0, 0, 0, 0]
    cdef floating *b = &theta[first_row(n, layer, 2), 0]
    cdef Panels[floating] u
    cdef int g
    for r in range(first, last):
        if layer == 0:
            add_rows(a + r * row, &theta[first_row(n, 0, 1) + symbol(X, r, n) * n.G, 0], b, n.G * n.m_)
        if n.apart:
            memcpy(a + r * row + n.G * n.m_, b + n.G * n.m_, n.m_ * sizeof(floating))
    for g in range(n.G if layer else 0):
        u = panels_of(&theta[0, 0], scratch, n, layer, WEIGHTS_U, FORWARD, g)
        product(a + first * row + g * n.m_, row, b + g * n.m_, 0, below + first * n.m_, n.m_, 1, &u, last - first, n.m, n.m, UP)


cdef void layer_forward(floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped,
                        floating[:, ::1] theta, floating *scratch, const int *X, const Sizes *n, int layer) noexcept nogil:
    """a_t = W h_{t-1} + U x_t + b;  states_t = cell(a_t, states_{t-1})   for this thread's lanes and units.

    gates (L, T, B, R, m_): OUT.  states (L, N, T+1, B, m_): IN [layer, :, 0], OUT [layer, :, 1:].  dropped (L, T, B, m_): OUT what
    dropout leaves of h."""
    cdef Py_ssize_t t, lane, u0 = n.unit0, stride = (n.T + 1) * n.B * n.m_
    cdef floating *below = handed_up(states, dropped, n, layer - 1) if layer else NULL
    cdef floating *a
    cdef Panels[floating] w
    cdef int g, i, sweep
    for t in range(n.T):
        sweep = sweep_of(n, t)
        if n.by_step:
            input_rows(gates, below, theta, scratch, X, n, layer, t * n.B + n.lane0, t * n.B + n.lane1)
        if n.unit1 > u0 and n.lane1 > n.lane0:
            for i in range(n.G):
                g = n.G - 1 - i if sweep else i
                w = panels_of(&theta[0, 0], scratch, n, layer, WEIGHTS_W, FORWARD, g)
                w.data += u0 // w.width * w.step
                a = &gates[layer, t, n.lane0, recurrent_row(n, g), u0]
                product(a, n.R * n.m_, a, n.R * n.m_, &states[layer, 0, t, n.lane0, 0], n.m_, 1, &w, n.lane1 - n.lane0, n.m,
                        min(n.unit1, n.m) - u0, sweep)
            for lane in range(n.lane0, n.lane1):
                cell_forward(n.cell, &gates[layer, t, lane, 0, u0], n.m_, &states[layer, 0, t, lane, u0],
                             &states[layer, 0, t + 1, lane, u0], stride, n.unit1 - u0, &n.recurrent, 2 * n.L + layer, t, lane, u0)
                if n.dropout.rate > 0:
                    drop_row(&dropped[layer, t, lane, u0], &states[layer, 0, t + 1, lane, u0], &n.dropout, layer, t, lane, u0, n.unit1 - u0)
        if n.by_units:
            barrier_wait(n.barrier, n.threads)


cdef inline floating *handed_up(floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped, const Sizes *n, int layer) noexcept nogil:
    """What the layer above reads, T B rows."""
    return &dropped[layer, 0, 0, 0] if n.dropout.rate > 0 else &states[layer, 0, 1, 0, 0]


cdef void layers_forward(floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped,
                         floating[:, ::1] theta, floating *scratch, const int *X, const Sizes *n) noexcept nogil:
    """All layers, and this thread's wait until the others have done them."""
    cdef int layer
    for layer in range(n.L):
        if not n.by_step:
            input_rows(gates, handed_up(states, dropped, n, layer - 1) if layer else NULL, theta, scratch, X, n, layer, n.row0, n.row1)
            barrier_wait(n.barrier, n.threads)
        layer_forward(gates, states, dropped, theta, scratch, X, n, layer)
        if not n.by_step or layer == n.L - 1:
            barrier_wait(n.barrier, n.threads)


cdef inline void logits_of(floating *o, floating *h, floating[:, ::1] theta, floating *scratch, Py_ssize_t rows, const Sizes *n) noexcept nogil:
    """o = V h + c   for some rows of K_ and m_ elements. The padding becomes o_0, which changes no maximum."""
    cdef Panels[floating] v = panels_of(&theta[0, 0], scratch, n, n.L, WEIGHTS_W, FORWARD, 0)
    cdef Py_ssize_t r, k
    product(o, n.K_, &theta[first_row(n, n.L, 0) + n.K, 0], 0, h, n.m_, 1, &v, rows, n.m, n.K, UP)
    for r in range(rows):
        for k in range(n.K, n.symbols):
            o[r * n.K_ + k] = o[r * n.K_]


cdef void softmax_cross_entropy(floating[:, :, ::1] P, double[:, ::1] losses, floating *h, floating[:, ::1] theta, floating *scratch,
                                const int *Y, floating *d, const Sizes *n, double scale, bint gradient, Py_ssize_t low,
                                Py_ssize_t high) noexcept nogil:
    """o = V h + c;  p = softmax(o);  loss = -log p[y];  if gradient: g = scale (p - y), and d = V^T g, unless d is NULL   for the rows
    low <= t B + lane < high.

    P (T, B, K_): OUT p or g.  losses (T, B): OUT nats.  h, d (T B, m_): IN, OUT."""
    cdef Py_ssize_t first = low, rows, r
    cdef floating *p
    cdef floating top[ROWS_AT_ONCE]
    cdef floating right[ROWS_AT_ONCE]
    cdef floating total[ROWS_AT_ONCE]
    cdef double nats[ROWS_AT_ONCE]
    while first < high:
        rows = min(<Py_ssize_t>ROWS_AT_ONCE, high - first)
        p = &P[0, 0, 0] + first * n.K_
        logits_of(p, h + first * n.m_, theta, scratch, rows, n)
        for r in range(rows):  # one thing at a time for all rows: a row's sum need not wait for its maximum
            top[r] = largest_of_row(p + r * n.K_, n.symbols)
        for r in range(rows):
            right[r] = p[r * n.K_ + symbol(Y, first + r, n)] - top[r]
            total[r] = exp_shifted(p + r * n.K_, n.K, n.symbols, top[r], <floating>1)
            nats[r] = total[r]
        log_row(nats, rows)
        for r in range(rows):
            (&losses[0, 0])[first + r] = nats[r] - right[r]
            scale_row(p + r * n.K_, <floating>((scale if gradient else 1) / total[r]), n.symbols)
            if gradient:
                p[r * n.K_ + symbol(Y, first + r, n)] -= <floating>scale
        if d != NULL:
            through_output(d, p, theta, scratch, first, rows, n)
        first += rows


cdef inline void through_output(floating *d, const floating *p, floating[:, ::1] theta, floating *scratch, Py_ssize_t first,
                                Py_ssize_t rows, const Sizes *n) noexcept nogil:
    """d = V^T g, the derivative by what the last layer hands up, for some rows from `first` on; p: the first of them."""
    cdef Panels[floating] v = panels_of(&theta[0, 0], scratch, n, n.L, WEIGHTS_W, BACKWARD, 0)
    product(d + first * n.m_, n.m_, <floating *>NULL, 0, p, n.K_, 1, &v, rows, n.K, n.m, UP)
    through_dropout(d, n, n.L - 1, first, first + rows)


cdef inline void through_dropout(floating *d, const Sizes *n, int layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """The derivative by h from that by what the layer hands up, for the rows first .. last-1."""
    cdef Py_ssize_t r
    for r in range(first, last if n.dropout.rate > 0 else first):
        drop_row(d + r * n.m_, d + r * n.m_, &n.dropout, layer, r // n.B, r % n.B, 0, n.units)
