/* rows.h: what happens to one row at a time, element by element. A template, like tiles.h.
 * Rows are padded to whole 64-byte lines, so these loops have no remainder; the compiler vectorises them as they stand.
 * Sums keep one partial sum per element of a line and add those up in one fixed order: the same bits at every width. */

#define LINE ((index_t)(64 / sizeof(REAL)))
#define LINE_VECTORS ((int)(LINE / VLEN))

static inline void NAME(add_rows)(REAL *RESTRICT y, const REAL *RESTRICT x, const REAL *RESTRICT z, index_t n) {
    for (index_t i = 0; i < n; i++) y[i] = x[i] + z[i];
}

static inline void NAME(add_onto)(REAL *RESTRICT y, const REAL *RESTRICT x, index_t n) {
    for (index_t i = 0; i < n; i++) y[i] += x[i];
}

/* y = the sum of all rows of x, n elements each, in their order */
static inline void NAME(sum_of_rows)(REAL *RESTRICT y, const REAL *RESTRICT x, index_t rows, index_t n) {
    for (index_t i = 0; i < n; i += LINE) {
        VEC s[LINE_VECTORS];
        UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_LOAD(x + i + v * VLEN);
        for (index_t r = 1; r < rows; r++) { UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_ADD(s[v], V_LOAD(x + r * n + i + v * VLEN)); }
        UNROLL for (int v = 0; v < LINE_VECTORS; v++) V_STORE(y + i + v * VLEN, s[v]);
    }
}

static inline void NAME(tanh_row)(REAL *RESTRICT y, const REAL *RESTRICT x, index_t n) {
    for (index_t i = 0; i < n; i++) y[i] = NAME(tanh1)(x[i]);
}

static inline void NAME(tanh_here)(REAL *y, index_t n) {
    ROLLED for (index_t i = 0; i < n; i++) y[i] = NAME(tanh1)(y[i]);
}

static inline void NAME(exp_row)(REAL *RESTRICT y, const REAL *RESTRICT x, index_t n) {
    for (index_t i = 0; i < n; i++) y[i] = NAME(exp1)(x[i]);
}

/* d tanh(a)/da = 1 - h^2 */
static inline void NAME(tanh_backward)(REAL *RESTRICT d, const REAL *RESTRICT h, index_t n) {
    for (index_t i = 0; i < n; i++) d[i] = d[i] * NAME(fma)(-h[i], h[i], (REAL)1);
}

/* A line of partial sums, added up in pairs. An array for each level, so that it stays in registers. */
static inline REAL NAME(add_up)(const REAL *lanes) {
    REAL eight[8], four[4];
    ROLLED for (int i = 0; i < 8; i++) eight[i] = LINE == 16 ? lanes[i] + lanes[(i + 8) % LINE] : lanes[i];
    ROLLED for (int i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

static inline REAL NAME(sum_row)(const REAL *RESTRICT x, index_t n) {
    VEC s[LINE_VECTORS];
    REAL lanes[64 / sizeof(REAL)];
    UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_LOAD(x + v * VLEN);
    for (index_t i = LINE; i < n; i += LINE) { UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_ADD(s[v], V_LOAD(x + i + v * VLEN)); }
    UNROLL for (int v = 0; v < LINE_VECTORS; v++) V_STORE(lanes + v * VLEN, s[v]);
    return NAME(add_up)(lanes);
}

static inline REAL NAME(squares_row)(const REAL *RESTRICT x, index_t n) {
    VEC s[LINE_VECTORS];
    REAL lanes[64 / sizeof(REAL)];
    UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_SET(0);
    for (index_t i = 0; i < n; i += LINE) {
        UNROLL for (int v = 0; v < LINE_VECTORS; v++) {
            const VEC xv = V_LOAD(x + i + v * VLEN);
            s[v] = V_FMA(xv, xv, s[v]);
        }
    }
    UNROLL for (int v = 0; v < LINE_VECTORS; v++) V_STORE(lanes + v * VLEN, s[v]);
    return NAME(add_up)(lanes);
}

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
static inline REAL NAME(max_row)(const REAL *RESTRICT x, index_t n) {
    VEC s[LINE_VECTORS];
    REAL lanes[64 / sizeof(REAL)];
    UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_LOAD(x + v * VLEN);
    for (index_t i = LINE; i < n; i += LINE) { UNROLL for (int v = 0; v < LINE_VECTORS; v++) s[v] = V_MAX(s[v], V_LOAD(x + i + v * VLEN)); }
    UNROLL for (int v = 0; v < LINE_VECTORS; v++) V_STORE(lanes + v * VLEN, s[v]);
    REAL eight[8], four[4];
    ROLLED for (int i = 0; i < 8; i++) eight[i] = LINE == 16 ? LARGER(lanes[i], lanes[(i + 8) % LINE]) : lanes[i];
    ROLLED for (int i = 0; i < 4; i++) four[i] = LARGER(eight[i], eight[i + 4]);
    return LARGER(LARGER(four[0], four[2]), LARGER(four[1], four[3]));
}

/* o becomes exp(o - max o); returns the sum. The maximum goes first so that nothing overflows. */
static inline REAL NAME(exp_shifted)(REAL *o, index_t n, REAL top, REAL sharpness) {
    for (index_t i = 0; i < n; i++) o[i] = NAME(exp1)((o[i] - top) * sharpness);
    return NAME(sum_row)(o, n);
}

static inline void NAME(scale_row)(REAL *x, REAL factor, index_t n) {
    for (index_t i = 0; i < n; i++) x[i] *= factor;
}

/* ---- the update rules: p parameters, g gradient, s and v the optimiser's memory ------------------------------------ */

#define CLIPPED(g) ((g) > clip ? clip : (g) < -clip ? -clip : (g))

/* s += g^2;  p -= rate g / sqrt(s + eps)         Duchi, Hazan & Singer 2011; eps inside the root as in the lab's text.
 * One vector; min and max are written so that a gradient that is not a number stays one. */
ALWAYS_INLINE void NAME(adagrad_vector)(REAL *p, REAL *s, VEC g, VEC clip, VEC lowest, VEC rate, VEC eps) {
    const VEC q = V_MAX(lowest, V_MIN(clip, g));
    const VEC total = V_FMA(q, q, V_LOAD(s));
    V_STORE(s, total);
    V_STORE(p, V_SUB(V_LOAD(p), V_DIV(V_MUL(rate, q), V_SQRT(V_ADD(total, eps)))));
}

static inline void NAME(adagrad_row)(REAL *RESTRICT p, REAL *RESTRICT s, const REAL *RESTRICT g, index_t n, REAL factor,
                                     REAL clip, REAL rate, REAL eps) {
    for (index_t i = 0; i < n; i += VLEN)
        NAME(adagrad_vector)(p + i, s + i, V_MUL(V_LOAD(g + i), V_SET(factor)), V_SET(clip), V_SET(-clip), V_SET(rate), V_SET(eps));
}

/* s = b1 s + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= rate/(1-b1^t) s / (sqrt(v)/sqrt(1-b2^t) + eps)
 * Kingma & Ba 2015, algorithm 1; `rate` and `root` come with the corrections for the t-th step already in them */
static inline void NAME(adam_row)(REAL *RESTRICT p, REAL *RESTRICT s, REAL *RESTRICT v, const REAL *RESTRICT g, index_t n,
                                  REAL factor, REAL clip, REAL rate, REAL root, REAL beta1, REAL beta2, REAL eps) {
    const REAL rest1 = 1 - beta1, rest2 = 1 - beta2;
    for (index_t i = 0; i < n; i++) {
        REAL q = g[i] * factor;
        q = CLIPPED(q);
        const REAL first = NAME(fma)(beta1, s[i], rest1 * q), second = NAME(fma)(beta2, v[i], rest2 * (q * q));
        s[i] = first;
        v[i] = second;
        p[i] -= rate * first / NAME(fma)(NAME(sqrt1)(second), root, eps);
    }
}

/* v = b2 v + (1-b2) g^2;  p -= rate g / (sqrt(v) + eps)                                   Tieleman & Hinton 2012 */
static inline void NAME(rmsprop_row)(REAL *RESTRICT p, REAL *RESTRICT v, const REAL *RESTRICT g, index_t n, REAL factor,
                                     REAL clip, REAL rate, REAL beta2, REAL eps) {
    const REAL rest2 = 1 - beta2;
    for (index_t i = 0; i < n; i++) {
        REAL q = g[i] * factor;
        q = CLIPPED(q);
        const REAL second = NAME(fma)(beta2, v[i], rest2 * (q * q));
        v[i] = second;
        p[i] -= rate * q / (NAME(sqrt1)(second) + eps);
    }
}

/* s = momentum s + g;  p -= rate s */
static inline void NAME(sgd_row)(REAL *RESTRICT p, REAL *RESTRICT s, const REAL *RESTRICT g, index_t n, REAL factor, REAL clip,
                                 REAL rate, REAL momentum) {
    for (index_t i = 0; i < n; i++) {
        REAL q = g[i] * factor;
        q = CLIPPED(q);
        const REAL velocity = NAME(fma)(momentum, s[i], q);
        s[i] = velocity;
        p[i] = NAME(fma)(-rate, velocity, p[i]);
    }
}

#undef CLIPPED
#undef LARGER
#undef LINE
#undef LINE_VECTORS
