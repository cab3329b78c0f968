# sizes.pxi: the numbers that a call works with, where blocks lie in theta and panels in scratch.

cdef enum: WEIGHTS_W, WEIGHTS_U          # of a layer
cdef enum: FORWARD, BACKWARD             # panels of the transposed matrix, of the matrix


cdef struct Sizes:
    int cell, L, G, R, N, thread, threads
    bint apart, backward, packed         # packed: rows of theta are so long that the backward pass wants them in panels, too
    Py_ssize_t m, K, T, B, m_, K_, units, symbols            # units, symbols: m and K in whole lines
    Py_ssize_t w_width, width, v_width   # of the panels of W, of U and of V transposed; and of V: as U's
    Py_ssize_t area, area_v              # elements of the panels of one gate, and of those of V
    Py_ssize_t lane0, lane1, unit0, unit1, row0, row1        # this thread's lanes, units and rows of T B
    bint by_units                        # lanes are fewer than threads: all have all lanes, but each its own units
    bint by_step                         # what a step needs from the layer below, and gives to it, is computed at its turn
    int sweep                            # of the first step
    Dropout dropout, weight_drop, recurrent
    int *barrier


cdef inline Py_ssize_t ceiling(Py_ssize_t n, Py_ssize_t unit) noexcept nogil:
    """n rounded up to whole units."""
    return (n + unit - 1) // unit * unit


cdef int set_sizes(Sizes *n, work, Py_ssize_t itemsize, int thread=0, int threads=1) except -1:
    """From a workspace, whose arrays are checked elsewhere (checks.pxi)."""
    cdef Py_ssize_t line = 64 // itemsize, rows, panels
    cdef const Facts *facts
    cdef float *f = NULL
    cdef double *d = NULL
    if not 0 <= thread < threads:
        raise ValueError(f"thread {thread} of {threads}")
    if threads > work.threads:
        raise ValueError(f"a workspace for {work.threads} threads, used by {threads}")
    n.cell, n.L, n.m, n.K, n.T, n.B = CELLS.index(work.cell), work.layers, work.m, work.K, work.T, work.B
    _, _, _, _, n.m_ = work.states.shape  # unpacked: an index would not be checked against the number of dimensions
    _, _, n.K_ = work.error.shape
    if (min(n.L, n.m, n.K, n.T, n.B) < 1 or n.m_ < n.m or n.K_ < n.K or n.m_ % line or n.K_ % line
            or max(n.L, n.T, n.B, n.m_, n.K_, work.threads) > 1 << 31 or work.threads < 1):
        raise ValueError(f"impossible sizes: L={n.L}, m={n.m} in rows of {n.m_}, K={n.K} in rows of {n.K_}, T={n.T}, B={n.B}")
    facts = cell_facts(n.cell)
    n.G, n.N, n.apart, n.R = facts.gates, facts.states, facts.apart, facts.gates + facts.apart
    n.thread, n.threads, n.units, n.symbols = thread, threads, ceiling(n.m, line), ceiling(n.K, line)
    n.backward, n.packed = len(work.delta) > 0, n.m_ * itemsize >= 1024
    rows = n.B if n.B < work.threads else (n.B + work.threads - 1) // work.threads
    if itemsize == 4:
        n.w_width, n.width = panel_width(f, n.m, rows, work.threads), panel_width(f, n.m, n.T * n.B, 1)
        n.v_width = panel_width(f, n.K, n.T * n.B, 1)
    else:
        n.w_width, n.width = panel_width(d, n.m, rows, work.threads), panel_width(d, n.m, n.T * n.B, 1)
        n.v_width = panel_width(d, n.K, n.T * n.B, 1)
    n.area = max(ceiling(n.m, n.w_width), ceiling(n.m, n.width)) * n.m
    n.area_v = max(ceiling(n.K, n.v_width) * n.m, ceiling(n.m, n.width) * n.K)
    n.by_units = n.B < threads
    n.by_step = not n.by_units and (n.L == 1 or n.B >= 6 * threads)
    n.lane0, n.lane1, n.unit0, n.unit1 = n.B * thread // threads, n.B * (thread + 1) // threads, 0, n.units
    if n.by_units:
        panels = (n.m + n.w_width - 1) // n.w_width
        n.lane0, n.lane1 = 0, n.B
        n.unit0 = min(n.units, panels * thread // threads * n.w_width)
        n.unit1 = n.units if thread == threads - 1 else min(n.units, panels * (thread + 1) // threads * n.w_width)
    n.row0, n.row1 = n.T * n.B * thread // threads, n.T * n.B * (thread + 1) // threads
    n.sweep, n.dropout.rate, n.weight_drop.rate, n.recurrent.rate = UP, 0, 0, 0
    n.barrier = NULL
    return 0


cdef inline Py_ssize_t scratch_elements(const Sizes *n, Py_ssize_t threads) noexcept nogil:
    return (2 * (2 * n.L - 1) * n.G * n.area + 2 * n.area_v + threads * (ROOM + DEEPEST * n.m_)) if n.backward else (2 * n.L - 1) * n.G * n.area + n.area_v


cdef inline Py_ssize_t first_row(const Sizes *n, int layer, int part) noexcept nogil:
    """The row of theta where W (part 0), U (1) or b (2) of a layer begins. first_row(n, n.L, 0): where V does."""
    cdef Py_ssize_t first = 0 if layer == 0 else n.G * (n.m + n.K) + n.R + (layer - 1) * (2 * n.G * n.m + n.R)
    return first + (n.G * n.m if part else 0) + (n.G * (n.m if layer else n.K) if part == 2 else 0)


cdef inline int sweep_of(const Sizes *n, Py_ssize_t t) noexcept nogil:
    """One lane's step takes as long as W's way out of a cache: gates and panels are read up and down in turns, so that what the last step
    left in a nearer one comes first."""
    return UP if n.B > 1 else DOWN if t & 1 else n.sweep


cdef inline int recurrent_row(const Sizes *n, int gate) noexcept nogil:
    """The row of pre-activations that W's part of a gate is added to; U's part of gate g is always added to row g."""
    return n.R - 1 if gate == n.G - 1 else gate


cdef inline Panels[floating] panels_of(floating *theta, floating *scratch, const Sizes *n, int layer, int part, int direction,
                                       int gate) noexcept nogil:
    """The panels of one gate's W or U; layer n.L: V."""
    cdef Panels[floating] x
    cdef Py_ssize_t slot = (2 * layer - 1 if layer else 0) + part, rows = n.m if layer < n.L else n.K
    x.width = n.w_width if part == WEIGHTS_W and layer < n.L else n.v_width if layer == n.L and direction == FORWARD else n.width
    x.ld, x.step = x.width, x.width * (n.m if direction == FORWARD else rows)
    if direction == BACKWARD and not n.packed:
        x.data, x.ld, x.step = theta + (first_row(n, layer, part) + gate * n.m) * n.m_, n.m_, x.width
    elif layer == n.L:
        x.data = scratch + (1 + n.backward) * slot * n.G * n.area + direction * n.area_v
    else:
        x.data = scratch + (((1 + n.backward) * slot + direction) * n.G + gate) * n.area
    return x


cdef void pack_weights(floating *theta, floating *scratch, const Sizes *n) noexcept nogil:
    """The panels of all weights, of this thread's share of each matrix's rows."""
    cdef int layer, part, gate
    cdef Py_ssize_t size, rows, first, low, high
    cdef floating *w
    cdef Panels[floating] to
    for layer in range(n.L + 1):
        size = n.K if layer == n.L else n.m
        rows = size if layer == n.L else n.G * n.m
        for part in range(1 if layer in (0, n.L) else 2):
            for gate in range(rows // size):
                low = max(<Py_ssize_t>0, rows * n.thread // n.threads - gate * size)
                high = min(size, rows * (n.thread + 1) // n.threads - gate * size)
                w = theta + (first_row(n, layer, part) + gate * size) * n.m_
                to = panels_of(theta, scratch, n, layer, part, FORWARD, gate)
                pack_transposed(&to, w, n.m_, n.m, low, high)
                if n.backward and n.packed:
                    to = panels_of(theta, scratch, n, layer, part, BACKWARD, gate)
                    pack_rows(&to, w, n.m_, n.m, low, high)
