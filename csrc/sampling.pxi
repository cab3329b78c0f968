# sampling.pxi: one symbol from a distribution.

cdef Py_ssize_t draw(floating *p, const Sizes *n, double uniform, floating sharpness, Py_ssize_t top_k, double top_p) noexcept nogil:
    """A symbol from softmax(p * sharpness), p the logits: the first whose cumulated probability exceeds uniform.

    Restricted to the top_k likeliest and to the fewest that reach probability top_p together. sharpness = inf: the likeliest."""
    cdef Py_ssize_t k, best = 0, found
    cdef floating top = largest_of_row(p, n.symbols)
    cdef double total = 0, have = 0, sign = 1
    if sharpness == INFINITY:
        for k in range(n.K):
            if p[k] == top:
                return k
        return 0
    exp_shifted(p, n.K, n.symbols, top, sharpness)
    for k in range(n.K):
        total += p[k]
    if top_k < n.K or top_p < 1:
        sign = -1  # marks what is kept
        for found in range(top_k):
            best = 0
            for k in range(1, n.K):
                if p[k] > p[best]:
                    best = k
            have += p[best]
            p[best] = -p[best]
            if have >= top_p * total:
                break
        total, have = have, 0
    best = 0
    for k in range(n.K):
        if sign * p[k] > 0:
            have += sign * p[k]
            best = k  # rounding may leave the sum below the goal: then the last possible symbol
            if have > uniform * total:
                break
    return best
