/* The sparse fast weights, pair by pair: sparse.py has the equations, sparse_reference.py the plain form. */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define NOISE_R 0.2f
#define GAIN_FLOOR 0.35f
#define DRIFT_Q 1e-6f
#define VARIANCE_MIN 1e-4f
#define VARIANCE_MAX 1.0f
#define ACTIVATION_MIN 1e-6f
#define AHEAD 2
#define CACHE_LINE 64

INLINE void prefetch_row(const float *row_V, size_t dim) {
    for (size_t byte = 0; byte < dim * sizeof(float); byte += CACHE_LINE)
        __builtin_prefetch((const char *)row_V + byte, 1, 2);
}

/* target += amount * row */
INLINE void add_scaled(float *target_V, float amount, const float *row_V, size_t dim) {
    size_t place = 0;
    for (; place + LANES <= dim; place += LANES)
        *(floats_t *)(target_V + place) += amount * *(const floats_t *)(row_V + place);
    for (; place < dim; place++) target_V[place] += amount * row_V[place];
}

INLINE float squares_of(const float *value_V, size_t dim) {
    floats_t sums = {0};
    size_t place = 0;
    for (; place + LANES <= dim; place += LANES) {
        floats_t part = *(const floats_t *)(value_V + place);
        sums += part * part;
    }
    float total = sum_of(sums);
    for (; place < dim; place++) total += value_V[place] * value_V[place];
    return total;
}

INLINE void read_pair(const float *table_RV, const int64_t *rows_K, const float *activations_K, float *answer_V,
                      size_t active, size_t dim) {
    memset(answer_V, 0, dim * sizeof(float));
    for (size_t place = 0; place < active; place++) {
        if (place + AHEAD < active) prefetch_row(table_RV + (size_t)rows_K[place + AHEAD] * dim, dim);
        add_scaled(answer_V, activations_K[place], table_RV + (size_t)rows_K[place] * dim, dim);
    }
}

FOR_EACH_PROCESSOR
void read_pairs(const float *table_RV, const int64_t *rows_NK, const float *activations_NK, float *answers_NV,
                const size_t shape_NKV[3]) {
    for (size_t pair = 0; pair < shape_NKV[0]; pair++)
        read_pair(table_RV, rows_NK + pair * shape_NKV[1], activations_NK + pair * shape_NKV[1],
                  answers_NV + pair * shape_NKV[2], shape_NKV[1], shape_NKV[2]);
}

FOR_EACH_PROCESSOR
size_t step_pairs(float *table_RV, float *variance_R, const int64_t *rows_NK, const float *activations_NK,
                  const float *values_NV, float *losses_N, float *norms_N, const size_t shape_NKV[3], float step_size,
                  float *scratch_2V) {
    size_t active = shape_NKV[1], dim = shape_NKV[2];
    float *answer_V = scratch_2V, *error_V = scratch_2V + dim;
    for (size_t pair = 0; pair < shape_NKV[0]; pair++) {
        const int64_t *rows_K = rows_NK + pair * active;
        const float *activations_K = activations_NK + pair * active, *value_V = values_NV + pair * dim;
        read_pair(table_RV, rows_K, activations_K, answer_V, active, dim);
        for (size_t place = 0; place < dim; place++) error_V[place] = value_V[place] - answer_V[place];
        float total = 0.0f, gains = 0.0f;
        for (size_t place = 0; place < active; place++)
            total += variance_R[rows_K[place]] * activations_K[place] * activations_K[place];
        float share = total / (NOISE_R + total);
        float scale = step_size * (share > GAIN_FLOOR ? share : GAIN_FLOOR) / total;
        for (size_t place = 0; place < active; place++) {
            float gain = variance_R[rows_K[place]] * activations_K[place] * scale;
            gains += gain * gain;
        }
        losses_N[pair] = squares_of(error_V, dim);
        norms_N[pair] = sqrtf(gains) * sqrtf(losses_N[pair]);
        if (!isfinite(losses_N[pair] + norms_N[pair])) return pair;
        for (size_t place = 0; place < active; place++) {
            float *variance = variance_R + rows_K[place];
            float gain = *variance * activations_K[place] * scale;
            float next = *variance - *variance * gain * activations_K[place] + DRIFT_Q;
            next = next > VARIANCE_MIN ? next : VARIANCE_MIN;
            *variance = next < VARIANCE_MAX ? next : VARIANCE_MAX;
            add_scaled(table_RV + (size_t)rows_K[place] * dim, gain, error_V, dim);
        }
    }
    return shape_NKV[0];
}

/* The best of some scores with their places, best first; of equal ones those that come first. */
INLINE size_t keep_best(const float *scores, size_t width, size_t count, float *best, int32_t *places) {
    size_t kept = 0;
    for (size_t from = 0; from < width; from++) {
        float score = scores[from];
        if (kept == count && !(score > best[count - 1])) continue;
        size_t place = kept < count ? kept++ : count - 1;
        for (; place > 0 && best[place - 1] < score; place--)
            best[place] = best[place - 1], places[place] = places[place - 1];
        best[place] = score, places[place] = (int32_t)from;
    }
    return kept;
}

/* Of one head: the best pairs of a sum lie among the best of each half, at ranks with (i + 1)(j + 1) <= count. */
static void choose_in_head(const float *scores_2S, int64_t first_row, int64_t *rows_P, float *activations_P,
                           size_t side, size_t count) {
    float best[2][count], chosen[count];
    int32_t codes[2][count], places[count];
    size_t kept = keep_best(scores_2S, side, count < side ? count : side, best[0], codes[0]);
    keep_best(scores_2S + side, side, kept, best[1], codes[1]);
    size_t candidates = 0;
    for (size_t rank = 0; rank < kept; rank++) candidates += count / (rank + 1) < kept ? count / (rank + 1) : kept;
    float sums[candidates];
    int32_t pairs[candidates][2];
    size_t filled = 0;
    for (size_t rank = 0; rank < kept; rank++)
        for (size_t other = 0; other < kept && (rank + 1) * (other + 1) <= count; other++, filled++) {
            sums[filled] = best[0][rank] + best[1][other];
            pairs[filled][0] = codes[0][rank], pairs[filled][1] = codes[1][other];
        }
    keep_best(sums, filled, count, chosen, places);
    for (size_t place = 0; place < count; place++) {
        rows_P[place] = first_row + pairs[places[place]][0] * (int64_t)side + pairs[places[place]][1];
        /* What is no number stays so, and is noticed. */
        activations_P[place] = chosen[place] < ACTIVATION_MIN ? ACTIVATION_MIN : chosen[place];
    }
}

void choose_rows(const float *scores_NH2S, int64_t *rows_NHP, float *activations_NHP, size_t keys, size_t heads,
                 size_t side, size_t count) {
    for (size_t key = 0; key < keys; key++) {
        float *activations_HP = activations_NHP + key * heads * count, squares = 0.0f;
        for (size_t head = 0; head < heads; head++)
            choose_in_head(scores_NH2S + (key * heads + head) * 2 * side, (int64_t)(head * side * side),
                           rows_NHP + (key * heads + head) * count, activations_HP + head * count, side, count);
        for (size_t place = 0; place < heads * count; place++) squares += activations_HP[place] * activations_HP[place];
        float norm = sqrtf(squares);
        for (size_t place = 0; place < heads * count; place++) activations_HP[place] /= norm;
    }
}
