/* What a layered network does number by number. See layers.py for the plain form. */
#include <string.h>

#include "kernels.h"

#define LOG2_E 1.44269504f
/* ln 2 in two parts, so that x - n ln 2 keeps its last bits. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW (-2.12194440e-4f)
/* Added and taken away again it leaves a whole number, which stands in the lowest bits meanwhile. */
#define ROUNDER 12582912.0f
#define EXPONENT_MAX 87.0f
#define EXPONENT_PLACE 23

/* e^x = 2^n e^r with |r| <= ln 2 / 2; the Taylor series up to r^7 is exact to the last bits. */
INLINE float exponential(float x) {
    x = x < -EXPONENT_MAX ? -EXPONENT_MAX : x > EXPONENT_MAX ? EXPONENT_MAX : x;
    float shifted = x * LOG2_E + ROUNDER, whole = shifted - ROUNDER;
    float rest = x - whole * LN2_HIGH - whole * LN2_LOW;
    float series = 1.0f / 5040;
    series = series * rest + 1.0f / 720;
    series = series * rest + 1.0f / 120;
    series = series * rest + 1.0f / 24;
    series = series * rest + 1.0f / 6;
    series = series * rest + 0.5f;
    series = series * rest + 1.0f;
    series = series * rest + 1.0f;
    int32_t bits, steps;
    memcpy(&steps, &shifted, sizeof(steps));
    memcpy(&bits, &series, sizeof(bits));
    bits = (int32_t)((uint32_t)bits + ((uint32_t)steps << EXPONENT_PLACE));
    memcpy(&series, &bits, sizeof(series));
    return series;
}

FOR_EACH_PROCESSOR
void silu_and_slope(const float *restrict z_N, float offset, float *restrict active_N, float *restrict slope_N,
                    size_t count) {
    for (size_t place = 0; place < count; place++) {
        float sigmoid = 1.0f / (1.0f + exponential(-z_N[place]));
        sigmoid = z_N[place] < -EXPONENT_MAX ? 0.0f : sigmoid;
        float active = z_N[place] * sigmoid;
        active_N[place] = active - offset;
        slope_N[place] = sigmoid + active * (1.0f - sigmoid);
    }
}

FOR_EACH_PROCESSOR
void squared_lengths(const float *rows_NI, float *squares_N, size_t count, size_t dim) {
    for (size_t row = 0; row < count; row++) squares_N[row] = product(rows_NI + row * dim, rows_NI + row * dim, dim);
}
