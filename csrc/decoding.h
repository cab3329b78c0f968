/* decoding.h: which symbols decoding rules leave, and what they take from logits; formulas and sources: charrnn/network/decoding.py.
 * All in scalar code in one order, so the same bits at every width. */
#pragma once
#include "elementary.h"
#include <algorithm>
#include <float.h>

namespace {
struct Decoding { /* as charrnn.network.decoding.Rules; sharpness: 1 / temperature, infinite for temperature 0; top_k 1 .. K */
    double sharpness, top_p, min_p, typical_p, dry_multiplier, dry_base;
    index_t top_k, ngram, dry_allowed_length, dry_range;
};

struct Candidate {
    double key, p; /* the largest key comes first, of equal ones the lowest symbol */
    int symbol;
};

INLINE bool comes_later(const Candidate &a, const Candidate &b) { return a.key < b.key || (a.key == b.key && a.symbol > b.symbol); }

/* Puts the best candidates, of n in a heap, at the end of the array, until there are `most` or their p add up to `goal`. Returns how many. */
inline index_t take_best(Candidate *c, index_t n, index_t most, double goal) {
    index_t taken = 0;
    double have = 0;
    for (; taken < most && taken < n && have < goal; have += c[n - taken].p) std::pop_heap(c, c + n - taken++, comes_later);
    return taken;
}

/* A number in [0, 1] by size: bin 0 holds 1, two bins halve it, the last holds all that is small. */
constexpr int BINS = 64;
template <class T> INLINE int bin_of(T p) {
    const uint32_t b = (0x3f800000u - bits((float)p)) >> 22; /* 0x3f800000: the bits of 1 */
    return b < BINS ? (int)b : BINS - 1;
}

/* p, K numbers in [0, 1], the largest of them 1: the largest stay, until they have `share` of the sum, if they are `least` or more. Returns
 * whether it was done: only where few are that large. */
template <class T> bool keep_few(T *p, index_t K, double share, T least, Candidate *c) {
    constexpr index_t FEW = 16;
    double sum[4] = {0}; /* four, for one addition waits for another */
    index_t n = 0, k = 0;
    for (; k + 4 <= K; k += 4)
        for (index_t i = 0; i < 4; i++) sum[i] += p[k + i];
    for (; k < K; k++) sum[0] += p[k];
    for (k = 0; k < K; k++) {
        c[n] = {(double)p[k], (double)p[k], (int)k};
        n += p[k] >= least;
    }
    if (n > FEW) return false;
    const double goal = std::max(share * ((sum[0] + sum[1]) + (sum[2] + sum[3])), DBL_MIN);
    for (k = 0; k < K; k++) p[k] = 0;
    double have = 0;
    for (index_t taken = 0; taken < n && have < goal; taken++) {
        index_t best = 0; /* of equal ones the first */
        for (index_t i = 1; i < n; i++) best = c[i].key > c[best].key ? i : best;
        p[c[best].symbol] = (T)c[best].p;
        have += c[best].p;
        c[best].key = -1;
    }
    return true;
}

/* p, K numbers in [0, 1]: the largest stay, until they are `most` or have `share` of the sum; one at least. The others become 0.
 * Only the bin in which that happens is put in order. */
template <class T> void keep_largest(T *p, index_t K, index_t most, double share, Candidate *c) {
    index_t count[BINS] = {0}, kept = 0, n = 0;
    double mass[BINS] = {0}, total = 0, have = 0;
    int border = 0;
    for (index_t k = 0; k < K; k++) {
        const int b = bin_of(p[k]);
        count[b]++;
        mass[b] += p[k];
    }
    for (int b = 0; b < BINS; b++) total += mass[b];
    const double goal = share < 1 ? share * total : INFINITY;
    while (border < BINS - 1 && (count[border] == 0 || (kept + count[border] < most && have + mass[border] < goal))) {
        kept += count[border];
        have += mass[border++];
    }
    for (index_t k = 0; k < K; k++) {
        const int b = bin_of(p[k]);
        c[n] = {(double)p[k], (double)p[k], (int)k};
        n += b == border;
        p[k] = b <= border ? p[k] : 0;
    }
    std::make_heap(c, c + n, comes_later);
    n -= take_best(c, n, kept ? most - kept : std::max(most, (index_t)1), kept ? goal - have : std::max(goal, DBL_MIN));
    for (index_t i = 0; i < n; i++) p[c[i].symbol] = 0;
}

/* p, K numbers: those stay whose surprise is nearest to its mean and which have `share` of the sum, and those as near as the last. */
template <class T> void keep_typical(T *p, index_t K, double share, Candidate *c) {
    index_t n = 0;
    double sum = 0, entropy = 0;
    for (index_t k = 0; k < K; k++) {
        c[n] = {0, (double)p[k], (int)k};
        n += p[k] > 0;
        sum += p[k];
    }
    for (index_t i = 0; i < n; i++) {
        c[i].key = log1(sum) - log1(c[i].p);
        entropy += c[i].p * c[i].key / sum;
    }
    for (index_t i = 0; i < n; i++) c[i].key = -fabs(c[i].key - entropy);
    std::make_heap(c, c + n, comes_later);
    const index_t taken = take_best(c, n, n, std::max(share * sum, DBL_MIN));
    const double last = c[n - taken].key;
    for (index_t i = 0; i < n - taken; i++)
        if (c[i].key < last) p[c[i].symbol] = 0;
}

/* Of p = exp((o - max o) / temperature), K numbers of which the largest is 1, what the rules leave, 0 in place of the others. c: room
 * for K + 1. */
template <class T> void truncate(T *p, index_t K, const Decoding *d, Candidate *c) {
    if (d->top_k < K) keep_largest(p, K, d->top_k, 1.0, c);
    const T least = (T)d->min_p;
    if (d->top_p < 1 && !(least > 0 && keep_few(p, K, d->top_p, least, c))) keep_largest(p, K, K, d->top_p, c);
    for (index_t k = 0; k < K; k++) p[k] = p[k] >= least ? p[k] : 0;
    if (d->typical_p < 1) keep_typical(p, K, d->typical_p, c);
}

/* found[k]: how many symbols before an earlier occurrence of symbol k are the last of `ids` too, the most over its occurrences, at most
 * `most`; -1 where that is less than `least`. Negative ids are padding. Stretches that the last four symbols do not come before are
 * passed over as vectors. */
inline void repeated(int *found, index_t K, const int *ids, index_t count, index_t least, index_t most) {
    constexpr index_t STRIDE = 32;
    const int *end = ids + count - 1;
    for (index_t k = 0; k < K; k++) found[k] = -1;
    for (index_t first = least; first < count; first += STRIDE) {
        const index_t last = std::min(first + STRIDE, count);
        int any = least < 4 || last - first < STRIDE;
        if (!any)
            for (index_t i = first; i < first + STRIDE; i++)
                any |= (ids[i - 1] == end[0]) & (ids[i - 2] == end[-1]) & (ids[i - 3] == end[-2]) & (ids[i - 4] == end[-3]);
        for (index_t i = first; any && i < last; i++) {
            index_t length = 0;
            while (length < most && length < i && ids[i - 1 - length] == end[-length]) length++;
            if (length >= least && ids[i] >= 0 && ids[i] < K && length > found[ids[i]]) found[ids[i]] = (int)length;
        }
    }
}

/* The logits o (K): -inf for what would repeat d->ngram of the symbols `ids`, unless nothing were left; less DRY's penalty.
 * breakers: K marks, or none. found: room for K. */
template <class T>
void penalise(T *o, index_t K, const Decoding *d, const int *ids, index_t count, const unsigned char *breakers, int *found) {
    if (d->ngram) {
        bool left = false;
        repeated(found, K, ids, count, d->ngram - 1, d->ngram - 1);
        for (index_t k = 0; k < K; k++) left = left || (found[k] < 0 && o[k] > -INFINITY);
        for (index_t k = 0; left && k < K; k++)
            if (found[k] >= 0) o[k] = -INFINITY;
    }
    if (d->dry_multiplier > 0) {
        const index_t size = std::min(count, d->dry_range), longest = 255;
        index_t most = 0; /* symbols since the last breaker */
        while (most < longest && most < size - 1) {
            const int id = ids[count - 1 - most];
            if (breakers && id >= 0 && id < K && breakers[id]) break;
            most++;
        }
        if (most < d->dry_allowed_length) return;
        repeated(found, K, ids + count - size, size, d->dry_allowed_length, most);
        for (index_t k = 0; k < K; k++) {
            if (found[k] < 0) continue;
            double penalty = d->dry_multiplier;
            for (index_t i = d->dry_allowed_length; i < found[k] && penalty < 1e9; i++) penalty *= d->dry_base;
            o[k] -= (T)std::min(penalty, 1e9);
        }
    }
}
} // namespace
