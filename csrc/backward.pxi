# backward.pxi: from the derivatives by the logits to those by the pre-activations, and gradients.

cdef enum: ROWS_IN_CACHE = 256   # rows of the window, at most, whose da become gradients before they leave the cache


cdef void layer_backward(floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped,
                         floating[:, :, ::1] P, floating[:, :, ::1] delta, floating[:, ::1] d_cell, floating[:, ::1] gradients,
                         unsigned char[::1] seen, floating[:, ::1] theta, floating *scratch, const int *X, const Sizes *n,
                         int layer) noexcept nogil:
    """da_t by the cell;  dh_{t-1} += W^T da_t   for this thread's lanes and units; on the way dh of the layer below, and the gradients.

    gates: IN gates, OUT da.  delta (T+1, B, m_): IN dh of this layer from above, OUT that of the layer below.  d_cell (B, m_)."""
    cdef Py_ssize_t t, lane, u0 = n.unit0, stride = (n.T + 1) * n.B * n.m_, done = n.T * n.B
    cdef floating *dh
    cdef Panels[floating] w
    cdef int g, i, s, sweep
    cdef bint works = n.unit1 > u0 and n.lane1 > n.lane0
    for lane in range(n.lane0, n.lane1 if works else n.lane0):
        memset(&d_cell[lane, u0], 0, (n.unit1 - u0) * sizeof(floating))
        memset(&delta[0, lane, u0], 0, (n.unit1 - u0) * sizeof(floating))
    for t in range(n.T - 1, -1, -1):
        for lane in range(n.lane0, n.lane1 if works else n.lane0):
            if lane + 1 < n.lane1:  # the processor does not foresee where the next lane's rows lie
                fetch_row(&gates[layer, t, lane + 1, 0, u0], n.R * n.m_)
                fetch_row(&delta[t, lane + 1, u0], n.m_)
                for s in range(n.N):
                    fetch_row(&states[layer, s, t, lane + 1, u0], n.m_)
            cell_backward(n.cell, &gates[layer, t, lane, 0, u0], n.m_, &states[layer, 0, t, lane, u0], &states[layer, 0, t + 1, lane, u0],
                          stride, &delta[t + 1, lane, u0], &delta[t, lane, u0], &d_cell[lane, u0], n.unit1 - u0, &n.recurrent,
                          2 * n.L + layer, t, lane, u0)
        if n.by_units:
            barrier_wait(n.barrier, n.threads)
        sweep = sweep_of(n, t)
        for i in range(n.G if t and works else 0):
            g = n.G - 1 - i if sweep else i
            w = panels_of(&theta[0, 0], scratch, n, layer, WEIGHTS_W, BACKWARD, g)
            w.data += u0 // w.width * w.step
            dh = &delta[t, n.lane0, u0]
            product(dh, n.m_, dh, n.m_, &gates[layer, t, n.lane0, recurrent_row(n, g), 0], n.R * n.m_, 1, &w, n.lane1 - n.lane0, n.m,
                    min(n.unit1, n.m) - u0, sweep)
        if layer and n.by_step:
            through_inputs(gates, delta, theta, scratch, n, layer, t * n.B + n.lane0, t * n.B + n.lane1)
        if n.T * n.B > SHORT and (t == 0 or done - (t - 1) * n.B > ROWS_IN_CACHE):
            barrier_wait(n.barrier, n.threads)
            layer_gradients(gates, states, dropped, P, gradients, seen, scratch, X, n, layer, t * n.B, done)
            done = t * n.B


cdef void through_inputs(floating[:, :, :, :, ::1] gates, floating[:, :, ::1] delta, floating[:, ::1] theta, floating *scratch,
                         const Sizes *n, int layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """dx = sum over g of U_g^T da_g, which through its dropout is dh of the layer below   for the rows first .. last-1."""
    cdef floating *dx = &delta[1, 0, 0] + first * n.m_
    cdef Panels[floating] u
    cdef int g
    for g in range(n.G):
        u = panels_of(&theta[0, 0], scratch, n, layer, WEIGHTS_U, BACKWARD, g)
        product(dx, n.m_, dx if g else <floating *>NULL, n.m_, &gates[layer, 0, 0, g, 0] + first * n.R * n.m_, n.R * n.m_, 1, &u,
                last - first, n.m, n.m, UP)
    through_dropout(&delta[1, 0, 0], n, layer - 1, first, last)


cdef struct Factors:    # where the two factors of a weight gradient lie, as bytes: a, `lda` elements from row to row; and x
    char *a
    char *x
    Py_ssize_t lda


cdef Factors factors_of(floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped,
                        floating[:, :, ::1] P, const Sizes *n, int layer, int part, Py_ssize_t row) noexcept nogil:
    """dW_g = sum of da_g h_{t-1}^T;  dU_g = sum of da_g x_t^T;  dV = sum of g_t h_t^T, x and the last h as handed up: for the rows of one
    gate of layer `layer`, or of V, from `row` of W (G m rows), U or V on."""
    cdef Factors of
    cdef int g = <int>(row // n.m)
    if layer == n.L:
        of.a, of.lda, of.x = <char *>(&P[0, 0, 0] + row), n.K_, <char *>handed_up(states, dropped, n, n.L - 1)
    elif part == WEIGHTS_W:
        of.a, of.lda, of.x = <char *>&gates[layer, 0, 0, recurrent_row(n, g), row - g * n.m], n.R * n.m_, <char *>&states[layer, 0, 0, 0, 0]
    else:
        of.a, of.lda, of.x = <char *>&gates[layer, 0, 0, g, row - g * n.m], n.R * n.m_, <char *>handed_up(states, dropped, n, layer - 1)
    return of


cdef void matrix_gradient(floating[:, ::1] gradients, floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states,
                          floating[:, :, :, ::1] dropped, floating[:, :, ::1] P, floating *scratch, const Sizes *n, int layer, int part,
                          Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """This thread's share of the rows of W's, U's or V's gradient, over the rows first .. last-1 of the window, which is gone through
    from its end."""
    cdef Py_ssize_t size = n.K if layer == n.L else n.m, rows = size if layer == n.L else n.G * n.m
    cdef Py_ssize_t low = rows * n.thread // n.threads, high = rows * (n.thread + 1) // n.threads, row, some, next
    cdef bint onto = last < n.T * n.B
    cdef Factors of
    while first < last:
        row, next = low, min(first + DEEPEST, last)
        while row < high:
            some = min(high - row, size - row % size)
            of = factors_of(gates, states, dropped, P, n, layer, part, row)
            outer_product(&gradients[first_row(n, layer, part) + row, 0], n.m_, onto, <floating *>of.a + first * of.lda, of.lda,
                          <floating *>of.x + first * n.m_, n.m_, some, next - first, n.m, scratch + scratch_elements(n, n.thread),
                          row > low)
            row += some
        first, onto = next, True


cdef void layer_gradients(floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped,
                          floating[:, :, ::1] P, floating[:, ::1] gradients, unsigned char[::1] seen, floating *scratch, const int *X,
                          const Sizes *n, int layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """All gradients of a layer over the rows first .. last-1 of the window."""
    bias_gradients(gates, gradients, seen, X, n, layer, first, last)
    matrix_gradient(gradients, gates, states, dropped, P, scratch, n, layer, WEIGHTS_W, first, last)
    if layer:
        matrix_gradient(gradients, gates, states, dropped, P, scratch, n, layer, WEIGHTS_U, first, last)


cdef void bias_gradients(floating[:, :, :, :, ::1] gates, floating[:, ::1] gradients, unsigned char[::1] seen, const int *X, const Sizes *n,
                         int layer, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """db = sum over t of da_t;  in layer 0 dU[:, x_t] += da_t   over the same rows. Thread i of n owns the symbols x with x mod n = i.

    OUT the rows of U only where seen (K): OUT 1 for each symbol of the window."""
    cdef Py_ssize_t row = n.R * n.m_, u = first_row(n, 0, 1), r, x
    cdef floating *da = &gates[layer, 0, 0, 0, 0]
    cdef bint onto = last < n.T * n.B
    if n.thread == layer % n.threads:
        sum_of_rows(&gradients[first_row(n, layer, 2), 0], onto, da + first * row, row, last - first, row)
    if layer:
        return
    x = n.thread
    while x < n.K and not onto:
        seen[x] = 0
        x += n.threads
    for r in range(first, last):
        x = symbol(X, r, n)
        if n.threads == 1 or x % n.threads == n.thread:
            if seen[x]:
                sum_of_rows(&gradients[u + x * n.G, 0], True, da + r * row, row, 1, n.G * n.m_)
            else:
                memcpy(&gradients[u + x * n.G, 0], da + r * row, n.G * n.m_ * sizeof(floating))
                seen[x] = 1


cdef void zero_unseen(floating[:, ::1] gradients, unsigned char[::1] seen, const Sizes *n) noexcept nogil:
    """dU of the symbols that the window does not have."""
    cdef Py_ssize_t x
    for x in range(n.K):
        if not seen[x] and x % n.threads == n.thread:
            memset(&gradients[first_row(n, 0, 1) + x * n.G, 0], 0, n.G * n.m_ * sizeof(floating))


cdef void layers_backward(floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped,
                          floating[:, :, ::1] P, floating[:, :, ::1] delta, floating[:, ::1] d_cell, floating[:, ::1] gradients,
                          unsigned char[::1] seen, floating[:, ::1] theta, floating *scratch, const int *X, const Sizes *n) noexcept nogil:
    """da of all layers, and in a long window all gradients, from delta[1:] = dL/dh of the last layer."""
    cdef int layer
    if n.T * n.B > SHORT:
        matrix_gradient(gradients, gates, states, dropped, P, scratch, n, n.L, WEIGHTS_W, 0, n.T * n.B)
    if n.thread == n.threads - 1:
        sum_of_rows(&gradients[first_row(n, n.L, 0) + n.K, 0], False, &P[0, 0, 0], n.K_, n.T * n.B, n.K_)
    for layer in range(n.L - 1, -1, -1):
        layer_backward(gates, states, dropped, P, delta, d_cell, gradients, seen, theta, scratch, X, n, layer)
        if layer and not n.by_step:
            if n.T * n.B <= SHORT:  # else the gradients waited for the others
                barrier_wait(n.barrier, n.threads)
            through_inputs(gates, delta, theta, scratch, n, layer, n.row0, n.row1)
            barrier_wait(n.barrier, n.threads)
    barrier_wait(n.barrier, n.threads)
    for layer in range(n.L if n.T * n.B <= SHORT else 0):
        bias_gradients(gates, gradients, seen, X, n, layer, 0, n.T * n.B)
