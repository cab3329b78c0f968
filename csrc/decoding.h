/* decoding.h: which symbols decoding rules leave, and what they take from logits; formulas and sources: charrnn/network/decoding.py.
 * All in scalar code in one order, so the same bits at every width. */
#pragma once
#include "elementary.h"
#include <algorithm>

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

/* Orders the n candidates of a heap from the best on, at the end of the array, until `most` are there or their p reach `goal`.
 * Returns how many; `have` becomes their sum. */
inline index_t take_best(Candidate *c, index_t n, index_t most, double goal, double *have) {
    index_t taken = 0;
    *have = 0;
    while (taken < most && taken < n && (*have < goal || taken == 0)) {
        std::pop_heap(c, c + n - taken, comes_later);
        *have += c[n - ++taken].p;
    }
    return taken;
}

/* Of p = exp((o - max o) / temperature), K numbers of which the largest is 1: those that top_k, top_p, min_p and typical_p leave,
 * 0 in place of the others. The first three leave the first few in the order of probability, so the fewest of the three. c: room for K. */
template <class T> void truncate(T *p, index_t K, const Decoding *d, Candidate *c) {
    const bool by_count = d->top_k < K, by_mass = d->top_p < 1;
    double total = 0, least = d->min_p, have;
    index_t n = 0, kept;
    if (by_mass && !by_count) {
        for (index_t k = 0; k < K; k++) total += p[k];
        least = std::max(least, (1 - d->top_p) * total / (double)K / 2); /* all that are smaller do not make up 1 - top_p */
    } else if (by_mass)
        least = 0; /* top_p is a share of what top_k leaves, min_p comes later */
    for (index_t k = 0; k < K; k++) {
        c[n] = {(double)p[k], (double)p[k], (int)k};
        n += p[k] >= least && p[k] > 0;
    }
    kept = n;
    if (by_count || by_mass) {
        std::make_heap(c, c + n, comes_later);
        kept = take_best(c, n, d->top_k, by_mass && !by_count ? d->top_p * total : INFINITY, &have);
        c += n;
        if (by_count && by_mass) { /* the best of those kept are the last */
            const double goal = d->top_p * have;
            index_t enough = 0;
            for (have = 0; enough < kept && (have < goal || enough == 0); enough++) have += c[-1 - enough].p;
            kept = enough;
        }
        c -= kept;
    }
    if (by_mass && by_count) {
        n = kept;
        kept = 0;
        for (index_t i = 0; i < n; i++)
            if (c[i].p >= d->min_p) c[kept++] = c[i];
    }
    if (d->typical_p < 1) {
        double sum = 0, entropy = 0;
        for (index_t i = 0; i < kept; i++) sum += c[i].p;
        for (index_t i = 0; i < kept; i++) c[i].key = log1(sum) - log1(c[i].p), entropy += c[i].p * c[i].key / sum;
        for (index_t i = 0; i < kept; i++) c[i].key = -fabs(c[i].key - entropy);
        std::make_heap(c, c + kept, comes_later);
        n = kept;
        kept = take_best(c, n, n, d->typical_p * sum, &have);
        while (kept < n && c[0].key == c[n - kept].key) { /* as near as the last */
            std::pop_heap(c, c + n - kept, comes_later);
            kept++;
        }
        c += n - kept;
    }
    for (index_t k = 0; k < K; k++) p[k] = 0;
    for (index_t i = 0; i < kept; i++) p[c[i].symbol] = (T)c[i].p;
}

/* found[k]: how many symbols before an earlier occurrence of symbol k are the last of `ids` too, the most over its occurrences, at most
 * `most`; -1 where that is less than `least`. Negative ids are padding. Stretches in which the last two symbols do not occur are passed
 * over as vectors. */
inline void repeated(int *found, index_t K, const int *ids, index_t count, index_t least, index_t most) {
    constexpr index_t STRIDE = 32;
    const int *end = ids + count - 1;
    for (index_t k = 0; k < K; k++) found[k] = -1;
    for (index_t first = least; first < count; first += STRIDE) {
        const index_t last = std::min(first + STRIDE, count);
        int any = least < 2 || last - first < STRIDE;
        if (!any)
            for (index_t i = first; i < first + STRIDE; i++) any |= (ids[i - 1] == end[0]) & (ids[i - 2] == end[-1]);
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
