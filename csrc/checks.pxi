# checks.pxi: what is refused because the loops would read or write where they must not. Errors for people are worded in Python.
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

cdef object span(array):
    """Where an array begins and ends."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return <size_t>view.buf, <size_t>view.buf + <size_t>view.len


cdef object arrays_of(work, theta, const Sizes *n, bint backward, list read, list written):
    """The arrays of a workspace by name, each looked up once. Raises unless they and theta have the shapes and the alignment that the
    loops rely on, and nothing overlaps what is written: all of them and `written`."""
    cdef size_t reach = 0, reach_written = 0
    L, T, B, R, N, m_, K_ = n.L, n.T, n.B, n.R, n.N, n.m_, n.K_
    rows = first_row(n, L, 0) + n.K + (K_ + m_ - 1) // m_
    if backward and not n.backward:
        raise ValueError("the workspace was made without arrays for the backward pass")
    there = n.backward
    expected = {
        "states": (L, N, T + 1, B, m_), "gates": (L, T, B, R, m_), "error": (T, B, K_), "losses": (T, B),
        "dropped": (L, T, B, m_), "delta": (T + 1 if there else 0, B, m_),
        "d_cell": (B if there else 0, m_), "gradients": (rows if there else 0, m_), "scratch": (scratch_elements(n, work.threads),),
        "used": (rows, m_), "seen": (n.K,), "squares": (rows if there else 0,), "barrier": (32,),
    }
    arrays = {name: getattr(work, name) for name in expected}
    if tuple(theta.shape) != (rows, m_):
        raise ValueError(f"theta has shape {tuple(theta.shape)}, expected {(rows, m_)}")
    if tuple(arrays["dropped"].shape) == (L, 0, B, m_) and not n.dropout.rate > 0:
        del expected["dropped"]
    if not n.weight_drop.rate > 0:
        del expected["used"]
    for name, shape in expected.items():
        if tuple(arrays[name].shape) != shape:
            raise ValueError(f"work.{name} has shape {tuple(arrays[name].shape)}, expected {shape}")
    spans = [(*span(array), True) for array in [*arrays.values(), *written]] + [(*span(array), False) for array in read]
    for start, end, output in sorted(spans):
        if start % 16 and output:
            raise ValueError("arrays must be aligned to 16 bytes, and are fastest to 64 (charrnn.network.arrays.aligned_zeros)")
        if end > start:
            if start < (reach if output else reach_written):
                raise ValueError("an array that is written overlaps another")
            reach = max(reach, end)
            reach_written = max(reach_written, end if output else 0)
    return arrays


cdef object check_ids(const int *ids, Py_ssize_t count, Py_ssize_t K):
    cdef Py_ssize_t i
    cdef int low = 0, high = 0
    with nogil:
        for i in range(count):
            low = min(low, ids[i])
            high = max(high, ids[i])
    if low < 0 or high >= K:
        raise ValueError(f"ids must lie in 0..{K - 1}, found {low if low < 0 else high}")


cdef int set_dropout(Dropout *drop, double rate, seed, update) except -1:
    if not 0 <= rate < 1:
        raise ValueError(f"dropout must lie in 0..1 without 1, found {rate}")
    drop.rate, drop.seed, drop.update = rate, seed, update
    return 0
