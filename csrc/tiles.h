/* tiles.h: the matrix products of the network, as register tiles. A template: leaves.h includes it once with REAL = float
 * and once with REAL = double.
 *
 *     Y[r, :] (+)= sum over k of A[r, k] * X[k, :]          rows r, depth k, columns in whole vectors
 *
 * A tile keeps R rows by N vectors of Y in registers while k runs, so that each vector of X that is loaded serves R
 * multiply-adds and each element of A serves N. Every element of Y is one chain of multiply-adds in the order of k,
 * whatever the tile: so tiles, blocks, threads and vector widths change the speed and never a bit.
 * A is read through two strides, so that A and its transpose are the same code. Around the tiles, `product` cuts the
 * depth into blocks and the columns into panels, so that the piece of X in use stays in the first-level cache. */

/* An AdaGrad update of `left` elements that a product does on the side, one vector at each step of its depth: the divider and
 * the square root work while the multiply-adds go on, and their time is all but hidden. */
typedef struct {
    REAL *p, *s;
    const REAL *g;
    index_t done, elements;
    VEC factor, clip, lowest, rate, eps;
} NAME(aside);

static inline void NAME(aside_set)(NAME(aside) *side, REAL *p, REAL *s, const REAL *g, index_t elements, REAL clip, REAL rate, REAL eps) {
    side->p = p;
    side->s = s;
    side->g = g;
    side->done = 0;
    side->elements = elements;
    side->factor = V_SET(1);
    side->clip = V_SET(clip);
    side->lowest = V_SET(-clip);
    side->rate = V_SET(rate);
    side->eps = V_SET(eps);
}

ALWAYS_INLINE void NAME(aside_step)(const NAME(aside) *side, index_t i) {
    NAME(adagrad_vector)(side->p + i, side->s + i, side->g + i, side->factor, side->clip, side->lowest, side->rate, side->eps);
}

static void NAME(aside_rest)(NAME(aside) *side) {
    for (; side->done < side->elements; side->done += VLEN) NAME(aside_step)(side, side->done);
}

ALWAYS_INLINE void NAME(tile)(REAL *RESTRICT y, index_t ldy, const REAL *RESTRICT a, index_t a_row, index_t a_depth,
                              const REAL *RESTRICT x, index_t ldx, index_t depth, int onto, NAME(aside) *side, const int R,
                              const int N) {
    VEC acc[8][4];
    index_t done = side ? side->done : 0;
    const index_t elements = side ? side->elements : 0;
    if (onto) {
        UNROLL for (int r = 0; r < R; r++) { UNROLL for (int v = 0; v < N; v++) acc[r][v] = V_LOAD(y + r * ldy + v * VLEN); }
    } else {
        UNROLL for (int r = 0; r < R; r++) { UNROLL for (int v = 0; v < N; v++) acc[r][v] = V_SET(0); }
    }
    for (index_t k = 0; k < depth; k++) {
        if (side && done < elements) {
            NAME(aside_step)(side, done);
            done += VLEN;
        }
        VEC xs[4];
        UNROLL for (int v = 0; v < N; v++) xs[v] = V_LOAD(x + v * VLEN);
        UNROLL for (int r = 0; r < R; r++) {
            const VEC ar = V_SET(a[r * a_row]);
            UNROLL for (int v = 0; v < N; v++) acc[r][v] = V_FMA(ar, xs[v], acc[r][v]);
        }
        a += a_depth;
        x += ldx;
    }
    if (side) side->done = done;
    UNROLL for (int r = 0; r < R; r++) { UNROLL for (int v = 0; v < N; v++) V_STORE(y + r * ldy + v * VLEN, acc[r][v]); }
}

/* One row of Y, up to 14 vectors of it at once: y += a X. The recurrent step of a single lane. */
ALWAYS_INLINE void NAME(row_tile)(REAL *RESTRICT y, const REAL *RESTRICT a, index_t a_depth, const REAL *RESTRICT x, index_t ldx,
                                  index_t depth, const int N) {
    VEC acc[14];
    UNROLL for (int v = 0; v < N; v++) acc[v] = V_LOAD(y + v * VLEN);
    for (index_t k = 0; k < depth; k++) {
        const VEC ak = V_SET(*a);
        UNROLL for (int v = 0; v < N; v++) acc[v] = V_FMA(ak, V_LOAD(x + v * VLEN), acc[v]);
        a += a_depth;
        x += ldx;
    }
    UNROLL for (int v = 0; v < N; v++) V_STORE(y + v * VLEN, acc[v]);
}

static void NAME(row_product)(REAL *y, const REAL *a, index_t a_depth, const REAL *x, index_t ldx, index_t depth, index_t columns) {
    const index_t vectors = (columns + VLEN - 1) / VLEN, panels = (vectors + 13) / 14;
    for (index_t p = 0; p < panels; p++) {
        const index_t v = vectors * p / panels, n = vectors * (p + 1) / panels - v;
#define CASE(N) case N: NAME(row_tile)(y + v * VLEN, a, a_depth, x + v * VLEN, ldx, depth, N); break;
        switch (n) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14) }
#undef CASE
    }
}

/* The tile sizes that fit the registers: R*N accumulators, N vectors of X, one of A. */
#if REGISTERS == 32
#define TILE_VECTORS 4
#define TILE_ROWS(n) ((n) == 4 ? 6 : 8)
#else
#define TILE_VECTORS 2
#define TILE_ROWS(n) ((n) == 2 ? 6 : 8)
#endif

ALWAYS_INLINE void NAME(tile_of)(index_t rows, index_t vectors, REAL *y, index_t ldy, const REAL *a, index_t a_row, index_t a_depth,
                                 const REAL *x, index_t ldx, index_t depth, int onto, NAME(aside) *side) {
#define CASE(R, N) case (R) * 8 + (N): NAME(tile)(y, ldy, a, a_row, a_depth, x, ldx, depth, onto, side, R, N); break;
#define CASES(N) CASE(1, N) CASE(2, N) CASE(3, N) CASE(4, N) CASE(5, N) CASE(6, N)
    switch (rows * 8 + vectors) {
        CASES(1) CASE(7, 1) CASE(8, 1) CASES(2)
#if REGISTERS == 32
        CASE(7, 2) CASE(8, 2) CASES(3) CASE(7, 3) CASE(8, 3) CASES(4)
#endif
    }
#undef CASES
#undef CASE
}

#define DEPTH_BLOCK 128
#define BLOCKED(TILE_OF_BLOCK)                                                                                          \
    const index_t vectors = (columns + VLEN - 1) / VLEN, panels = (vectors + TILE_VECTORS - 1) / TILE_VECTORS;          \
    const index_t blocks = (depth + DEPTH_BLOCK - 1) / DEPTH_BLOCK;                                                     \
    for (index_t d = 0; d < blocks; d++) {                                                                              \
        const index_t k = depth * d / blocks, some = depth * (d + 1) / blocks - k;                                      \
        for (index_t p = 0; p < panels; p++) {                                                                          \
            const index_t v = vectors * p / panels, n = vectors * (p + 1) / panels - v;                                 \
            const index_t tiles = (rows + TILE_ROWS(n) - 1) / TILE_ROWS(n);                                             \
            for (index_t i = 0; i < tiles; i++) {                                                                       \
                const index_t r = rows * i / tiles, more = rows * (i + 1) / tiles - r;                                  \
                REAL *yy = y + r * ldy + v * VLEN;                                                                      \
                const REAL *xx = x + k * ldx + v * VLEN;                                                                \
                const int more_onto = onto || d;                                                                        \
                TILE_OF_BLOCK;                                                                                          \
            }                                                                                                           \
        }                                                                                                               \
    }

/* Y (+)= A X, A with rows a_row apart */
static void NAME(product)(REAL *y, index_t ldy, const REAL *a, index_t a_row, const REAL *x, index_t ldx, index_t rows,
                          index_t depth, index_t columns, int onto) {
    BLOCKED(NAME(tile_of)(more, n, yy, ldy, a + r * a_row + k, a_row, 1, xx, ldx, some, more_onto, NULL))
}

/* Y = A^T X, A with rows a_depth apart: a sum of outer products */
static void NAME(outer_product)(REAL *y, index_t ldy, const REAL *a, index_t a_depth, const REAL *x, index_t ldx,
                                index_t rows, index_t depth, index_t columns) {
    const int onto = 0;
    BLOCKED(NAME(tile_of)(more, n, yy, ldy, a + r + k * a_depth, 1, a_depth, xx, ldx, some, more_onto, NULL))
}

/* The same with an update on the side. */
static void NAME(outer_product_beside)(REAL *y, index_t ldy, const REAL *a, index_t a_depth, const REAL *x, index_t ldx,
                                       index_t rows, index_t depth, index_t columns, NAME(aside) *side) {
    const int onto = 0;
    BLOCKED(NAME(tile_of)(more, n, yy, ldy, a + r + k * a_depth, 1, a_depth, xx, ldx, some, more_onto, side))
}
#undef BLOCKED
#undef DEPTH_BLOCK
#undef TILE_VECTORS
#undef TILE_ROWS

/* Y = X transposed: Y[j, i] = X[i, j] for i < rows, j < columns, in square blocks that vectors.h turns in registers. */
static void NAME(turn)(REAL *RESTRICT y, index_t ldy, const REAL *RESTRICT x, index_t ldx, index_t rows, index_t columns) {
    const index_t rows_in_blocks = rows - rows % TURN, columns_in_blocks = columns - columns % TURN;
    for (index_t j = 0; j < columns_in_blocks; j += TURN)
        for (index_t i = 0; i < rows_in_blocks; i += TURN) TURN_BLOCK(y + j * ldy + i, ldy, x + i * ldx + j, ldx);
    for (index_t j = 0; j < columns; j++)
        for (index_t i = j < columns_in_blocks ? rows_in_blocks : 0; i < rows; i++) y[j * ldy + i] = x[i * ldx + j];
}

/* Multiply-adds on registers alone, enough chains to fill the pipes: what the processor could do if nothing else cost
 * time. Returns the number of floating-point operations; the sum goes to `sink` so that the work cannot be left out. */
static double NAME(peak)(index_t rounds, REAL *sink) {
    VEC acc[12];
    const VEC a = V_SET((REAL)0.999), b = V_SET((REAL)0.001);
    UNROLL for (int i = 0; i < 12; i++) acc[i] = V_SET((REAL)i);
    for (index_t k = 0; k < rounds; k++) { UNROLL for (int i = 0; i < 12; i++) acc[i] = V_FMA(acc[i], a, b); }
    REAL lanes[64 / sizeof(REAL)];
    *sink = 0;
    UNROLL for (int i = 0; i < 12; i++) {
        V_STORE(lanes, acc[i]);
        *sink += lanes[0];
    }
    return 2.0 * 12 * VLEN * (double)rounds;
}
