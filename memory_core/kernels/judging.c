/* How novel passages are, judged one after the other. novelty.py has the equations, and the plain form with
 * said_words.py: there all passages are judged at once. */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define MARGIN 0.5
#define WORDS_WEIGHT 0.5
#define CROWDING_WEIGHT 0.3
#define CROWDING_FLOOR 0.3f
#define BETA 12.0
#define TAU 0.8
#define CHANGE_WEIGHT 0.35
#define EXPONENT_MAX 50.0
#define UNSAID (-1)

/* Rarities of the words of two texts: of all, and of those that carry meaning. */
typedef struct {
    double all, content;
} sums_t;

typedef struct {
    float similarity, crowding;
    int64_t slot; /* behind the patterns: a passage */
    int32_t segments;
} candidate_t;

INLINE void add_word(sums_t *sums, double rarity, int is_content) {
    sums->all += rarity;
    if (is_content) sums->content += rarity;
}

/* log((n + 1) / (frequency + 1/2)), at the turn of a passage. */
INLINE double rarity_of(float log_count, int32_t frequency) { return log_count - logf((float)frequency + 0.5f); }

/* Dice's coefficient by rarity; for a longer text the share of the passage that it carries. */
static double overlap(double own, double theirs, double common, int is_longer) {
    double total = is_longer ? 2.0 * own : own + theirs;
    if (!(total > 0.0)) return 1.0;
    double share = 2.0 * common / (total > 1e-9 ? total : 1e-9);
    return share < 1.0 ? share : 1.0;
}

/* The words of a candidate, and those of them that the passage says too. */
static void words_of(const judging_t *told, const judging_room_t *room, const candidate_t *of, float log_count,
                     sums_t *theirs, sums_t *common) {
    if (of->slot < told->patterns) {
        const int32_t *index_W = told->index_UW + (size_t)of->slot * told->words_per_slot;
        for (size_t place = 0; place < told->words_per_slot && index_W[place]; place++) {
            size_t index = (size_t)index_W[place];
            if (index >= told->vocabulary) break;
            int32_t number = room->number_V[index];
            double rarity =
                rarity_of(log_count, told->frequency_V[index] + (number == UNSAID ? 0 : room->more_L[number]));
            add_word(theirs, rarity, told->is_content_V[index]);
            if (number != UNSAID && room->is_said_L[number]) add_word(common, rarity, told->is_content_V[index]);
        }
        return;
    }
    size_t passage = (size_t)(of->slot - told->patterns);
    for (int64_t place = told->kept_P1[passage]; place < told->kept_P1[passage + 1]; place++) {
        int64_t number = told->kept_E[place];
        double rarity = rarity_of(log_count, told->frequency_V[told->index_L[number]] + room->more_L[number]);
        add_word(theirs, rarity, told->is_content_L[number]);
        if (room->is_said_L[number]) add_word(common, rarity, told->is_content_L[number]);
    }
}

static size_t keep_candidate(candidate_t *best, size_t kept, candidate_t next) {
    if (kept == CANDIDATES && !(next.similarity > best[kept - 1].similarity)) return kept;
    size_t place = kept < CANDIDATES ? kept++ : CANDIDATES - 1;
    for (; place > 0 && best[place - 1].similarity < next.similarity; place--) best[place] = best[place - 1];
    best[place] = next;
    return kept;
}

/* The patterns and the passages before this one that are the most similar to it, highest first. */
static size_t candidates_of(const judging_t *told, size_t passage, candidate_t *best) {
    const int64_t *slots_C = told->slots_PC + passage * CANDIDATES;
    const float *cosine_C = told->cosine_PC + passage * CANDIDATES;
    size_t kept = 0;
    for (; kept < CANDIDATES && slots_C[kept] >= 0; kept++)
        best[kept] = (candidate_t){cosine_C[kept], told->crowding_n[slots_C[kept]], slots_C[kept],
                                   told->segments_U[slots_C[kept]]};
    for (size_t before = 0; before < passage; before++)
        if (told->recruits_P[before])
            kept = keep_candidate(
                best, kept,
                (candidate_t){told->among_PP[passage * told->passages + before], told->crowding_P[before],
                              told->patterns + (int64_t)before, told->segments_P[before]});
    return kept;
}

static void judge_one(const judging_t *told, const judging_room_t *room, size_t passage, float log_count) {
    candidate_t candidates[CANDIDATES];
    size_t kept = candidates_of(told, passage, candidates);
    told->score_P[passage] = 1.0, told->nearest_P[passage] = -1, told->similarity_P[passage] = 0.0;
    sums_t own = {0.0, 0.0};
    for (int64_t place = told->said_P1[passage]; place < told->said_P1[passage + 1]; place++) {
        int64_t number = told->said_E[place];
        int32_t frequency = told->frequency_V[told->index_L[number]] + room->more_L[number];
        add_word(&own, rarity_of(log_count, frequency), told->is_content_L[number]);
    }
    double best = -INFINITY, overlapping = 0.0;
    for (size_t place = 0; place < kept; place++) {
        const candidate_t *of = &candidates[place];
        if (of->similarity < candidates[0].similarity - (float)MARGIN) break;
        int is_longer = of->segments > told->segments_P[passage];
        sums_t theirs = {0.0, 0.0}, common = {0.0, 0.0};
        words_of(told, room, of, log_count, &theirs, &common);
        double all = overlap(own.all, theirs.all, common.all, is_longer);
        double affinity = of->similarity + WORDS_WEIGHT * all -
                          CROWDING_WEIGHT * (double)(of->crowding > CROWDING_FLOOR ? of->crowding : CROWDING_FLOOR);
        if (!(affinity > best)) continue;
        best = affinity;
        overlapping = own.content > 0.0 ? overlap(own.content, theirs.content, common.content, is_longer) : all;
        told->nearest_P[passage] = of->slot, told->similarity_P[passage] = of->similarity;
    }
    if (!kept) return;
    double exponent = BETA * (TAU - best);
    double known = 1.0 / (1.0 + exp(exponent < EXPONENT_MAX ? exponent : EXPONENT_MAX));
    double score = 1.0 - known * (1.0 - CHANGE_WEIGHT * sqrt(overlapping < 1.0 ? 1.0 - overlapping : 0.0));
    told->score_P[passage] = score < 0.0 ? 0.0 : score > 1.0 ? 1.0 : score;
}

/* A passage became a pattern: what it is near to is more crowded now, and its words are less rare. */
static void recruit(const judging_t *told, const judging_room_t *room, size_t passage, size_t *place_E) {
    const float *among_P = told->among_PP + passage * told->passages;
    float highest = told->slots_PC[passage * CANDIDATES] < 0 ? 0.0f : told->cosine_PC[passage * CANDIDATES];
    if (highest < 0.0f) highest = 0.0f;
    for (; *place_E < told->exceeding && told->passage_E[*place_E] == (int64_t)passage; ++*place_E) {
        float *crowding = told->crowding_n + told->slot_E[*place_E], cosine = told->cosine_E[*place_E];
        if (cosine > *crowding) *crowding = cosine;
    }
    for (size_t before = 0; before < passage; before++) {
        if (!told->recruits_P[before]) continue;
        if (among_P[before] > highest) highest = among_P[before];
        if (among_P[before] > told->crowding_P[before]) told->crowding_P[before] = among_P[before];
    }
    told->crowding_P[passage] = highest;
    for (int64_t place = told->kept_P1[passage]; place < told->kept_P1[passage + 1]; place++)
        room->more_L[told->kept_E[place]]++;
}

void judge_passages(const judging_t *told, const judging_room_t *room) {
    for (size_t index = 0; index < told->vocabulary; index++) room->number_V[index] = UNSAID;
    for (size_t number = 0; number < told->distinct; number++) {
        if (told->index_L[number]) room->number_V[told->index_L[number]] = (int32_t)number;
        room->more_L[number] = 0, room->is_said_L[number] = 0;
    }
    size_t learned = (size_t)told->slot_count, place_E = 0;
    for (size_t passage = 0; passage < told->passages; passage++) {
        const int64_t *first = told->said_E + told->said_P1[passage], *end = told->said_E + told->said_P1[passage + 1];
        told->crowding_P[passage] = 0.0f;
        for (const int64_t *number = first; number < end; number++) room->is_said_L[*number] = 1;
        judge_one(told, room, passage, (float)log((double)(learned + 1)));
        for (const int64_t *number = first; number < end; number++) room->is_said_L[*number] = 0;
        while (place_E < told->exceeding && told->passage_E[place_E] < (int64_t)passage) place_E++;
        if (told->recruits_P[passage]) recruit(told, room, passage, &place_E), learned++;
    }
}
