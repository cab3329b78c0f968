# leaves.pxi: the C leaves under one name for both types. Dimensions and meaning: tiles.h, rows.h.
from cython cimport floating

cdef extern from "leaves.h" nogil:
    enum: ROOM_FOR_ENDS
    void product_f(float *y, Py_ssize_t ldy, const float *start, Py_ssize_t lds, const float *a, Py_ssize_t a_row, const float *x, Py_ssize_t ldx,
                   Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns)
    void outer_product_f(float *y, Py_ssize_t ldy, const float *a, Py_ssize_t a_depth, const float *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns)
    ctypedef struct aside_f:
        pass
    void aside_set_f(aside_f *side, float *p, float *s, const float *g, Py_ssize_t elements, float clip, float rate, float eps)
    void outer_product_beside_f(float *y, Py_ssize_t ldy, const float *a, Py_ssize_t a_depth, const float *x, Py_ssize_t ldx, Py_ssize_t rows,
                                Py_ssize_t depth, Py_ssize_t columns, aside_f *side)
    void aside_rest_f(aside_f *side)
    void product_d(double *y, Py_ssize_t ldy, const double *start, Py_ssize_t lds, const double *a, Py_ssize_t a_row, const double *x, Py_ssize_t ldx,
                   Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns)
    void outer_product_d(double *y, Py_ssize_t ldy, const double *a, Py_ssize_t a_depth, const double *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns)
    ctypedef struct aside_d:
        pass
    void aside_set_d(aside_d *side, double *p, double *s, const double *g, Py_ssize_t elements, double clip, double rate, double eps)
    void outer_product_beside_d(double *y, Py_ssize_t ldy, const double *a, Py_ssize_t a_depth, const double *x, Py_ssize_t ldx, Py_ssize_t rows,
                                Py_ssize_t depth, Py_ssize_t columns, aside_d *side)
    void aside_rest_d(aside_d *side)
    float *gather_ends_f(char *room, const float *x, Py_ssize_t ldx, Py_ssize_t depth, Py_ssize_t columns)
    void row_product_f(float *y, const float *start, const float *a, const float *x, Py_ssize_t ldx, Py_ssize_t depth, Py_ssize_t columns)
    void recur_lane_f(float *h, const float *a, Py_ssize_t steps, const int *ids, const float *u, const float *b, const float *wt, Py_ssize_t ld,
                      const float *ends, Py_ssize_t m)
    void unwind_lane_f(float *d, const float *h, Py_ssize_t rows, const float *w, Py_ssize_t ld, const float *ends, Py_ssize_t m)
    double *gather_ends_d(char *room, const double *x, Py_ssize_t ldx, Py_ssize_t depth, Py_ssize_t columns)
    void row_product_d(double *y, const double *start, const double *a, const double *x, Py_ssize_t ldx, Py_ssize_t depth, Py_ssize_t columns)
    void recur_lane_d(double *h, const double *a, Py_ssize_t steps, const int *ids, const double *u, const double *b, const double *wt, Py_ssize_t ld,
                      const double *ends, Py_ssize_t m)
    void unwind_lane_d(double *d, const double *h, Py_ssize_t rows, const double *w, Py_ssize_t ld, const double *ends, Py_ssize_t m)
    void turn_f(float *y, Py_ssize_t ldy, const float *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t columns)
    void turn_d(double *y, Py_ssize_t ldy, const double *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t columns)
    double peak_f(Py_ssize_t rounds, float *sink)
    double peak_d(Py_ssize_t rounds, double *sink)
    void add_rows_f(float *y, const float *x, const float *z, Py_ssize_t n)
    void add_rows_d(double *y, const double *x, const double *z, Py_ssize_t n)
    void add_onto_f(float *y, const float *x, Py_ssize_t n)
    void add_onto_d(double *y, const double *x, Py_ssize_t n)
    void sum_of_rows_f(float *y, const float *x, Py_ssize_t rows, Py_ssize_t n)
    void sum_of_rows_d(double *y, const double *x, Py_ssize_t rows, Py_ssize_t n)
    void tanh_row_f(float *y, const float *x, Py_ssize_t n)
    void tanh_row_d(double *y, const double *x, Py_ssize_t n)
    void tanh_here_f(float *y, Py_ssize_t n)
    void tanh_here_d(double *y, Py_ssize_t n)
    void exp_row_f(float *y, const float *x, Py_ssize_t n)
    void exp_row_d(double *y, const double *x, Py_ssize_t n)
    void tanh_backward_f(float *d, const float *h, Py_ssize_t n)
    void tanh_backward_d(double *d, const double *h, Py_ssize_t n)
    float squares_row_f(const float *x, Py_ssize_t n)
    double squares_row_d(const double *x, Py_ssize_t n)
    float max_row_f(const float *x, Py_ssize_t n)
    double max_row_d(const double *x, Py_ssize_t n)
    float exp_shifted_f(float *o, Py_ssize_t n, float top, float sharpness)
    double exp_shifted_d(double *o, Py_ssize_t n, double top, double sharpness)
    void scale_row_f(float *x, float factor, Py_ssize_t n)
    void scale_row_d(double *x, double factor, Py_ssize_t n)
    void adagrad_row_f(float *p, float *s, const float *g, Py_ssize_t n, float factor, float clip, float rate, float eps)
    void adagrad_row_d(double *p, double *s, const double *g, Py_ssize_t n, double factor, double clip, double rate, double eps)
    void adam_row_f(float *p, float *s, float *v, const float *g, Py_ssize_t n, float factor, float clip, float rate, float root, float beta1, float beta2, float eps)
    void adam_row_d(double *p, double *s, double *v, const double *g, Py_ssize_t n, double factor, double clip, double rate, double root, double beta1, double beta2, double eps)
    void rmsprop_row_f(float *p, float *v, const float *g, Py_ssize_t n, float factor, float clip, float rate, float beta2, float eps)
    void rmsprop_row_d(double *p, double *v, const double *g, Py_ssize_t n, double factor, double clip, double rate, double beta2, double eps)
    void sgd_row_f(float *p, float *s, const float *g, Py_ssize_t n, float factor, float clip, float rate, float momentum)
    void sgd_row_d(double *p, double *s, const double *g, Py_ssize_t n, double factor, double clip, double rate, double momentum)
    void log_here(double *y, Py_ssize_t n)
    int barrier_wait(int *words, int threads)


cdef inline void product(floating *y, Py_ssize_t ldy, const floating *start, Py_ssize_t lds, const floating *a, Py_ssize_t a_row,
                         const floating *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns) noexcept nogil:
    if floating is float:
        product_f(y, ldy, start, lds, a, a_row, x, ldx, rows, depth, columns)
    else:
        product_d(y, ldy, start, lds, a, a_row, x, ldx, rows, depth, columns)

cdef inline void outer_product(floating *y, Py_ssize_t ldy, const floating *a, Py_ssize_t a_depth, const floating *x, Py_ssize_t ldx,
                               Py_ssize_t rows, Py_ssize_t depth, Py_ssize_t columns) noexcept nogil:
    if floating is float:
        outer_product_f(y, ldy, a, a_depth, x, ldx, rows, depth, columns)
    else:
        outer_product_d(y, ldy, a, a_depth, x, ldx, rows, depth, columns)

cdef inline void row_product(floating *y, const floating *start, const floating *a, const floating *x, Py_ssize_t ldx, Py_ssize_t depth,
                             Py_ssize_t columns) noexcept nogil:
    if floating is float:
        row_product_f(y, start, a, x, ldx, depth, columns)
    else:
        row_product_d(y, start, a, x, ldx, depth, columns)

cdef inline void recur_lane(floating *h, const floating *a, Py_ssize_t steps, const int *ids, const floating *u, const floating *b,
                            const floating *wt, Py_ssize_t ld, const floating *ends, Py_ssize_t m) noexcept nogil:
    if floating is float:
        recur_lane_f(h, a, steps, ids, u, b, wt, ld, ends, m)
    else:
        recur_lane_d(h, a, steps, ids, u, b, wt, ld, ends, m)

cdef inline void unwind_lane(floating *d, const floating *h, Py_ssize_t rows, const floating *w, Py_ssize_t ld, const floating *ends,
                             Py_ssize_t m) noexcept nogil:
    if floating is float:
        unwind_lane_f(d, h, rows, w, ld, ends, m)
    else:
        unwind_lane_d(d, h, rows, w, ld, ends, m)

cdef inline floating *gather_ends(char *room, const floating *x, Py_ssize_t ldx, Py_ssize_t depth, Py_ssize_t columns) noexcept nogil:
    if floating is float:
        return gather_ends_f(room, x, ldx, depth, columns)
    else:
        return gather_ends_d(room, x, ldx, depth, columns)

cdef inline void turn(floating *y, Py_ssize_t ldy, const floating *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    if floating is float:
        turn_f(y, ldy, x, ldx, rows, columns)
    else:
        turn_d(y, ldy, x, ldx, rows, columns)

cdef inline void add_rows(floating *y, const floating *x, const floating *z, Py_ssize_t n) noexcept nogil:
    if floating is float:
        add_rows_f(y, x, z, n)
    else:
        add_rows_d(y, x, z, n)

cdef inline void add_onto(floating *y, const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        add_onto_f(y, x, n)
    else:
        add_onto_d(y, x, n)

cdef inline void sum_of_rows(floating *y, const floating *x, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    if floating is float:
        sum_of_rows_f(y, x, rows, n)
    else:
        sum_of_rows_d(y, x, rows, n)

cdef inline void tanh_here(floating *y, Py_ssize_t n) noexcept nogil:
    if floating is float:
        tanh_here_f(y, n)
    else:
        tanh_here_d(y, n)

cdef inline void tanh_backward(floating *d, const floating *h, Py_ssize_t n) noexcept nogil:
    if floating is float:
        tanh_backward_f(d, h, n)
    else:
        tanh_backward_d(d, h, n)

cdef inline floating squares_row(const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return squares_row_f(x, n)
    else:
        return squares_row_d(x, n)

cdef inline floating max_row(const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return max_row_f(x, n)
    else:
        return max_row_d(x, n)

cdef inline floating exp_shifted(floating *o, Py_ssize_t n, floating top, floating sharpness) noexcept nogil:
    if floating is float:
        return exp_shifted_f(o, n, top, sharpness)
    else:
        return exp_shifted_d(o, n, top, sharpness)

cdef inline void scale_row(floating *x, floating factor, Py_ssize_t n) noexcept nogil:
    if floating is float:
        scale_row_f(x, factor, n)
    else:
        scale_row_d(x, factor, n)
