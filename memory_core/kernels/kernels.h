/* What the compiled loops share: how they are built for several processors at once, and vectors of sixteen numbers. */
#ifndef NEURAL_MEMORY_KERNELS_H
#define NEURAL_MEMORY_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* One copy of a loop for AVX-512, one for AVX2 and one for any processor; the loader chooses (GNU ifunc). */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_X86
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

/* Into each of those copies. */
#define INLINE static inline __attribute__((always_inline))

#define LANES 16
/* More rows a head than this are chosen by the plain form. */
#define CHOSEN_MAX 256

typedef float floats_t __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The sum of sixteen numbers, by halves. */
INLINE float sum_of(floats_t lanes) {
    typedef float eight_t __attribute__((vector_size(32)));
    typedef float four_t __attribute__((vector_size(16)));
    union {
        floats_t all;
        eight_t halves[2];
    } wide = {lanes};
    union {
        eight_t all;
        four_t halves[2];
    } narrow = {wide.halves[0] + wide.halves[1]};
    four_t four = narrow.halves[0] + narrow.halves[1];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

INLINE float product(const float *one_D, const float *other_D, size_t dim) {
    floats_t sums = {0};
    size_t place = 0;
    for (; place + LANES <= dim; place += LANES)
        sums += *(const floats_t *)(one_D + place) * *(const floats_t *)(other_D + place);
    float total = sum_of(sums);
    for (; place < dim; place++) total += one_D[place] * other_D[place];
    return total;
}

/* Shapes as in the Python that calls: Q queries, U units, D key_dim, N pairs, K active rows, V value_dim, H heads. */

void scan_codes(const float *queries_QD, const int8_t *codes_UD, const float *scale_U, float *scores_QU, size_t queries,
                size_t units, size_t dim);

void code_keys(const float *keys_ND, int8_t *codes_ND, float *scale_N, size_t count, size_t dim);

void best_of_runs(const float *scores_Qu, const int64_t *starts_n1, float *best_Qn, size_t queries, size_t units,
                  size_t patterns);

void highest_of_rows(const float *scores_PX, int64_t *columns_PK, size_t rows, size_t width, size_t count);

void choose_rows(const float *scores_NH2S, int64_t *rows_NHP, float *activations_NHP, size_t keys, size_t heads,
                 size_t side, size_t count);

/* The number of pairs that were learned: fewer than all when a step was not finite. */
size_t step_pairs(float *table_RV, float *variance_R, const int64_t *rows_NK, const float *activations_NK,
                  const float *values_NV, float *losses_N, float *norms_N, const size_t shape_NKV[3], float step_size,
                  float *scratch_2V);

void read_pairs(const float *table_RV, const int64_t *rows_NK, const float *activations_NK, float *answers_NV,
                const size_t shape_NKV[3]);

void value_codes(const int64_t *ids_N, uint64_t seed, float *codes_NV, size_t count, size_t dim);

void code_matches(const int64_t *ids_N, uint64_t seed, const float *value_V, float *matches_N, size_t count,
                  size_t dim);

#define CANDIDATES 8

/* Units of n patterns: where the run of each begins, in the order of ``order_w`` (NULL: as they stand). */
typedef struct {
    const float *keys_UD, *scale_U;
    const int8_t *codes_UD;
    const int64_t *starts_n1, *order_w;
    size_t units, patterns, dim;
} runs_t;

/* What passages are near to: of each the most similar patterns, highest first (slot -1: none), and where its cosine
 * exceeds how near that pattern's own nearest neighbour is. */
typedef struct {
    size_t passages, room; /* for E of those */
    int64_t *slots_PC, *passage_E, *slot_E;
    float *cosine_PC, *cosine_E;
    const float *crowding_n;
} near_t;

/* Both go on from what is near so far and return how many of E there are; more than there is room for: once more, with
 * room for them. */
size_t near_alone(const runs_t *runs, const float *queries_QD, size_t queries, float error, float *scores_Qu,
                  float *nearly_n, near_t *near);

size_t near_among(const float *scores_Qt, const int64_t *starts_p1, size_t patterns, size_t width,
                  const int64_t *queries_P1, int64_t first_slot, size_t found, float *crowding_t, int32_t *pattern_t,
                  near_t *near);

/* Passages, what they are near to, and what they and the patterns say; n patterns, P passages, V and L words. */
typedef struct {
    size_t passages, exceeding, vocabulary, distinct, words_per_slot;
    int64_t patterns, slot_count;
    const float *cosine_PC, *cosine_E, *among_PP;
    const int64_t *slots_PC, *passage_E, *slot_E, *said_P1, *said_E, *kept_P1, *kept_E, *index_L;
    const int32_t *segments_P, *segments_U, *index_UW, *frequency_V;
    const uint8_t *is_content_V, *is_content_L, *recruits_P;
    double *score_P, *similarity_P;
    int64_t *nearest_P;
    float *crowding_n, *crowding_P; /* the first holds what was */
} judging_t;

/* Room to work in: of each word learned its number here, how often it became more frequent, whether it is said. */
typedef struct {
    int32_t *number_V, *more_L;
    uint8_t *is_said_L;
} judging_room_t;

void judge_passages(const judging_t *told, const judging_room_t *room);

#define STEPS 2

/* The best score with a unit of each of some slots; the units of a slot stand together in ``order_w`` (NULL: in the
 * table). */
void score_slots(const float *queries_QD, const float *keys_uD, const int64_t *order_w, const int64_t *starts_n1,
                 const int64_t *slots_k, float *best_Qk, const size_t shape_QkD[3]);

/* Mean and deviation are told too; the latter is infinite when every score is the same. */
void standardise(const float *scores_n, float *standard_n, size_t patterns, float moments_2[2]);

void mark_number(const int32_t *numbers_n, int32_t number, float *named_n, size_t patterns);

/* How many were scored: fewer than all when one lies outside the table. */
size_t score_postings(const int64_t *posted_E, const int64_t *lengths_W, const float *rarity_W, size_t words,
                      const int32_t *length_U, int64_t units, float damp, float damp_by_length, int64_t *slot_E,
                      float *score_E);

void add_by_slot(const int64_t *slot_E, const float *score_E, float *total_n, size_t entries, size_t patterns);

/* Links of U units forward, behind them those backward; what fades of words and keys from so many
 * steps back to so many ahead. */
typedef struct {
    const int32_t *links_2UL;
    const float *counts_2UL, *fading_S2;
    size_t units, width, patterns;
} links_t;

/* Scores of slots, word after word. */
typedef struct {
    const int64_t *lengths_W, *slot_E;
    const float *score_E;
    size_t words;
} by_word_t;

/* 0 when a link leads outside the patterns, -1 when there is no memory; ``room`` is 9 bytes a pattern, all zero. */
int lend(const links_t *links, const int64_t *strongest_k, size_t count, const by_word_t *by_word,
         const float *precision_n, float *words_n, float *context_n, char *room);

/* z sigmoid(z) less an offset, and its derivative. */
void silu_and_slope(const float *z_N, float offset, float *active_N, float *slope_N, size_t count);

void squared_lengths(const float *rows_NI, float *squares_N, size_t count, size_t dim);

#endif
