# declarations.pxi: what the headers offer. Templates find their type by their arguments.
from cython cimport floating
from libc.math cimport sqrt, INFINITY, NAN
from libc.stdint cimport uint64_t
from libc.string cimport memset, memcpy

cdef extern from "dropout.h" nogil:
    cdef cppclass Dropout:
        double rate
        uint64_t seed, update
    void drop_row[T](T *y, const T *x, const Dropout *drop, int layer, Py_ssize_t t, Py_ssize_t lane, Py_ssize_t first, Py_ssize_t n)

cdef extern from "barrier.h" nogil:
    int barrier_wait(int *words, int threads)

cdef extern from "cells/cells.h" nogil:
    enum: CELL_COUNT
    cdef cppclass Facts "Cell<float>":
        const char *name
        int gates, states
        bint apart
    const Facts *cell_facts(int cell)
    void cell_forward[T](int cell, T *a, Py_ssize_t ld, const T *before, T *after, Py_ssize_t stride, Py_ssize_t n, const Dropout *drop,
                         int number, Py_ssize_t t, Py_ssize_t lane, Py_ssize_t first)
    void cell_backward[T](int cell, T *a, Py_ssize_t ld, const T *before, const T *after, Py_ssize_t stride, const T *d_after,
                          T *d_before, T *d_cell, Py_ssize_t n, const Dropout *drop, int number, Py_ssize_t t, Py_ssize_t lane,
                          Py_ssize_t first)

cdef extern from "panels.h" nogil:
    cdef cppclass Panels[T]:
        T *data
        Py_ssize_t width, ld, step
    Py_ssize_t panel_width[T](const T *, Py_ssize_t columns, Py_ssize_t rows, Py_ssize_t threads)
    void pack_rows[T](const Panels[T] *to, const T *x, Py_ssize_t ldx, Py_ssize_t columns, Py_ssize_t first, Py_ssize_t last)
    void pack_transposed[T](const Panels[T] *to, const T *w, Py_ssize_t ldw, Py_ssize_t depth, Py_ssize_t first, Py_ssize_t last)

cdef extern from "optimisers.h" nogil:
    cdef cppclass Rule:
        int kind
        double rate, root, keep, input_rate, factor, clip, clip_norm, eps, beta1, rest1, rest2
    void decay_rows[T](T *p, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, const Rule *rule)
    void optimiser_step[T](T *p, T *s, T *v, const T *g, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, const Rule *rule)

cdef extern from "products.h" nogil:
    enum: SHORT
    enum: DEEPEST
    enum: ROOM
    enum: UP, PANELS_DOWN, DOWN
    void product[T](T *y, Py_ssize_t ldy, const T *start, Py_ssize_t lds, const T *a, Py_ssize_t a_row, Py_ssize_t a_depth,
                    const Panels[T] *x, Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns, int sweep)
    void outer_product[T](T *y, Py_ssize_t ldy, bint onto, const T *a, Py_ssize_t lda, const T *x, Py_ssize_t ldx, Py_ssize_t rows,
                          Py_ssize_t depth, Py_ssize_t columns, T *room, bint again)
    void adagrad_product[T](T *p, T *s, Py_ssize_t ld, const T *a, Py_ssize_t lda, const T *x, Py_ssize_t ldx, Py_ssize_t rows,
                            Py_ssize_t depth, Py_ssize_t columns, const Rule *rule)
    double run_peak "peak"[T](T *sink, Py_ssize_t rounds)

cdef extern from "rows.h" nogil:
    void add_rows[T](T *y, const T *a, const T *b, Py_ssize_t n)
    void fetch_row[T](const T *x, Py_ssize_t n)
    void scale_row[T](T *x, T factor, Py_ssize_t n)
    void sum_of_rows[T](T *y, bint onto, const T *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n)
    T squares_of_row[T](const T *x, Py_ssize_t n)
    T largest_of_row[T](const T *x, Py_ssize_t n)
    T exp_shifted[T](T *o, Py_ssize_t n, Py_ssize_t width, T top, T sharpness)
    void log_row(double *y, Py_ssize_t n)
    void tanh_row[T](T *y, const T *x, Py_ssize_t n)
    void sigmoid_row[T](T *y, const T *x, Py_ssize_t n)
    void exp_row[T](T *y, const T *x, Py_ssize_t n)

cdef extern from "decoding.h" nogil:
    cdef cppclass Decoding:
        double sharpness, top_p, min_p, typical_p, dry_multiplier, dry_base
        Py_ssize_t top_k, ngram, dry_allowed_length, dry_range
    cdef cppclass Candidate:
        pass
    void truncate[T](T *p, Py_ssize_t K, const Decoding *rules, Candidate *room)
    void penalise[T](T *o, Py_ssize_t K, const Decoding *rules, const int *ids, Py_ssize_t count, const unsigned char *breakers, int *found)
