/* dropout.h: which units are dropped; the same hash, with its reasons, stands in charrnn/network/dropout.py. */
#pragma once
#include "vectors.h"

namespace {
struct Dropout { /* nothing else decides what is dropped */
    double rate;
    uint64_t seed, update;
};

/* One step of SplitMix64 (Steele, Lea & Flood 2014) */
INLINE uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* y[i] = x[i] / (1 - rate), or 0 with probability `rate`, for the n units from `first` on */
template <class T>
void drop_row(T *y, const T *x, const Dropout *drop, int layer, index_t t, index_t lane, index_t first, index_t n) {
    uint64_t key = mixed(mixed(drop->seed) ^ drop->update);
    key = mixed(mixed(mixed(key ^ (uint64_t)layer) ^ (uint64_t)t) ^ (uint64_t)lane);
    const uint32_t low = (uint32_t)key + (uint32_t)first * 0x9e3779b9u, high = (uint32_t)(key >> 32);
    const uint32_t least = (uint32_t)(drop->rate * (1 << 24));
    const T scale = (T)(1 / (1 - drop->rate));
    for (index_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)i * 0x9e3779b9u + low; /* the finaliser "lowbias32" by C. Wellons, keyed in between */
        h = (h ^ (h >> 16)) * 0x7feb352du;
        h = ((h ^ (h >> 15)) + high) * 0x846ca68bu;
        h ^= h >> 16;
        y[i] = x[i] * ((h >> 8) < least ? 0 : scale);
    }
}
} // namespace
