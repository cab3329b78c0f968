/* tiles.h: the matrix products of the network, as register tiles, and the recurrence of one lane, a row at a time. A template:
 * leaves.h includes it once with REAL = float and once with REAL = double.
 *
 *     Y[r, :] = S[r, :] + sum over k of A[r, k] * X[k, :]          rows r, depth k, columns in whole or half vectors
 *
 * S, the start, is Y itself, or one row for all (its stride is 0), or nothing.
 *
 * A tile keeps R rows by N vectors of Y in registers while k runs, so that each vector of X that is loaded serves R
 * multiply-adds and each element of A serves N. Every element of Y is one chain of multiply-adds in the order of k,
 * whatever the tile: so tiles, blocks, threads and vector widths change the speed and never a bit.
 * A is read through two strides, so that A and its transpose are the same code. The rows of X start on whole lines. Around
 * the tiles, `blocked` cuts the depth into blocks and the columns into panels, so that the piece of X in use stays in the
 * first-level cache. */

/* An AdaGrad update of some elements that a product does on the side, one vector at each step of its depth: the divider and
 * the square root work while the multiply-adds go on, which hides most of their time. */
typedef struct {
    REAL *p, *s;
    const REAL *g;
    index_t done, elements;
    VEC clip, lowest, rate, eps;
} NAME(aside);

static inline void NAME(aside_set)(NAME(aside) *side, REAL *p, REAL *s, const REAL *g, index_t elements, REAL clip, REAL rate, REAL eps) {
    side->p = p;
    side->s = s;
    side->g = g;
    side->done = 0;
    side->elements = elements;
    side->clip = V_SET(clip);
    side->lowest = V_SET(-clip);
    side->rate = V_SET(rate);
    side->eps = V_SET(eps);
}

ALWAYS_INLINE void NAME(aside_step)(NAME(aside) side, index_t i) {
    NAME(adagrad_vector)(side.p + i, side.s + i, V_LOAD(side.g + i), side.clip, side.lowest, side.rate, side.eps);
}

static void NAME(aside_rest)(NAME(aside) *side) {
    for (; side->done < side->elements; side->done += VLEN) NAME(aside_step)(*side, side->done);
}

/* A tile of R rows by N vectors and, if H, half a vector. */
ALWAYS_INLINE void NAME(tile)(REAL *y, index_t ldy, const REAL *start, index_t lds, const REAL *RESTRICT a, index_t a_row,
                              index_t a_depth, const REAL *RESTRICT x, index_t ldx, index_t depth, NAME(aside) *side, const int R,
                              const int N, const int H) {
    VEC acc[8][4];
    HALF end[8];
    NAME(aside) own; /* what is stored through its pointers cannot change a copy: it stays in registers */
    if (side) own = *side;
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int v = 0; v < N; v++) acc[r][v] = start ? V_LOAD(start + r * lds + v * VLEN) : V_SET(0);
        if (H) end[r] = start ? H_LOAD(start + r * lds + N * VLEN) : H_LOW(V_SET(0));
    }
    for (index_t k = 0; k < depth; k++) {
        if (side && own.done < own.elements) {
            NAME(aside_step)(own, own.done);
            own.done += VLEN;
        }
        VEC xs[4];
        HALF xe;
        UNROLL for (int v = 0; v < N; v++) xs[v] = V_ALIGNED(x + v * VLEN);
        if (H) xe = H_LOAD(x + N * VLEN);
        UNROLL for (int r = 0; r < R; r++) {
            const VEC ar = SPREADS ? V_ALIGNED(a + r * a_row) : V_SET(a[r * a_row]);
            UNROLL for (int v = 0; v < N; v++) acc[r][v] = V_FMA(ar, xs[v], acc[r][v]);
            if (H) end[r] = H_FMA(H_LOW(ar), xe, end[r]);
        }
        a += a_depth;
        x += ldx;
    }
    if (side) side->done = own.done;
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int v = 0; v < N; v++) V_STORE(y + r * ldy + v * VLEN, acc[r][v]);
        if (H) H_STORE(y + r * ldy + N * VLEN, end[r]);
    }
}

/* One row of Y, up to 14 vectors of it at once: y = f(start + a X), the rows of X upwards or downwards. The recurrent step of a single
 * lane. Every multiply-add needs a vector of X, so that loads are what it waits for: four elements of a come with one of them.
 * N whole vectors and, if E is 2 or 4, half or a quarter of one, read from the rows of e.
 * f: nothing, or tanh (and `other` is added to the start), or times 1 - other^2, of whole vectors: what is read from memory in another
 * width than it was written waits until it is there. */
ALWAYS_INLINE void NAME(row_tile)(REAL *y, const REAL *start, const REAL *other, int f, const REAL *RESTRICT a, const REAL *RESTRICT x,
                                  index_t ldx, const REAL *RESTRICT e, index_t lde, index_t depth, int down, const int N, const int E) {
    const index_t one = down ? -1 : 1;
    VEC acc[14];
    HALF half;
    QUARTER quarter;
    index_t k = 0;
    UNROLL for (int v = 0; v < N; v++) acc[v] = V_LOAD(start + v * VLEN);
    if (E == 2) half = H_LOAD(start + N * VLEN);
    if (E == 4) quarter = Q_LOAD(start + N * VLEN);
    if (f == TANH) {
        UNROLL for (int v = 0; v < N; v++) acc[v] = V_ADD(acc[v], V_LOAD(other + v * VLEN));
        if (E == 2) half = H_ADD(half, H_LOAD(other + N * VLEN));
        if (E == 4) quarter = Q_ADD(quarter, Q_LOAD(other + N * VLEN));
    }
    if (down) {
        a += depth - 1;
        x += (depth - 1) * ldx;
        e += (depth - 1) * lde;
        ldx = -ldx;
        lde = -lde;
    }
#define STEP(element)                                                                                      \
    {                                                                                                      \
        const VEC ak = element;                                                                            \
        UNROLL for (int v = 0; v < N; v++) acc[v] = V_FMA(ak, V_LOAD(x + v * VLEN), acc[v]);               \
        if (E == 2) half = H_FMA(H_LOW(ak), H_LOAD(e), half);                                              \
        if (E == 4) quarter = Q_FMA(Q_LOW(ak), Q_LOAD(e), quarter);                                        \
        x += ldx;                                                                                          \
        e += lde;                                                                                          \
    }
#if FOURS
    for (; k + 4 <= depth; k += 4) {
        const VEC four = down ? V_BACKWARDS(V_FOUR(a - 3)) : V_FOUR(a);
        STEP(V_PICK(four, 0)) STEP(V_PICK(four, 1)) STEP(V_PICK(four, 2)) STEP(V_PICK(four, 3))
        a += 4 * one;
    }
#endif
    for (; k < depth; k++) {
        STEP(V_SET(*a))
        a += one;
    }
#undef STEP
    if (E == 2) acc[N] = H_WIDE(half);
    if (E == 4) acc[N] = Q_WIDE(quarter);
    UNROLL for (int v = 0; v < N + (E > 0); v++) V_STORE(y + v * VLEN, acc[v]);
    if (f == TANH) NAME(tanh_here)(y, (N + (E > 0)) * VLEN);
    if (f == TANH_BACKWARD) NAME(tanh_backward)(y, other, (N + (E > 0)) * VLEN);
}

/* How many vectors a row of `columns` takes, and whether half of the last (2) or a quarter (4) is enough. */
#define IN_VECTORS(columns)                                                                                 \
    const index_t vectors = (columns + VLEN - 1) / VLEN, unused = vectors * VLEN - columns;                 \
    const int end = !HALVES || unused < VLEN / 2 ? 0 : unused < 3 * VLEN / 4 ? 2 : 4;

/* The ends of X's rows, halves or quarters of a vector, side by side in `room`. X is read at every step of time from a first-level
 * cache that it all but fits: so they take a part of a line each of it instead of a whole one. NULL if there are none or too many. */
static REAL *NAME(gather_ends)(char *room, const REAL *x, index_t ldx, index_t depth, index_t columns) {
    IN_VECTORS(columns)
    REAL *ends = (REAL *)(room + (64 - (size_t)room % 64));
    if (!end || depth > ENDS) return NULL;
    x += (vectors - 1) * VLEN;
    if (end == 2)
        for (index_t k = 0; k < depth; k++) H_STORE(ends + k * (VLEN / 2), H_LOAD(x + k * ldx));
    else
        for (index_t k = 0; k < depth; k++) Q_STORE(ends + k * (VLEN / 4), Q_LOAD(x + k * ldx));
    return ends;
}

/* Rows that follow from each other, as over time: y = f(start + a X), then the same for the next y with this one as its a. */
typedef struct {
    REAL *y;
    const REAL *a;
    index_t steps, step;     /* how many rows are made; from one to the next, y and a move by this */
    const REAL *start;
    const int *ids;          /* the start of row t is row ids[t] of `start`, ... */
    index_t ldstart;         /* ... whose rows are so far apart; without ids, it is row t */
    int f;                   /* what becomes of a sum, and ... */
    const REAL *other;       /* ... the row that it needs, which moves by other_step (see `row_tile`) */
    index_t other_step;
    const REAL *x, *e;       /* X, and the ends of its rows */
    index_t ldx, lde, depth;
    int down;                /* how the first goes through X; the next goes the other way: what the last left in the cache comes first */
} NAME(chain);

ALWAYS_INLINE void NAME(chain_tile)(NAME(chain) c, const int N, const int E) {
    for (index_t t = 0; t < c.steps; t++)
        NAME(row_tile)(c.y + t * c.step, c.start + (c.ids ? c.ids[t] : t) * c.ldstart, c.other + t * c.other_step, c.f, c.a + t * c.step,
                       c.x, c.ldx, c.e, c.lde, c.depth, c.down ^ (int)(t & 1), N, E);
}

/* One function for each size, which the compiler knows there, chosen once for all rows: to decide it at each took 2 % of an update. */
#define SIZES_WITH(E)                                                                                                   \
    SIZE(1, E) SIZE(2, E) SIZE(3, E) SIZE(4, E) SIZE(5, E) SIZE(6, E) SIZE(7, E) SIZE(8, E) SIZE(9, E) SIZE(10, E) SIZE(11, E) \
    SIZE(12, E) SIZE(13, E)
#if HALVES
#define SIZES SIZES_WITH(0) SIZE(14, 0) SIZE(0, 2) SIZES_WITH(2) SIZE(0, 4) SIZES_WITH(4)
#else
#define SIZES SIZES_WITH(0) SIZE(14, 0)
#endif
#define SIZE(N, E) NEVER_INLINE void NAME(chain_##N##_##E)(NAME(chain) c) { NAME(chain_tile)(c, N, E); }
SIZES
#undef SIZE

static void NAME(chain_of)(NAME(chain) c, index_t vectors, int end) {
#define SIZE(N, E) case 5 * ((N) + ((E) > 0)) - (E): NAME(chain_##N##_##E)(c); break;
    switch (5 * vectors - end) { SIZES } /* by fives, so that no two of vectors and end have one number */
#undef SIZE
}
#undef SIZES
#undef SIZES_WITH

/* ends: as `gather_ends` left them, or NULL */
static void NAME(run_chain)(NAME(chain) c, const REAL *ends, index_t columns) {
    IN_VECTORS(columns)
    const index_t panels = (vectors + 13) / 14;
    c.lde = !ends ? c.ldx : end == 2 ? VLEN / 2 : VLEN / 4;
    c.e = ends ? ends : c.x + (vectors - 1) * VLEN;
    if (panels == 1) {
        NAME(chain_of)(c, vectors, end);
        return;
    }
    for (index_t t = 0; t < c.steps; t++) {
        for (index_t p = 0; p < panels; p++) {
            const index_t v = part(vectors, panels, p), last = part(vectors, panels, p + 1);
            NAME(chain) panel = c;
            panel.steps = 1;
            panel.y += t * c.step + v * VLEN;
            panel.a += t * c.step;
            panel.start += (c.ids ? c.ids[t] : t) * c.ldstart + v * VLEN;
            panel.ids = NULL;
            panel.other += t * c.other_step + v * VLEN;
            panel.x += v * VLEN;
            panel.down ^= (int)(t & 1);
            NAME(chain_of)(panel, last - v, last == vectors ? end : 0);
        }
    }
}

/* y = start + a X, in one row */
static void NAME(row_product)(REAL *y, const REAL *start, const REAL *a, const REAL *x, index_t ldx, index_t depth, index_t columns) {
    const NAME(chain) c = {.y = y, .a = a, .steps = 1, .start = start, .other = start, .x = x, .ldx = ldx, .depth = depth, .f = AS_IT_IS};
    NAME(run_chain)(c, NULL, columns);
}

/* h_t = tanh(W h_{t-1} + U x_t + b), h_0 = a, in rows of length ld */
static void NAME(recur_lane)(REAL *h, const REAL *a, index_t steps, const int *ids, const REAL *u, const REAL *b, const REAL *wt,
                             index_t ld, const REAL *ends, index_t m) {
    const NAME(chain) c = {.y = h, .a = a, .steps = steps, .step = ld, .start = u, .ids = ids, .ldstart = ld, .other = b,
                           .x = wt, .ldx = ld, .depth = m, .f = TANH};
    NAME(run_chain)(c, ends, m);
}

/* da_t = (dh_t + W^T da_{t+1}) (1 - h_t^2), t = T-1 downwards, d and h of T rows of length ld. IN dh, and da in the last row */
static void NAME(unwind_lane)(REAL *d, const REAL *h, index_t rows, const REAL *w, index_t ld, const REAL *ends, index_t m) {
    if (rows < 2) return;
    REAL *y = d + (rows - 2) * ld;
    const NAME(chain) c = {.y = y, .a = y + ld, .steps = rows - 1, .step = -ld, .start = y, .ldstart = -ld, .other = h + (rows - 2) * ld,
                           .other_step = -ld, .x = w, .ldx = ld, .depth = m, .down = (int)((rows - 1) & 1), .f = TANH_BACKWARD};
    NAME(run_chain)(c, ends, m);
}

/* The tile sizes that fit the registers: R*N accumulators, N vectors of X, one of A. */
#if REGISTERS == 32
#define TILE_VECTORS 4
#define TILE_ROWS(n) ((n) == 4 ? 6 : 8)
#elif VECTOR_BYTES == 32
#define TILE_VECTORS 2
#define TILE_ROWS(n) ((n) == 2 ? 6 : 8)
#else
#define TILE_VECTORS 3
#define TILE_ROWS(n) ((n) == 3 ? 4 : (n) == 2 ? 6 : 8)
#endif

ALWAYS_INLINE void NAME(tile_of)(index_t rows, index_t vectors, int half, REAL *y, index_t ldy, const REAL *start, index_t lds,
                                 const REAL *a, index_t a_row, index_t a_depth, const REAL *x, index_t ldx, index_t depth,
                                 NAME(aside) *side) {
#define CASE(R, N)                                                                                                            \
    case (R) * 8 + 2 * (N) - 1: NAME(tile)(y, ldy, start, lds, a, a_row, a_depth, x, ldx, depth, side, R, N, 0); break;       \
    case (R) * 8 + 2 * (N) - 2:                                                                                               \
        if (HALVES) NAME(tile)(y, ldy, start, lds, a, a_row, a_depth, x, ldx, depth, side, R, (N) - 1, 1);                    \
        break;
#define CASES(N) CASE(1, N) CASE(2, N) CASE(3, N) CASE(4, N) CASE(5, N) CASE(6, N)
    switch (rows * 8 + 2 * vectors - 1 - half) {
        CASES(1) CASE(7, 1) CASE(8, 1) CASES(2) CASES(3)
#if REGISTERS == 32
        CASE(7, 2) CASE(8, 2) CASE(7, 3) CASE(8, 3) CASES(4)
#endif
    }
#undef CASES
#undef CASE
}

/* Rows that the tiles will need soon: of Y, to which a product deeper than one block comes back, and of X. Never inlined, for it is
 * seldom called, and its variables would take registers from the loops that call it. */
NEVER_INLINE void NAME(fetch_ahead)(const REAL *p, index_t ld, index_t rows, index_t vectors) {
    for (index_t r = 0; r < rows; r++) {
        PREFETCH(p + r * ld);
        PREFETCH(p + r * ld + vectors * VLEN - 1);
    }
}

/* Where the rows of X lie half a page or more apart, each costs the tiles an entry of the TLB, which has few, and the processor does not
 * foresee the next. Wide vectors need no help: they do more work per row. Else a panel of X that many tiles use is copied side by
 * side; and where A is spread, so that few tiles use a panel, blocks are less deep and the next panel is fetched meanwhile. */
#define DEPTH_BLOCK 128
#define LESS_DEEP 48
#define FAR_APART(ldx) ((ldx) * (index_t)sizeof(REAL) >= 2048)
#define PACKS (VECTOR_BYTES && VECTOR_BYTES <= 32 && !SPREADS)
static void NAME(pack)(VEC *room, const REAL *x, index_t ldx, index_t depth, index_t vectors) {
    for (index_t k = 0; k < depth; k++)
        for (index_t v = 0; v < vectors; v++) room[k * vectors + v] = V_LOAD(x + k * ldx + v * VLEN);
}

/* The elements of A, each spread over a vector beforehand, once for all panels: where no instruction does so on the way from memory,
 * the tiles would spend two on each element, one of them in the units that multiply and add. Rows an odd number of vectors apart fall
 * into different sets of the cache. */
#define ROWS_SPREAD 32
#define SPREAD_ROW(depth) ((depth) | 1)
static void NAME(spread)(VEC *room, const REAL *a, index_t a_row, index_t a_depth, index_t rows, index_t depth) {
    for (index_t r = 0; r < rows; r++)
        for (index_t k = 0; k < depth; k++) room[r * SPREAD_ROW(depth) + k] = V_SET(a[r * a_row + k * a_depth]);
}

/* Y = S + A X: blocks of the depth, in each as many rows as can be spread or all, then panels of columns, then tiles. */
ALWAYS_INLINE void NAME(blocked)(REAL *y, index_t ldy, const REAL *start, index_t lds, const REAL *a, index_t a_row, index_t a_depth,
                                 const REAL *x, index_t ldx, index_t rows, index_t depth, index_t columns, NAME(aside) *side) {
    IN_VECTORS(columns)
    VEC packed[PACKS ? DEPTH_BLOCK * TILE_VECTORS : 1], spread_a[SPREADS ? SPREAD_ROW(DEPTH_BLOCK) * ROWS_SPREAD : 1];
    const index_t panels = (vectors + TILE_VECTORS - 1) / TILE_VECTORS;
    const int packs = PACKS && FAR_APART(ldx), fetches = SPREADS && FAR_APART(ldx);
    const index_t deep = fetches ? LESS_DEEP : DEPTH_BLOCK, blocks = (depth + deep - 1) / deep;
    const index_t chunks = SPREADS ? (rows + ROWS_SPREAD - 1) / ROWS_SPREAD : 1;
    for (index_t d = 0; d < blocks; d++) {
        const index_t k = part(depth, blocks, d), some = part(depth, blocks, d + 1) - k;
        for (index_t c = 0; c < chunks; c++) {
            const index_t first = part(rows, chunks, c), many = part(rows, chunks, c + 1) - first;
            const REAL *aa = a + first * a_row + k * a_depth;
            index_t aa_row = a_row, aa_depth = a_depth;
            if (SPREADS) {
                NAME(spread)(spread_a, aa, a_row, a_depth, many, some);
                aa = (const REAL *)spread_a;
                aa_row = SPREAD_ROW(some) * VLEN;
                aa_depth = VLEN;
            }
            for (index_t p = 0; p < panels; p++) {
                const index_t v = part(vectors, panels, p), last = part(vectors, panels, p + 1), n = last - v;
                const int half = end && last == vectors;
                const index_t tiles = (many + TILE_ROWS(n) - 1) / TILE_ROWS(n);
                const REAL *xx = x + k * ldx + v * VLEN;
                index_t ldxx = ldx;
                if (packs && tiles >= 16) {
                    NAME(pack)(packed, xx, ldx, some, n);
                    xx = (const REAL *)packed;
                    ldxx = n * VLEN;
                }
                for (index_t i = 0; i < tiles; i++) {
                    const index_t r = part(many, tiles, i), more = part(many, tiles, i + 1) - r;
                    REAL *yy = y + (first + r) * ldy + v * VLEN;
                    const REAL *ss = d ? yy : start ? start + (first + r) * lds + v * VLEN : NULL;
                    const index_t ld = d ? ldy : lds;
                    if (fetches) { /* with each tile a share of the next panel's rows */
                        const index_t q = part(some, tiles, i), share = part(some, tiles, i + 1) - q;
                        NAME(fetch_ahead)(x + (k + q) * ldx + last * VLEN, ldx, share, TILE_VECTORS);
                    }
                    if (d) NAME(fetch_ahead)(yy + more * ldy, ldy, more, n);
                    NAME(tile_of)(more, n, half, yy, ldy, ss, ld, aa + r * aa_row, aa_row, aa_depth, xx, ldxx, some, side);
                }
            }
        }
    }
}

/* Y = S + A X, A with rows a_row apart */
static void NAME(product)(REAL *y, index_t ldy, const REAL *start, index_t lds, const REAL *a, index_t a_row, const REAL *x,
                          index_t ldx, index_t rows, index_t depth, index_t columns) {
    NAME(blocked)(y, ldy, start, lds, a, a_row, 1, x, ldx, rows, depth, columns, NULL);
}

/* Y = A^T X, A with rows a_depth apart: a sum of outer products */
static void NAME(outer_product)(REAL *y, index_t ldy, const REAL *a, index_t a_depth, const REAL *x, index_t ldx,
                                index_t rows, index_t depth, index_t columns) {
    NAME(blocked)(y, ldy, NULL, 0, a, 1, a_depth, x, ldx, rows, depth, columns, NULL);
}

/* The same with an update on the side. */
static void NAME(outer_product_beside)(REAL *y, index_t ldy, const REAL *a, index_t a_depth, const REAL *x, index_t ldx,
                                       index_t rows, index_t depth, index_t columns, NAME(aside) *side) {
    NAME(blocked)(y, ldy, NULL, 0, a, 1, a_depth, x, ldx, rows, depth, columns, side);
}
#undef IN_VECTORS
#undef DEPTH_BLOCK
#undef LESS_DEEP
#undef ROWS_SPREAD
#undef SPREAD_ROW
#undef PACKS
#undef FAR_APART
#undef TILE_VECTORS
#undef TILE_ROWS

/* `turn` for n blocks side by side, from the first row to the last, where the last block reaches back over the one before. */
ALWAYS_INLINE void NAME(turn_strip)(REAL *RESTRICT y, index_t ldy, const REAL *RESTRICT x, index_t ldx, index_t rows, const int n) {
    for (index_t i = TURN; i < rows + TURN; i += TURN) {
        const index_t back = i > rows ? i - rows : 0;
        UNROLL for (int b = 0; b < n; b++) TURN_BLOCK(y - back + b * TURN * ldy, ldy, x - back * ldx + b * TURN, ldx);
        y += TURN;
        x += TURN * ldx;
    }
}

/* Y = X transposed: Y[j, i] = X[i, j] for i < rows, j < columns, in square blocks that vectors.h turns in registers; two side by
 * side as long as there are two, so that a line of X is read once. */
static void NAME(turn)(REAL *RESTRICT y, index_t ldy, const REAL *RESTRICT x, index_t ldx, index_t rows, index_t columns) {
    index_t j = 0;
    if (rows < TURN || columns < TURN) {
        for (; j < columns; j++)
            for (index_t i = 0; i < rows; i++) y[j * ldy + i] = x[i * ldx + j];
        return;
    }
    for (; j + 2 * TURN <= columns; j += 2 * TURN) NAME(turn_strip)(y + j * ldy, ldy, x + j, ldx, rows, 2);
    for (; j < columns; j += TURN) {
        if (j + TURN > columns) j = columns - TURN;
        NAME(turn_strip)(y + j * ldy, ldy, x + j, ldx, rows, 1);
    }
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
