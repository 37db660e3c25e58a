/* Value codes of patterns: bits of SplitMix64 as signs. See codes.py. */
#include <math.h>

#include "kernels.h"

#define WORD 64

static inline uint64_t scrambled(uint64_t counter) {
    uint64_t state = (counter + 1) * 0x9E3779B97F4A7C15ull;
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9ull;
    state = (state ^ (state >> 27)) * 0x94D049BB133111EBull;
    return state ^ (state >> 31);
}

/* Bit ``place`` of a code lies in byte place / 8 of the little-endian words, its highest bit first. */
static inline int bit_of(uint64_t word, size_t place) {
    return (int)(word >> ((place & ~(size_t)7) + 7 - (place & 7))) & 1;
}

void value_codes(const int64_t *ids_N, uint64_t seed, float *codes_NV, size_t count, size_t dim) {
    size_t words = (dim + WORD - 1) / WORD;
    float entry = (float)(1.0 / sqrt((double)dim));
    for (size_t row = 0; row < count; row++)
        for (size_t first = 0; first < dim; first += WORD) {
            uint64_t word = scrambled((uint64_t)ids_N[row] * words + first / WORD + (seed << 40));
            size_t last = dim - first < WORD ? dim - first : WORD;
            for (size_t place = 0; place < last; place++)
                codes_NV[row * dim + first + place] = bit_of(word, place) ? entry : -entry;
        }
}

/* Of sixteen bits those that stand for the lanes. */
typedef int32_t ints_t __attribute__((vector_size(4 * LANES)));
static const ints_t bit_of_lane = {1 << 7,  1 << 6,  1 << 5,  1 << 4,  1 << 3,  1 << 2,  1 << 1, 1 << 0,
                                   1 << 15, 1 << 14, 1 << 13, 1 << 12, 1 << 11, 1 << 10, 1 << 9, 1 << 8};

/* The entries whose bit is set count twice, and from that all are taken away. */
FOR_EACH_PROCESSOR
void code_matches(const int64_t *ids_N, uint64_t seed, const float *value_V, float *matches_N, size_t count,
                  size_t dim) {
    size_t words = (dim + WORD - 1) / WORD, whole = dim - dim % LANES;
    float entry = (float)(1.0 / sqrt((double)dim)), all = 0.0f;
    for (size_t place = 0; place < dim; place++) all += value_V[place];
    for (size_t row = 0; row < count; row++) {
        uint64_t word = 0;
        floats_t sums = {0};
        float rest = 0.0f;
        for (size_t place = 0; place < dim; place += place < whole ? LANES : 1) {
            if (place % WORD == 0) word = scrambled((uint64_t)ids_N[row] * words + place / WORD + (seed << 40));
            if (place >= whole) {
                rest += bit_of(word, place % WORD) ? value_V[place] : 0.0f;
                continue;
            }
            ints_t is_set = ((int32_t)(word >> place % WORD & 0xFFFF) & bit_of_lane) != 0;
            sums += (floats_t)(is_set & (ints_t) * (const floats_t *)(value_V + place));
        }
        matches_N[row] = (2.0f * (sum_of(sums) + rest) - all) * entry;
    }
}
