/* Products with very many keys, and the highest of what they give. See key_screen.py, unit_table.py, highest.py. */
#include <float.h>
#include <math.h>

#include "kernels.h"

#define CODE_MAX 127.0f
/* Bytes of codes that are fetched before they are needed. */
#define FETCHED_AHEAD 2048
/* Keys that share what is loaded of a query. */
#define TOGETHER 4

/* The same loop for each kind of processor: the compiler does not find these conversions by itself. */
#define SCAN scan_codes_plain
static inline floats_t widened(const int8_t *codes) {
    floats_t numbers;
    for (int lane = 0; lane < LANES; lane++) numbers[lane] = (float)codes[lane];
    return numbers;
}
#define WIDENED widened
#include "scan_loop.h"

#ifdef FOR_X86
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define SCAN scan_codes_v3
static inline floats_t widened_v3(const int8_t *codes) {
    __m128i raw = _mm_loadu_si128((const __m128i *)codes);
    union {
        __m256 halves[2];
        floats_t whole;
    } numbers = {{_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(raw)),
                  _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(raw, LANES / 2)))}};
    return numbers.whole;
}
#define WIDENED widened_v3
#include "scan_loop.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
#define SCAN scan_codes_v4
static inline floats_t widened_v4(const int8_t *codes) {
    return (floats_t)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)codes)));
}
#define WIDENED widened_v4
#include "scan_loop.h"
#pragma GCC pop_options
#endif

void scan_codes(const float *queries_QD, const int8_t *codes_UD, const float *scale_U, float *scores_QU, size_t queries,
                size_t units, size_t dim) {
    void (*scan)(const float *, const int8_t *, const float *, float *, size_t, size_t, size_t) = scan_codes_plain;
#ifdef FOR_X86
    if (__builtin_cpu_supports("x86-64-v4"))
        scan = scan_codes_v4;
    else if (__builtin_cpu_supports("x86-64-v3"))
        scan = scan_codes_v3;
#endif
    scan(queries_QD, codes_UD, scale_U, scores_QU, queries, units, dim);
}

FOR_EACH_PROCESSOR
void code_keys(const float *keys_ND, int8_t *codes_ND, float *scale_N, size_t count, size_t dim) {
    for (size_t row = 0; row < count; row++) {
        const float *key_D = keys_ND + row * dim;
        float largest = 0.0f;
        for (size_t place = 0; place < dim; place++) {
            float size = fabsf(key_D[place]);
            largest = size > largest ? size : largest;
        }
        float scale = largest / CODE_MAX > FLT_MIN ? largest / CODE_MAX : FLT_MIN;
        for (size_t place = 0; place < dim; place++) codes_ND[row * dim + place] = (int8_t)rintf(key_D[place] / scale);
        scale_N[row] = scale;
    }
}

/* Highest score among the units of a pattern. */
INLINE float best_of(const float *scores_u, const int64_t *order_w, int64_t start, int64_t end) {
    float best = -INFINITY;
    for (int64_t place = start; place < end; place++) {
        float score = scores_u[order_w ? order_w[place] : place];
        best = score > best ? score : best;
    }
    return best;
}

void best_of_runs(const float *scores_Qu, const int64_t *starts_n1, float *best_Qn, size_t queries, size_t units,
                  size_t patterns) {
    for (size_t query = 0; query < queries; query++) {
        const float *scores_u = scores_Qu + query * units;
        float *best_n = best_Qn + query * patterns;
        for (size_t pattern = 0; pattern < patterns; pattern++)
            best_n[pattern] = best_of(scores_u, NULL, starts_n1[pattern], starts_n1[pattern + 1]);
    }
}

INLINE int any_above(const float *scores, float floor) {
    int found = 0;
    for (int lane = 0; lane < LANES; lane++) found |= scores[lane] > floor;
    return found;
}

/* Keeps the best so far in order of their score; of equal ones those that come first. */
FOR_EACH_PROCESSOR
void highest_of_rows(const float *scores_PX, int64_t *columns_PK, size_t rows, size_t width, size_t count) {
    for (size_t row = 0; row < rows; row++) {
        const float *scores_X = scores_PX + row * width;
        int64_t *columns_K = columns_PK + row * count;
        size_t kept = 0;
        float floor = 0.0f;
        for (size_t column = 0; column < width; column++) {
            if (kept == count) {
                while (column + LANES <= width && !any_above(scores_X + column, floor)) column += LANES;
                if (column >= width) break;
                if (!(scores_X[column] > floor)) continue;
            }
            float score = scores_X[column];
            size_t place = kept < count ? kept++ : count - 1;
            for (; place > 0 && scores_X[columns_K[place - 1]] < score; place--)
                columns_K[place] = columns_K[place - 1];
            columns_K[place] = (int64_t)column;
            floor = scores_X[columns_K[kept - 1]];
        }
        for (size_t place = 1; place < count; place++) { /* ascending by column */
            int64_t column = columns_K[place];
            size_t before = place;
            for (; before > 0 && columns_K[before - 1] > column; before--) columns_K[before] = columns_K[before - 1];
            columns_K[before] = column;
        }
    }
}

/* Mean over the queries of the best cosine with a unit of one pattern. */
INLINE float cosine_with(const runs_t *runs, size_t pattern, const float *queries_QD, size_t queries) {
    float total = 0.0f;
    for (size_t query = 0; query < queries; query++) {
        float best = -INFINITY;
        for (int64_t place = runs->starts_n1[pattern]; place < runs->starts_n1[pattern + 1]; place++) {
            size_t unit = (size_t)(runs->order_w ? runs->order_w[place] : place);
            float score = product(queries_QD + query * runs->dim, runs->keys_UD + unit * runs->dim, runs->dim);
            best = score > best ? score : best;
        }
        total += best;
    }
    return total / (float)queries;
}

INLINE void keep_near(near_t *near, size_t passage, int64_t slot, float cosine) {
    int64_t *slots_C = near->slots_PC + passage * CANDIDATES;
    float *cosine_C = near->cosine_PC + passage * CANDIDATES;
    size_t place = CANDIDATES - 1;
    if (slots_C[place] >= 0 && !(cosine > cosine_C[place])) return;
    for (; place > 0 && (slots_C[place - 1] < 0 || cosine_C[place - 1] < cosine); place--)
        slots_C[place] = slots_C[place - 1], cosine_C[place] = cosine_C[place - 1];
    slots_C[place] = slot, cosine_C[place] = cosine;
}

INLINE size_t keep_exceeding(near_t *near, size_t found, size_t passage, int64_t slot, float cosine) {
    if (found < near->room)
        near->passage_E[found] = (int64_t)passage, near->slot_E[found] = slot, near->cosine_E[found] = cosine;
    return found + 1;
}

/* The patterns that a passage may be near to are found by their codes, and looked at by their keys: a score is off by
 * at most the error, and so is the lowest of the nearest. */
FOR_EACH_PROCESSOR
size_t near_alone(const runs_t *runs, const float *queries_QD, size_t queries, float error, float *scores_Qu,
                  float *nearly_n, near_t *near) {
    scan_codes(queries_QD, runs->codes_UD, runs->scale_U, scores_Qu, queries, runs->units, runs->dim);
    for (size_t pattern = 0; pattern < runs->patterns; pattern++) {
        float total = 0.0f;
        for (size_t query = 0; query < queries; query++)
            total += best_of(scores_Qu + query * runs->units, runs->order_w, runs->starts_n1[pattern],
                             runs->starts_n1[pattern + 1]);
        nearly_n[pattern] = total / (float)queries;
    }
    int64_t nearest[CANDIDATES];
    size_t count = CANDIDATES < runs->patterns ? CANDIDATES : runs->patterns, found = 0;
    highest_of_rows(nearly_n, nearest, 1, runs->patterns, count);
    float lowest = INFINITY;
    for (size_t place = 0; place < count; place++)
        lowest = nearly_n[nearest[place]] < lowest ? nearly_n[nearest[place]] : lowest;
    for (size_t pattern = 0; pattern < runs->patterns; pattern++) {
        float floor = lowest - error < near->crowding_n[pattern] ? lowest - error : near->crowding_n[pattern];
        if (nearly_n[pattern] < floor - error) continue;
        float cosine = cosine_with(runs, pattern, queries_QD, queries);
        keep_near(near, 0, (int64_t)pattern, cosine);
        if (cosine > near->crowding_n[pattern]) found = keep_exceeding(near, found, 0, (int64_t)pattern, cosine);
    }
    return found;
}

/* Units that are looked at together. */
#define BLOCK (4 * LANES)

INLINE int any_over(const float *scores, const float *crowding, float lowest) {
    int found = 0;
    for (int lane = 0; lane < BLOCK; lane++) found |= (scores[lane] > lowest) | (scores[lane] > crowding[lane]);
    return found;
}

/* One passage and some of the patterns: most of them are neither among its nearest nor is it among theirs, which their
 * units show many at a time. ``crowding_t`` and ``pattern_t`` are those of each unit. */
INLINE size_t near_one(const float *scores_Qt, size_t queries, size_t width, const int64_t *starts_p1,
                       const float *crowding_t, const int32_t *pattern_t, size_t passage, int64_t first_slot,
                       size_t found, near_t *near) {
    const float *lowest = near->cosine_PC + passage * CANDIDATES + CANDIDATES - 1;
    const int64_t *last = near->slots_PC + passage * CANDIDATES + CANDIDATES - 1;
    int32_t done = -1;
    for (size_t block = 0; block < width; block += BLOCK) {
        size_t end = width - block < BLOCK ? width : block + BLOCK;
        if (*last >= 0 && end == block + BLOCK) {
            int is_over = 0;
            for (size_t query = 0; query < queries; query++)
                is_over |= any_over(scores_Qt + query * width + block, crowding_t + block, *lowest);
            if (!is_over) continue;
        }
        for (size_t unit = block; unit < end; unit++) {
            int32_t pattern = pattern_t[unit];
            if (pattern == done) continue;
            done = pattern;
            float cosine = 0.0f;
            for (size_t query = 0; query < queries; query++)
                cosine += best_of(scores_Qt + query * width, NULL, starts_p1[pattern] - starts_p1[0],
                                  starts_p1[pattern + 1] - starts_p1[0]);
            cosine /= (float)queries;
            keep_near(near, passage, first_slot + pattern, cosine);
            if (cosine > crowding_t[unit]) found = keep_exceeding(near, found, passage, first_slot + pattern, cosine);
        }
    }
    return found;
}

/* Passages and some of the patterns, whose scores are still in the cache. */
FOR_EACH_PROCESSOR
size_t near_among(const float *scores_Qt, const int64_t *starts_p1, size_t patterns, size_t width,
                  const int64_t *queries_P1, int64_t first_slot, size_t found, float *crowding_t, int32_t *pattern_t,
                  near_t *near) {
    for (size_t pattern = 0; pattern < patterns; pattern++)
        for (int64_t unit = starts_p1[pattern] - starts_p1[0]; unit < starts_p1[pattern + 1] - starts_p1[0]; unit++)
            crowding_t[unit] = near->crowding_n[first_slot + (int64_t)pattern], pattern_t[unit] = (int32_t)pattern;
    for (size_t passage = 0; passage < near->passages; passage++) {
        size_t first = (size_t)queries_P1[passage], queries = (size_t)queries_P1[passage + 1] - first;
        found = near_one(scores_Qt + first * width, queries, width, starts_p1, crowding_t, pattern_t, passage,
                         first_slot, found, near);
    }
    return found;
}
