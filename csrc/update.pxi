# update.pxi: gradients clipped and applied to theta, and the course of the loss.

cdef enum: GRADIENT_ROWS = 20    # rows of a weight gradient, at most, that are applied while in the first-level cache, in a short window


cdef inline void step_rows(floating[:, ::1] theta, floating[:, :, ::1] slots, Py_ssize_t row, const floating *g, Py_ssize_t rows,
                           Py_ssize_t count, const Rule *rule) noexcept nogil:
    """`count` elements of theta's rows from `row` on change by the optimiser, given their gradient; its state is slots[:, row]."""
    optimiser_step(&theta[row, 0], &slots[0, row, 0], &slots[1 if slots.shape[0] > 1 else 0, row, 0], g, theta.shape[1], rows, count, rule)


cdef void step_matrix(floating[:, ::1] theta, floating[:, :, ::1] slots, floating[:, ::1] gradients, floating[:, :, :, :, ::1] gates,
                      floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped, floating[:, :, ::1] P, floating *scratch,
                      const Sizes *n, const Rule *rule, int layer, int part, bint known) noexcept nogil:
    """This thread's rows of W, U or V change by their gradients: known ones, or else made a few rows at a time, which then never leave
    the first-level cache; AdaGrad's not even the registers."""
    cdef Py_ssize_t size = n.K if layer == n.L else n.m, rows = size if layer == n.L else n.G * n.m, first = first_row(n, layer, part)
    cdef Py_ssize_t row = rows * n.thread // n.threads, high = rows * (n.thread + 1) // n.threads, some
    cdef floating *g = &gradients[first + row, 0]
    cdef Factors of
    if rule.keep != 1:
        decay_rows(&theta[first + row, 0], n.m_, high - row, n.units, rule)
    if known:
        step_rows(theta, slots, first + row, g, high - row, n.units, rule)
        return
    while row < high:
        some = min(high - row, size - row % size)
        of = factors_of(gates, states, dropped, P, n, layer, part, row)
        if rule.kind == 0:
            adagrad_product(&theta[first + row, 0], &slots[0, first + row, 0], n.m_, <floating *>of.a, of.lda, <floating *>of.x, n.m_, some,
                            n.T * n.B, n.m, rule)
        else:
            some = some // ((some + GRADIENT_ROWS - 1) // GRADIENT_ROWS)
            outer_product(g, n.m_, False, <floating *>of.a, of.lda, <floating *>of.x, n.m_, some, n.T * n.B, n.m, <floating *>NULL,
                          False)
            step_rows(theta, slots, first + row, g, some, n.units, rule)
        row += some


cdef void drop_weights(floating[:, ::1] used, floating[:, ::1] theta, floating *scratch, const Sizes *n) noexcept nogil:
    """used = theta, with some of the elements of each W dropped; panels are packed of it. Each thread does its share of the rows."""
    cdef Py_ssize_t rows = theta.shape[0], high = rows * (n.thread + 1) // n.threads, row, first, last
    cdef int layer
    barrier_wait(n.barrier, n.threads)
    row = rows * n.thread // n.threads
    memcpy(&used[row, 0], &theta[row, 0], (high - row) * n.m_ * sizeof(floating))
    for layer in range(n.L):
        first = first_row(n, layer, 0)
        for row in range(max(row, first), min(high, first + n.G * n.m)):
            drop_row(&used[row, 0], &theta[row, 0], &n.weight_drop, n.L + layer, row - first, 0, 0, n.units)
        row = rows * n.thread // n.threads
    barrier_wait(n.barrier, n.threads)
    pack_weights(&used[0, 0], scratch, n)
    barrier_wait(n.barrier, n.threads)


cdef double gradient_norm(floating[:, ::1] gradients, double[::1] squares, const Sizes *n) noexcept nogil:
    """The Euclidean norm of all gradients, their rows' sums of squares added in one order."""
    cdef Py_ssize_t rows = gradients.shape[0], r
    cdef double total = 0
    barrier_wait(n.barrier, n.threads)
    for r in range(rows * n.thread // n.threads, rows * (n.thread + 1) // n.threads):
        squares[r] = squares_of_row(&gradients[r, 0], n.m_)
    barrier_wait(n.barrier, n.threads)
    for r in range(rows):
        total += squares[r]
    return sqrt(total)


cdef double step(floating[:, ::1] theta, floating[:, :, ::1] slots, floating[:, ::1] gradients, double[::1] squares, unsigned char[::1] seen,
                 floating[:, :, :, :, ::1] gates, floating[:, :, :, :, ::1] states, floating[:, :, :, ::1] dropped, floating[:, :, ::1] P,
                 floating *scratch, const Sizes *n, const Rule *rule) noexcept nogil:
    """theta changes by its gradients, of which `layers_backward` left those of a short window's weights to be made here; panels are
    packed anew. Thread i of n does its share of the rows. Returns the gradients' norm if it is bounded, else NaN."""
    cdef Py_ssize_t row, x
    cdef Rule clipped = rule[0]
    cdef bint known = n.T * n.B > SHORT
    cdef double norm = NAN
    cdef int layer, part, parts
    if rule.kind != 0 or rule.clip_norm < INFINITY:
        zero_unseen(gradients, seen, n)
    if rule.clip_norm < INFINITY or n.weight_drop.rate > 0:
        for layer in range(n.L + 1 if not known else 0):
            for part in range(1 if layer in (0, n.L) else 2):
                matrix_gradient(gradients, gates, states, dropped, P, scratch, n, layer, part, 0, n.T * n.B)
        known = True
    if n.weight_drop.rate > 0:  # a weight that was not used has no gradient
        for layer in range(n.L):
            for row in range(n.G * n.m * n.thread // n.threads, n.G * n.m * (n.thread + 1) // n.threads):
                x = first_row(n, layer, 0) + row
                drop_row(&gradients[x, 0], &gradients[x, 0], &n.weight_drop, n.L + layer, row, 0, 0, n.units)
    if rule.clip_norm < INFINITY:
        norm = gradient_norm(gradients, squares, n)
        clipped.factor = min(1.0, rule.clip_norm / norm)
    for layer in range(n.L + 1):
        for part in range(1 if layer in (0, n.L) else 2):
            step_matrix(theta, slots, gradients, gates, states, dropped, P, scratch, n, &clipped, layer, part, known)
        if n.thread == layer % n.threads and layer < n.L:
            row = first_row(n, layer, 2)
            step_rows(theta, slots, row, &gradients[row, 0], n.R, n.units, &clipped)
    if n.thread == n.threads - 1:
        row = first_row(n, n.L, 0) + n.K
        step_rows(theta, slots, row, &gradients[row, 0], 1, n.symbols, &clipped)
    clipped.rate *= rule.input_rate
    x = n.thread
    while x < n.K:
        row = first_row(n, 0, 1) + x * n.G
        if rule.keep != 1:
            decay_rows(&theta[row, 0], n.m_, n.G, n.units, rule)
        if rule.kind != 0 or seen[x]:  # a zero gradient changes nothing under AdaGrad: leaving the rows alone is exact
            step_rows(theta, slots, row, &gradients[row, 0], n.G, n.units, &clipped)
        x += n.threads
    pack_weights(&theta[0, 0], scratch, n)
    return norm


cdef void track(double[:, ::1] losses, Py_ssize_t u, double[:, ::1] each, double[::1] smooth, floating[:, ::1] theta,
                floating[:, ::1] best) noexcept nogil:
    """losses[u] = the window's loss and the smooth loss; best = theta as the lowest smooth loss left it. See network/smooth.py."""
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
        smooth[1], smooth[3], smooth[4] = smooth[0], smooth[2], 1
    elif smooth[4] != 0:
        memcpy(&best[0, 0], &theta[0, 0], theta.shape[0] * theta.shape[1] * sizeof(floating))
        smooth[4] = 0
    losses[u, 0] = total
    losses[u, 1] = smooth[0]
