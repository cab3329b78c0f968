/* products.h: the matrix products of the network, as register tiles.
 *
 *     Y[r, :] = S[r, :] + sum over k of A[r, k] * X[k, :]          rows r, depth k, columns in whole vectors
 *
 * S, the start, is Y itself, or one row for all (its stride is 0), or nothing. A is read through two strides, so that A and its
 * transpose are the same code. X lies in panels (panels.h): a tile reads one of them from its beginning to its end.
 *
 * A tile keeps R rows by N vectors of Y in registers while k runs, so that each vector of X that is loaded serves R
 * multiply-adds and each element of A serves N. Every element of Y is one chain of multiply-adds in the order of k,
 * whatever the tile, the panel, the block or the thread: these change the speed and never a bit. */
#pragma once
#include "optimisers.h"
#include "panels.h"

namespace {
constexpr index_t DEEPEST = 256;      /* rows of a panel that stay in the first-level cache */
constexpr index_t FIRST_CACHE = 65536; /* bytes: what is larger waits in the second-level cache or behind it */
constexpr index_t ROWS_AT_ONCE = 96;  /* rows of A that stay in the second */
constexpr int MOST_ROWS = 8;          /* of a tile; what else bounds it are the registers: R*N sums, N vectors of X, one of A */
constexpr int MOST_SUMS = REGISTERS == 32 ? 24 : 12;

/* How a single row's panels are read: all from the first, or the panels from the last, or also the rows of each from the last. */
enum Sweep { UP, PANELS_DOWN, DOWN };

template <class T> struct Product { /* everything of a product but its extent: rows, depth, columns */
    T *y;
    index_t ldy;
    const T *start;
    index_t lds;
    const T *a;
    index_t a_row, a_depth;
    const T *x;
    index_t ldx;
};

template <class T, int N> INLINE void add_scaled(Vec<T> (&sum)[N], Vec<T> a, const T *x) {
    UNROLL for (int v = 0; v < N; v++) sum[v] = mul_add(a, Vec<T>::load(x + v * VLEN<T>), sum[v]);
}

/* What becomes of the sums of a tile: they are stored, or are a gradient that changes parameters at once, without a way through memory,
 * and while the divider works on one tile's, the next tile's multiply-adds go on. `at`: from the first element of Y. */
template <class T> struct Store {
    T *y;
    INLINE void operator()(index_t at, Vec<T> sum) const { sum.store(y + at); }
};
template <class T> struct AdaGrad {
    T *p, *s;
    const Constants<T> &constants;
    INLINE void operator()(index_t at, Vec<T> sum) const { adagrad(p + at, s + at, sum, constants); }
};

template <class T, int R, int N, class Out> void tile(const Product<T> &p, index_t depth, const Out &out) {
    Vec<T> sum[R][N];
    const index_t a_row = p.a_row, a_depth = p.a_depth, ldx = p.ldx, lds = p.lds;
    const T *__restrict a = p.a, *__restrict x = p.x, *start = p.start;
    if (start) {
        UNROLL for (int r = 0; r < R; r++) { UNROLL for (int v = 0; v < N; v++) sum[r][v] = Vec<T>::load(start + r * lds + v * VLEN<T>); }
    } else {
        UNROLL for (int r = 0; r < R; r++) { UNROLL for (int v = 0; v < N; v++) sum[r][v] = Vec<T>::set(0); }
    }
    for (index_t k = 0; k < depth; k++, a += a_depth, x += ldx) {
        if (R < N) { /* few rows: the elements of A stay in registers, X passes by */
            Vec<T> ar[R];
            UNROLL for (int r = 0; r < R; r++) ar[r] = Vec<T>::set(a[r * a_row]);
            UNROLL for (int v = 0; v < N; v++) {
                const Vec<T> xv = Vec<T>::load(x + v * VLEN<T>);
                UNROLL for (int r = 0; r < R; r++) sum[r][v] = mul_add(ar[r], xv, sum[r][v]);
            }
        } else {
            Vec<T> xv[N];
            UNROLL for (int v = 0; v < N; v++) xv[v] = Vec<T>::load(x + v * VLEN<T>);
            UNROLL for (int r = 0; r < R; r++) {
                const Vec<T> ar = Vec<T>::set(a[r * a_row]);
                UNROLL for (int v = 0; v < N; v++) sum[r][v] = mul_add(ar, xv[v], sum[r][v]);
            }
        }
    }
    const Out to = out;
    const index_t ldy = p.ldy;
    UNROLL for (int r = 0; r < R; r++) { UNROLL for (int v = 0; v < N; v++) to(r * ldy + v * VLEN<T>, sum[r][v]); }
}

/* One row of Y, A side by side: the recurrent step of a single lane. Every multiply-add needs a vector of X, so that loads are what it
 * waits for: four elements of A come with one of them. `down`: from the last row of X to the first. */
template <class T, int N> void row_tile(const Product<T> &p, index_t depth, bool down) {
    Vec<T> sum[N];
    const index_t one = down ? -1 : 1, ldx = down ? -p.ldx : p.ldx;
    const T *__restrict a = p.a + (down ? depth - 1 : 0), *__restrict x = p.x + (down ? (depth - 1) * p.ldx : 0), *start = p.start;
    index_t k = 0;
    UNROLL for (int v = 0; v < N; v++) sum[v] = start ? Vec<T>::load(start + v * VLEN<T>) : Vec<T>::set(0);
#if BROADCASTS
    for (; k + 4 <= depth; k += 4, a += 4 * one, x += 4 * ldx) {
        const Vec<T> next = down ? reverse(four(a - 3)) : four(a);
        add_scaled(sum, spread<0>(next), x);
        add_scaled(sum, spread<1>(next), x + ldx);
        add_scaled(sum, spread<2>(next), x + 2 * ldx);
        add_scaled(sum, spread<3>(next), x + 3 * ldx);
    }
#endif
    for (; k < depth; k++, a += one, x += ldx) add_scaled(sum, Vec<T>::set(*a), x);
    UNROLL for (int v = 0; v < N; v++) sum[v].store(p.y + v * VLEN<T>);
}

/* One function for each size, which the compiler knows there. */
template <class T, class Out> struct Tiles {
    void (*of[MOST_ROWS + 1][WIDE + 1])(const Product<T> &, index_t, const Out &) = {};
    constexpr Tiles() { add<1, 1>(); }
    template <int R, int N> constexpr void add() {
        of[R][N] = tile<T, R, N, Out>;
        if constexpr (N < WIDE && R * (N + 1) <= MOST_SUMS) add<R, N + 1>();
        else if constexpr (R < MOST_ROWS) add<R + 1, 1>();
    }
};
template <class T, class Out = Store<T>> constexpr Tiles<T, Out> TILES;

template <class T> struct RowTiles {
    void (*of[WIDEST + 1])(const Product<T> &, index_t, bool) = {};
    constexpr RowTiles() { add<1>(); }
    template <int N> constexpr void add() {
        of[N] = row_tile<T, N>;
        if constexpr (N < WIDEST) add<N + 1>();
    }
};
template <class T> constexpr RowTiles<T> ROW_TILES;

/* Y = S + A X. If X is large, with each tile some lines of the next panel are fetched, after which the processor foresees the others (all
 * of them would push the present one out of the first-level cache), and the next tile's rows of Y. */
template <class T>
void product(T *y, index_t ldy, const T *start, index_t lds, const T *a, index_t a_row, index_t a_depth, const Panels<T> *x,
             index_t rows, index_t depth, index_t columns, int sweep) {
    const index_t vectors = (columns + VLEN<T> - 1) / VLEN<T>, n = x->width / VLEN<T>, panels = (vectors + n - 1) / n;
    if (a_depth == 1 && (rows == 1 || n > WIDE)) { /* panels that wide are meant for one row, but any number finds its way */
        for (index_t r = 0; r < rows; r++) {
            for (index_t i = 0; i < panels; i++) {
                const index_t p = sweep ? panels - 1 - i : i, at = p * x->width;
                const Product<T> row = {y + r * ldy + at, ldy, start ? start + r * lds + at : NULL, lds, a + r * a_row, a_row, 1,
                                        x->data + p * x->step, x->ld};
                ROW_TILES<T>.of[p + 1 < panels ? n : vectors - p * n](row, depth, sweep == DOWN);
            }
        }
        return;
    }
    const index_t chunks = (rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, blocks = (depth + DEEPEST - 1) / DEEPEST;
    const bool far = rows > MOST_ROWS && depth * columns * (index_t)sizeof(T) > FIRST_CACHE;
    for (index_t c = 0; c < chunks; c++) {
        const index_t first = part(rows, chunks, c), last = part(rows, chunks, c + 1);
        for (index_t d = 0; d < blocks; d++) {
            const index_t k = part(depth, blocks, d), deep = part(depth, blocks, d + 1) - k;
            for (index_t p = 0; p < panels; p++) {
                const index_t N = p + 1 < panels ? n : vectors - p * n, most = MOST_SUMS / N < MOST_ROWS ? MOST_SUMS / N : MOST_ROWS;
                const index_t tiles = (last - first + most - 1) / most, at = p * x->width;
                const index_t each = (last - first) / tiles, larger = (last - first) % tiles; /* so many have one row more */
                const T *panel = x->data + p * x->step + k * x->ld;
                for (index_t i = 0, r = first, next; i < tiles; i++, r = next) {
                    next = r + each + (i < larger);
                    T *yy = y + r * ldy + at;
                    if (far) {
                        const T *after = next < last ? yy + (next - r) * ldy : y + first * ldy + at + x->width;
                        for (index_t q = 8 * i; q < 8 * i + 8; q++) PREFETCH((const char *)(panel + x->step) + 64 * q);
                        for (index_t q = 0; q < most; q++) PREFETCH(after + q * ldy);
                    }
                    const Product<T> one = {yy, ldy, d ? yy : start ? start + r * lds + at : NULL, d ? ldy : lds,
                                            a + r * a_row + k * a_depth, a_row, a_depth, panel, x->ld};
                    TILES<T>.of[next - r][N](one, deep, Store<T>{yy});
                }
            }
        }
    }
}

/* Y (+)= A^T X: the gradient of weights, a sum of outer products over `depth` rows of a window, DEEPEST at most. Few are taken from A and X
 * as they lie; of more, X is packed and A transposed in `room`, so that tiles read both from end to end. room: ROOM elements and DEEPEST
 * rows of X. `again`: X is the one that was packed there last. */
constexpr index_t SHORT = 128;
constexpr index_t UNITS_AT_ONCE = 192;
constexpr index_t ROOM = DEEPEST * UNITS_AT_ONCE;
template <class T>
void outer_product(T *y, index_t ldy, bool onto, const T *a, index_t lda, const T *x, index_t ldx, index_t rows, index_t depth,
                   index_t columns, T *room, bool again) {
    constexpr index_t width = USUAL * VLEN<T>;
    if (depth <= SHORT) {
        const Panels<T> panels = {(T *)x, width, ldx, width};
        product(y, ldy, onto ? y : (T *)NULL, ldy, a, (index_t)1, lda, &panels, rows, depth, columns, UP);
        return;
    }
    const index_t chunks = (rows + UNITS_AT_ONCE - 1) / UNITS_AT_ONCE;
    const Panels<T> packed = {room + ROOM, width, width, depth * width};
    if (!again) pack_rows(&packed, x, ldx, columns, 0, depth);
    for (index_t c = 0; c < chunks; c++) {
        const index_t u = part(rows, chunks, c), some = part(rows, chunks, c + 1) - u;
        T *yy = y + u * ldy;
        transpose(room, DEEPEST, a + u, lda, depth, some);
        product(yy, ldy, onto ? yy : (T *)NULL, ldy, room, DEEPEST, (index_t)1, &packed, some, depth, columns, UP);
    }
}

/* `rows` rows of p and of s, AdaGrad's state, ld apart, change by the gradient A^T X of a short window. X stays in the first-level cache,
 * and rows are gone through once. */
template <class T>
void adagrad_product(T *p, T *s, index_t ld, const T *a, index_t lda, const T *x, index_t ldx, index_t rows, index_t depth, index_t columns,
                     const Rule *rule) {
    const Constants<T> constants(*rule);
    constexpr index_t most = MOST_SUMS / USUAL < MOST_ROWS ? MOST_SUMS / USUAL : MOST_ROWS;
    const index_t vectors = (columns + VLEN<T> - 1) / VLEN<T>, tiles = (rows + most - 1) / most;
    for (index_t i = 0; i < tiles; i++) {
        const index_t r = part(rows, tiles, i), some = part(rows, tiles, i + 1) - r;
        for (index_t v = 0; v < vectors; v += USUAL) {
            const index_t at = r * ld + v * VLEN<T>;
            const Product<T> one = {p + at, ld, NULL, 0, a + r, 1, lda, x + v * VLEN<T>, ldx};
            TILES<T, AdaGrad<T>>.of[some][vectors - v < USUAL ? vectors - v : USUAL](one, depth, AdaGrad<T>{p + at, s + at, constants});
        }
    }
}

/* Multiply-adds on registers alone, enough chains to fill the pipes: what the processor could do if nothing else cost
 * time. Returns the number of floating-point operations; the sum goes to `sink` so that the work cannot be left out. */
template <class T> double peak(T *sink, index_t rounds) {
    Vec<T> sum[12];
    T lanes[VLEN<T>];
    const Vec<T> a = Vec<T>::set((T)0.999), b = Vec<T>::set((T)0.001);
    UNROLL for (int i = 0; i < 12; i++) sum[i] = Vec<T>::set((T)i);
    for (index_t k = 0; k < rounds; k++) { UNROLL for (int i = 0; i < 12; i++) sum[i] = mul_add(sum[i], a, b); }
    UNROLL for (int i = 1; i < 12; i++) sum[0] = sum[0] + sum[i];
    sum[0].store(lanes);
    *sink = lanes[0];
    return 2.0 * 12 * VLEN<T> * (double)rounds;
}
} // namespace
