/* cells.h: the cells that are compiled, a line each. What a cell is: charrnn/network/cells/cell.py.
 *
 * A cell computes one step of one lane, for n units: its rows of pre-activations a, `ld` elements from each other, become gates, and
 * going back, the derivatives by the pre-activations. before and after: the states; the next of them `stride` elements on.
 * d_after: dL/dh. d_before: what goes back to h' not through W is added to it. d_cell: dL/d(the second state), before and after.
 * Padding stays 0 in states and derivatives. */
#pragma once
#include "gru.h"
#include "lstm.h"
#include "rnn.h"

namespace {
template <class T> struct Cell {
    const char *name;
    int gates, states;
    bool apart;
    void (*forward)(T *a, index_t ld, const T *before, T *after, index_t stride, index_t n);
    void (*backward)(T *a, index_t ld, const T *before, const T *after, index_t stride, const T *d_after, T *d_before, T *d_cell, index_t n);
};

template <class T, class C> constexpr Cell<T> cell_of() {
    return {C::name, C::gates, C::states, C::apart, C::template forward<T>, C::template backward<T>};
}

template <class T>
constexpr Cell<T> CELL_TABLE[] = {
    cell_of<T, RNN>(),
    cell_of<T, GRU>(),
    cell_of<T, LSTM>(),
};
constexpr int CELL_COUNT = sizeof CELL_TABLE<float> / sizeof CELL_TABLE<float>[0];

/* These facts are the same for both types. */
inline const Cell<float> *cell_facts(int cell) { return &CELL_TABLE<float>[cell]; }

template <class T> void cell_forward(int cell, T *a, index_t ld, const T *before, T *after, index_t stride, index_t n) {
    CELL_TABLE<T>[cell].forward(a, ld, before, after, stride, n);
}

template <class T>
void cell_backward(int cell, T *a, index_t ld, const T *before, const T *after, index_t stride, const T *d_after, T *d_before, T *d_cell,
                   index_t n) {
    CELL_TABLE<T>[cell].backward(a, ld, before, after, stride, d_after, d_before, d_cell, n);
}
} // namespace
