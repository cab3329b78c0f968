# sampling.pxi: symbols drawn from the network's own predictions, under decoding rules.

cdef Py_ssize_t draw(floating *p, const Sizes *n, double uniform, const Decoding *rules, Candidate *room) noexcept nogil:
    """A symbol from softmax(p / temperature), p the logits, restricted by the rules: the first whose cumulated probability exceeds
    uniform."""
    cdef Py_ssize_t k, last = 0
    cdef floating top
    cdef double total = 0, have = 0
    for k in range(n.K, n.symbols):  # the padding: as no rule has changed it
        p[k] = p[0]
    top = largest_of_row(p, n.symbols)
    if rules.sharpness == INFINITY:
        for k in range(n.K):
            if p[k] == top:
                return k
        return 0
    exp_shifted(p, n.K, n.symbols, top, <floating>rules.sharpness)
    if rules.top_k < n.K or rules.top_p < 1 or rules.min_p > 0 or rules.typical_p < 1:
        truncate(p, n.K, rules, room)
    for k in range(n.K):
        total += p[k]
    for k in range(n.K):
        have += p[k]
        if have > uniform * total:
            return k
    for k in range(n.K):  # rounding left the sum below the goal: the last possible symbol
        if p[k] > 0:
            last = k
    return last


cdef int set_decoding(Decoding *d, rules, Py_ssize_t K, double least, double most) except -1:
    """The numbers among charrnn.network.decoding.Rules. 1 / temperature is kept between `least` and `most`, so that neither -inf times it
    nor the largest logit's 0 times it is NaN."""
    if not (rules.temperature >= 0 and 0 <= rules.top_p <= 1 and 0 <= rules.min_p <= 1 and 0 <= rules.typical_p <= 1):
        raise ValueError("temperature must be 0 or more, and top_p, min_p and typical_p must lie in 0..1")
    d.sharpness = min(max(1 / <double>rules.temperature, least), most) if rules.temperature > 0 else INFINITY
    d.top_k = rules.top_k if 0 < rules.top_k < K else K
    d.top_p, d.min_p, d.typical_p = rules.top_p, rules.min_p, rules.typical_p
    d.ngram, d.dry_allowed_length, d.dry_range = rules.no_repeat_ngram_size, rules.dry_allowed_length, rules.dry_range
    d.dry_multiplier, d.dry_base = rules.dry_multiplier, rules.dry_base
    if d.ngram < 0 or d.dry_allowed_length < 1 or d.dry_range < 1 or not (d.dry_multiplier >= 0 and d.dry_base >= 1):
        raise ValueError("the rules against repetition make no sense")
    return 0


def sample(floating[:, ::1] theta not None, work, int[:, ::1] ids not None, Py_ssize_t start, const double[:, ::1] uniforms not None, rules):
    """ids (B, start + n): the last n columns receive symbols drawn one after the other from states[:, :, 0] (IN/OUT), each fed back in.

    The first `start` columns are given: the last of them is the first input, all are what the rules look back on (-1: nothing).
    uniforms (n, B) in [0, 1). rules: charrnn.network.decoding.Rules. work must have T = 1."""
    cdef Sizes n
    set_sizes(&n, work, sizeof(floating))
    cdef const floating[::1] bias = rules.bias
    cdef const unsigned char[::1] breakers = rules.breakers
    given = [array for array in (theta, uniforms, rules.bias, rules.breakers) if array is not None]
    arrays = arrays_of(work, theta, &n, False, given, [ids])
    cdef floating[:, :, :, :, ::1] states = arrays["states"], gates = arrays["gates"]
    cdef floating[:, :, :, ::1] dropped = arrays["dropped"]
    cdef floating[:, :, ::1] P = arrays["error"]
    cdef floating[::1] scratch = arrays["scratch"]
    cdef Py_ssize_t steps = ids.shape[1] - start, t, lane, k
    cdef Decoding d
    cdef const floating *added = NULL
    cdef const unsigned char *ends = NULL
    set_decoding(&d, rules, n.K, 2e-38 if sizeof(floating) == 4 else 1e-307, 3e38 if sizeof(floating) == 4 else 1e308)
    if n.T != 1 or ids.shape[0] != n.B or start < 1 or steps < 0 or uniforms.shape[0] != steps or uniforms.shape[1] != n.B:
        raise ValueError(f"ids, start and uniforms do not belong together, or to T={n.T}, B={n.B}")
    if (bias is not None and bias.shape[0] != n.K) or (breakers is not None and breakers.shape[0] != n.K):
        raise ValueError(f"bias and breakers must have {n.K} elements")
    if bias is not None:
        added = &bias[0]
    if breakers is not None:
        ends = &breakers[0]
    cdef unsigned char[::1] memory = bytearray((n.K + 1) * (sizeof(Candidate) + sizeof(int)) + n.B * sizeof(int))  # nobody else writes there
    cdef Candidate *room = <Candidate *>&memory[0]
    cdef int *found = <int *>(room + n.K + 1)
    cdef int *x = found + n.K
    for lane in range(n.B):
        x[lane] = ids[lane, start - 1]
    check_ids(x, n.B, n.K)
    with nogil:
        for t in range(start, start + steps):
            n.sweep = PANELS_DOWN if t & 1 else UP
            layers_forward(gates, states, dropped, theta, &scratch[0], x, &n)
            carry(states, &n, False, True)
            logits_of(&P[0, 0, 0], &states[n.L - 1, 0, 1, 0, 0], theta, &scratch[0], n.B, &n)
            for lane in range(n.B):
                for k in range(n.K if added else 0):
                    P[0, lane, k] += added[k]
                if d.ngram or d.dry_multiplier > 0:
                    penalise(&P[0, lane, 0], n.K, &d, &ids[lane, 0], t, ends, found)
                x[lane] = <int>draw(&P[0, lane, 0], &n, uniforms[t - start, lane], &d, room)
                ids[lane, t] = x[lane]
