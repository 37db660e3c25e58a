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
static inline int bit_of(uint64_t word, size_t place) { return (int)(word >> ((place & ~(size_t)7) + 7 - (place & 7))) & 1; }

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

void code_matches(const int64_t *ids_N, uint64_t seed, const float *value_V, float *matches_N, size_t count, size_t dim) {
    size_t words = (dim + WORD - 1) / WORD;
    float entry = (float)(1.0 / sqrt((double)dim));
    for (size_t row = 0; row < count; row++) {
        float total = 0.0f;
        for (size_t first = 0; first < dim; first += WORD) {
            uint64_t word = scrambled((uint64_t)ids_N[row] * words + first / WORD + (seed << 40));
            size_t last = dim - first < WORD ? dim - first : WORD;
            for (size_t place = 0; place < last; place++)
                total += bit_of(word, place) ? value_V[first + place] : -value_V[first + place];
        }
        matches_N[row] = total * entry;
    }
}
