/* panels.h: how a matrix lies that products multiply by, and transposition.
 *
 * A matrix of some depth is cut into panels of `width` columns, whole vectors. Packed, panels lie one after another, and in each the
 * rows lie side by side. From 256 units on that is what counts most: rows a page apart cost a tile a miss of the TLB each, and the
 * processor does not foresee the next. Weights change once in an update and are used T times in it, so that packing is free. A matrix
 * with short rows is cut as it lies. */
#pragma once
#include "vectors.h"

namespace {
constexpr int WIDEST = REGISTERS == 32 ? 14 : 13; /* vectors of a panel for one row of A, */
constexpr int WIDE = 4;                           /* ... for two or three, */
constexpr int USUAL = REGISTERS == 32 ? 4 : 2;    /* ... and for more: so many that the sums fill the registers */

template <class T> struct Panels { /* the first element, columns of a panel, from row to row, from panel to panel */
    T *data;
    index_t width, ld, step;
};

/* How many columns a panel has for products of so many rows. Three vectors are as good as two, and better than a last panel of one, which
 * keeps too few sums. With fewer rows than threads there are panels for all of these. */
template <class T> index_t panel_width(const T *, index_t columns, index_t rows, index_t threads) {
    const index_t vectors = (columns + VLEN<T> - 1) / VLEN<T>, usual = vectors % USUAL && vectors % 3 == 0 ? 3 : USUAL;
    const index_t most = rows == 1 ? WIDEST : rows <= 3 ? WIDE : usual;
    index_t panels = (vectors + most - 1) / most;
    if (rows < threads) panels = (panels + threads - 1) / threads * threads;
    return (vectors + panels - 1) / panels * VLEN<T>;
}

/* Y = X transposed: Y[j, i] = X[i, j] for i < rows, j < columns, in square blocks; the last of a row or column reaches back. */
template <class T> void transpose(T *y, index_t ldy, const T *x, index_t ldx, index_t rows, index_t columns) {
    constexpr index_t S = BLOCK<T>;
    if (rows < S || columns < S) {
        for (index_t i = 0; i < rows; i++)
            for (index_t j = 0; j < columns; j++) y[j * ldy + i] = x[i * ldx + j];
        return;
    }
    const bool far = ldx * (index_t)sizeof(T) >= 1024; /* the processor does not foresee the next rows */
    for (index_t i = 0; i < rows; i += S) {
        const index_t ii = i + S > rows ? rows - S : i;
        for (index_t j = 0; j < columns; j += S) {
            const index_t jj = j + S > columns ? columns - S : j;
            for (index_t q = 0; far && q < S; q++) PREFETCH(x + (ii + S + q) * ldx + jj);
            transpose_block(y + jj * ldy + ii, ldy, x + ii * ldx + jj, ldx);
        }
    }
}

/* Rows first .. last-1 of X, which are ldx apart, to their places. */
template <class T> void pack_rows(const Panels<T> *to, const T *x, index_t ldx, index_t columns, index_t first, index_t last) {
    for (index_t p = 0; p * to->width < columns; p++) {
        const index_t some = columns - p * to->width < to->width ? columns - p * to->width : to->width;
        for (index_t k = first; k < last; k++)
            for (index_t j = 0; j < some; j += VLEN<T>)
                Vec<T>::load(x + k * ldx + p * to->width + j).store(to->data + p * to->step + k * to->ld + j);
    }
}

/* The same for X = W transposed: rows first .. last-1 of W, each of `depth` elements, become columns. */
template <class T> void pack_transposed(const Panels<T> *to, const T *w, index_t ldw, index_t depth, index_t first, index_t last) {
    for (index_t u = first, next; u < last; u = next) {
        next = (u / to->width + 1) * to->width;
        if (next > last) next = last;
        transpose(to->data + u / to->width * to->step + u % to->width, to->ld, w + u * ldw, ldw, next - u, depth);
    }
}
} // namespace
