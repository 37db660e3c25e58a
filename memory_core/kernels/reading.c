/* What a question asks of the patterns: see unit_table.py, word_table.py, speakers.py and channels.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

/* Deviations this small are rounding: all scores are the same. */
#define SAME 1e-6
/* A posting is a slot and how often the word stands in it. */
#define COUNT_BITS 8

FOR_EACH_PROCESSOR
void score_slots(const float *queries_QD, const float *keys_uD, const int64_t *order_w, const int64_t *starts_n1,
                 const int64_t *slots_k, float *best_Qk, const size_t shape_QkD[3]) {
    size_t count = shape_QkD[1], dim = shape_QkD[2];
    for (size_t place = 0; place < count; place++)
        for (int64_t of = starts_n1[slots_k[place]]; of < starts_n1[slots_k[place] + 1]; of++) {
            const float *key_D = keys_uD + (size_t)(order_w ? order_w[of] : of) * dim;
            for (size_t query = 0; query < shape_QkD[0]; query++) {
                float *best = best_Qk + query * count + place, score = product(queries_QD + query * dim, key_D, dim);
                *best = of == starts_n1[slots_k[place]] || score > *best ? score : *best;
            }
        }
}

FOR_EACH_PROCESSOR
void standardise(const float *scores_n, float *standard_n, size_t patterns, float moments_2[2]) {
    double total = 0.0, squares = 0.0;
    floats_t sums = {0};
    size_t whole = patterns - patterns % LANES;
    for (size_t place = 0; place < whole; place += LANES) sums += *(const floats_t *)(scores_n + place);
    total = sum_of(sums);
    for (size_t place = whole; place < patterns; place++) total += scores_n[place];
    float mean = patterns ? (float)(total / (double)patterns) : 0.0f;
    sums = (floats_t){0};
    for (size_t place = 0; place < whole; place += LANES) {
        floats_t centred = *(const floats_t *)(scores_n + place) - mean;
        sums += centred * centred;
    }
    squares = sum_of(sums);
    for (size_t place = whole; place < patterns; place++)
        squares += (scores_n[place] - mean) * (scores_n[place] - mean);
    double deviation = patterns ? sqrt(squares / (double)patterns) : 0.0;
    moments_2[0] = mean;
    moments_2[1] = deviation > SAME ? (float)deviation : INFINITY;
    for (size_t place = 0; place < patterns; place++) standard_n[place] = (scores_n[place] - mean) / moments_2[1];
}

void mark_number(const int32_t *numbers_n, int32_t number, float *named_n, size_t patterns) {
    for (size_t place = 0; place < patterns; place++)
        named_n[place] = numbers_n[place] == number ? 1.0f : named_n[place];
}

size_t score_postings(const int64_t *posted_E, const int64_t *lengths_W, const float *rarity_W, size_t words,
                      const int32_t *length_U, int64_t units, float damp, float damp_by_length, int64_t *slot_E,
                      float *score_E) {
    size_t entry = 0;
    for (size_t word = 0; word < words; word++)
        for (size_t end = entry + (size_t)lengths_W[word]; entry < end; entry++) {
            int64_t slot = posted_E[entry] >> COUNT_BITS;
            if (slot < 0 || slot >= units) return entry;
            float count = (float)(posted_E[entry] & ((1 << COUNT_BITS) - 1));
            slot_E[entry] = slot;
            score_E[entry] = count * rarity_W[word] / ((float)length_U[slot] * damp_by_length + (count + damp));
        }
    return entry;
}

void add_by_slot(const int64_t *slot_E, const float *score_E, float *total_n, size_t entries, size_t patterns) {
    memset(total_n, 0, patterns * sizeof(float));
    for (size_t entry = 0; entry < entries; entry++) total_n[slot_E[entry]] += score_E[entry];
}

/* What one neighbour lends of its words and of its precision. */
typedef struct {
    int32_t target;
    float words, keys;
} lent_t;

/* The slots whose neighbours lend to them: the first ``count`` of ``slots``. */
typedef struct {
    int32_t *slots;
    uint8_t *is_chosen_n;
    size_t count;
} chosen_t;

static inline void choose(chosen_t *chosen, size_t slot) {
    if (!chosen->is_chosen_n[slot]) chosen->slots[chosen->count++] = (int32_t)slot;
    chosen->is_chosen_n[slot] = 1;
}

/* Chooses all that so many steps lead to from a slot, ``base`` being where links of this direction begin. */
static int choose_beside(const links_t *links, size_t base, size_t slot, int steps, chosen_t *chosen) {
    const int32_t *targets_L = links->links_2UL + (base + slot) * links->width;
    for (size_t place = 0; place < links->width; place++) {
        if (targets_L[place] < 0) continue;
        if ((size_t)targets_L[place] >= links->patterns) return 0;
        choose(chosen, (size_t)targets_L[place]);
        if (steps > 1 && !choose_beside(links, base, (size_t)targets_L[place], steps - 1, chosen)) return 0;
    }
    return 1;
}

/* Writes what is lent over the links of a slot and those behind them; where it ends, NULL when a link leads nowhere. */
static lent_t *gather(const links_t *links, size_t base, size_t slot, int step, float share, lent_t *lent) {
    const int32_t *targets_L = links->links_2UL + (base + slot) * links->width;
    const float *counts_L = links->counts_2UL + (base + slot) * links->width;
    const float *fading_2 = links->fading_S2 + 2 * (STEPS + (base ? -step : step));
    float total = 0.0f;
    for (size_t place = 0; place < links->width; place++) total += counts_L[place];
    float per_count = share / (total > 1.0f ? total : 1.0f);
    for (size_t place = 0; place < links->width; place++) {
        if (targets_L[place] < 0) continue;
        if ((size_t)targets_L[place] >= links->patterns) return NULL;
        float part = counts_L[place] * per_count;
        *lent++ = (lent_t){targets_L[place], fading_2[0] * part, fading_2[1] * part};
        if (step < STEPS && !(lent = gather(links, base, (size_t)targets_L[place], step + 1, part, lent))) return NULL;
    }
    return lent;
}

/* Of one word: what each chosen slot has of its own or, if that is more, from a neighbour. */
static void add_best(const float *score_n, const chosen_t *chosen, const lent_t *lent, const size_t *ends,
                     float *words_n) {
    for (size_t place = 0, entry = 0; place < chosen->count; place++) {
        if (entry == ends[place]) continue;
        float best = score_n[chosen->slots[place]];
        for (; entry < ends[place]; entry++) {
            float score = lent[entry].words * score_n[lent[entry].target];
            best = score > best ? score : best;
        }
        words_n[chosen->slots[place]] += best;
    }
}

static int gather_all(const links_t *links, const chosen_t *chosen, lent_t *lent, size_t *ends) {
    lent_t *next = lent;
    for (size_t place = 0; place < chosen->count; place++) {
        next = gather(links, 0, (size_t)chosen->slots[place], 1, 1.0f, next);
        if (next) next = gather(links, links->units, (size_t)chosen->slots[place], 1, 1.0f, next);
        if (!next) return 0;
        ends[place] = (size_t)(next - lent);
    }
    return 1;
}

int lend(const links_t *links, const int64_t *strongest_k, size_t count, const by_word_t *by_word,
         const float *precision_n, float *words_n, float *context_n, char *room) {
    float *score_n = (float *)room;
    chosen_t chosen = {(int32_t *)(score_n + links->patterns), (uint8_t *)(score_n + 2 * links->patterns), 0};
    for (size_t place = 0; place < count; place++) {
        size_t slot = (size_t)strongest_k[place];
        choose(&chosen, slot);
        if (!choose_beside(links, 0, slot, STEPS, &chosen) || !choose_beside(links, links->units, slot, STEPS, &chosen))
            return 0;
    }
    size_t each = 2 * links->width * (1 + links->width);
    size_t *ends = malloc(chosen.count * (sizeof(size_t) + each * sizeof(lent_t)) + 1);
    if (!ends) return -1;
    lent_t *lent = (lent_t *)(ends + chosen.count);
    int is_done = gather_all(links, &chosen, lent, ends);
    for (size_t place = 0, entry = 0; is_done && place < chosen.count; place++) {
        if (entry == ends[place]) continue;
        float best = 0.0f;
        for (; entry < ends[place]; entry++) {
            float score = lent[entry].keys * precision_n[lent[entry].target];
            best = score > best ? score : best;
        }
        context_n[chosen.slots[place]] = best;
        words_n[chosen.slots[place]] = 0.0f;
    }
    const int64_t *slot_e = by_word->slot_E;
    const float *score_e = by_word->score_E;
    for (size_t word = 0; is_done && word < by_word->words; word++) {
        size_t length = (size_t)by_word->lengths_W[word];
        for (size_t entry = 0; entry < length; entry++) score_n[slot_e[entry]] = score_e[entry];
        add_best(score_n, &chosen, lent, ends, words_n);
        for (size_t entry = 0; entry < length; entry++) score_n[slot_e[entry]] = 0.0f;
        slot_e += length, score_e += length;
    }
    free(ends);
    return is_done;
}
