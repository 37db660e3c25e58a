/* Products of few queries with many keys in eight bits, as a function named SCAN; WIDENED reads sixteen codes.
 *
 * A score is added up in the same order whatever it is computed together with: its bits depend on its key alone. */

static void SCAN(const float *queries_QD, const int8_t *codes_UD, const float *scale_U, float *scores_QU,
                 size_t queries, size_t units, size_t dim) {
    size_t whole = dim - dim % LANES;
    for (size_t unit = 0; unit < units; unit += TOGETHER) {
        size_t last = units - unit - 1;
        const int8_t *keys[TOGETHER]; /* behind the last one that one again */
        for (size_t other = 0; other < TOGETHER; other++)
            keys[other] = codes_UD + (unit + (other < last ? other : last)) * dim;
        for (size_t byte = 0; byte < TOGETHER * dim; byte += 64) __builtin_prefetch(keys[0] + byte + FETCHED_AHEAD);
        for (size_t query = 0; query < queries; query++) {
            const float *query_D = queries_QD + query * dim;
            floats_t sums[TOGETHER] = {{0}};
            for (size_t place = 0; place < whole; place += LANES) {
                floats_t part = *(const floats_t *)(query_D + place);
#pragma GCC unroll 8
                for (int other = 0; other < TOGETHER; other++) sums[other] += part * WIDENED(keys[other] + place);
            }
            for (size_t other = 0; other < TOGETHER && other <= last; other++) {
                float total = sum_of(sums[other]);
                for (size_t place = whole; place < dim; place++) total += query_D[place] * (float)keys[other][place];
                scores_QU[query * units + unit + other] = total * scale_U[unit + other];
            }
        }
    }
}

#undef SCAN
#undef WIDENED
