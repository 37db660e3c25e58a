/* The Python module: every array is looked at before a loop sees its address, and the loops run without the GIL. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "kernels.h"

#define ARRAYS_MAX 24

/* Arrays of one call, given back together. */
typedef struct {
    Py_buffer views[ARRAYS_MAX];
    int count;
} arrays_t;

static void give_back(arrays_t *arrays) {
    while (arrays->count) PyBuffer_Release(&arrays->views[--arrays->count]);
}

/* The next contiguous array of so many dimensions, whose entries have a size in bytes; NULL with an error set. */
static Py_buffer *take(arrays_t *arrays, PyObject *given, int dims, Py_ssize_t item_size, int flags) {
    Py_buffer *view = &arrays->views[arrays->count];
    if (PyObject_GetBuffer(given, view, PyBUF_C_CONTIGUOUS | flags) < 0) return NULL;
    arrays->count++;
    if (view->ndim != dims || view->itemsize != item_size) {
        PyErr_Format(PyExc_ValueError, "argument %d has %d dimensions of %zd bytes, wanted are %d of %zd",
                     arrays->count, view->ndim, view->itemsize, dims, item_size);
        return NULL;
    }
    return view;
}

static int fits(int is_so, const char *what) {
    if (!is_so) PyErr_SetString(PyExc_ValueError, what);
    return is_so;
}

static int all_below(const int64_t *rows, Py_ssize_t count, Py_ssize_t end) {
    int is_so = 1;
    for (Py_ssize_t place = 0; place < count; place++) is_so &= rows[place] >= 0 && rows[place] < end;
    return fits(is_so, "a row lies outside the table");
}

/* Slots of patterns; -1 for none. */
static int are_slots(const int64_t *slots, Py_ssize_t count, Py_ssize_t end) {
    int is_so = 1;
    for (Py_ssize_t place = 0; place < count; place++) is_so &= slots[place] >= -1 && slots[place] < end;
    return fits(is_so, "a slot is none of the patterns");
}

static int wants(Py_ssize_t given, Py_ssize_t wanted) {
    if (given != wanted) PyErr_Format(PyExc_TypeError, "%zd arguments are wanted, %zd were given", wanted, given);
    return given == wanted;
}

#define WITHOUT_GIL(...)                    \
    do {                                    \
        Py_BEGIN_ALLOW_THREADS __VA_ARGS__; \
        Py_END_ALLOW_THREADS                \
    } while (0)

#define FLOATS(place, dims) take(&arrays, args[place], dims, sizeof(float), 0)
#define FLOATS_TO_WRITE(place, dims) take(&arrays, args[place], dims, sizeof(float), PyBUF_WRITABLE)
#define NUMBERS(place, dims) take(&arrays, args[place], dims, sizeof(int64_t), 0)
#define NUMBERS_TO_WRITE(place, dims) take(&arrays, args[place], dims, sizeof(int64_t), PyBUF_WRITABLE)
#define NUMBERS_32(place, dims) take(&arrays, args[place], dims, sizeof(int32_t), 0)
#define SIZE(view, dim) ((view)->shape[dim])

static PyObject *finish(arrays_t *arrays, int is_done) {
    give_back(arrays);
    if (!is_done) return NULL;
    Py_RETURN_NONE;
}

static PyObject *py_scan_codes(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *queries, *codes, *scale, *scores;
    int is_done = wants(given, 4) && (queries = FLOATS(0, 2)) && (codes = take(&arrays, args[1], 2, 1, 0)) &&
                  (scale = FLOATS(2, 1)) && (scores = FLOATS_TO_WRITE(3, 2)) &&
                  fits(SIZE(queries, 1) == SIZE(codes, 1) && SIZE(scale, 0) == SIZE(codes, 0) &&
                           SIZE(scores, 0) == SIZE(queries, 0) && SIZE(scores, 1) == SIZE(codes, 0),
                       "queries, codes, scale and scores do not fit together");
    if (is_done) {
        WITHOUT_GIL(scan_codes(queries->buf, codes->buf, scale->buf, scores->buf, (size_t)SIZE(queries, 0),
                               (size_t)SIZE(codes, 0), (size_t)SIZE(codes, 1)));
    }
    return finish(&arrays, is_done);
}

static PyObject *py_code_keys(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *keys, *codes, *scale;
    int is_done =
        wants(given, 3) && (keys = FLOATS(0, 2)) && (codes = take(&arrays, args[1], 2, 1, PyBUF_WRITABLE)) &&
        (scale = FLOATS_TO_WRITE(2, 1)) &&
        fits(SIZE(codes, 0) == SIZE(keys, 0) && SIZE(codes, 1) == SIZE(keys, 1) && SIZE(scale, 0) == SIZE(keys, 0),
             "keys, codes and scale do not fit together");
    if (is_done) code_keys(keys->buf, codes->buf, scale->buf, (size_t)SIZE(keys, 0), (size_t)SIZE(keys, 1));
    return finish(&arrays, is_done);
}

static int are_runs(const int64_t *starts, Py_ssize_t count, Py_ssize_t end) {
    int is_so = starts[0] >= 0 && starts[count - 1] <= end;
    for (Py_ssize_t place = 1; place < count; place++) is_so &= starts[place] > starts[place - 1];
    return fits(is_so, "the runs are not in order");
}

static PyObject *py_best_of_runs(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *starts, *best;
    int is_done = wants(given, 3) && (scores = FLOATS(0, 2)) && (starts = NUMBERS(1, 1)) &&
                  (best = FLOATS_TO_WRITE(2, 2)) &&
                  fits(SIZE(best, 0) == SIZE(scores, 0) && SIZE(starts, 0) == SIZE(best, 1) + 1,
                       "scores, starts and best do not fit together") &&
                  are_runs(starts->buf, SIZE(starts, 0), SIZE(scores, 1));
    if (is_done) {
        WITHOUT_GIL(best_of_runs(scores->buf, starts->buf, best->buf, (size_t)SIZE(scores, 0), (size_t)SIZE(scores, 1),
                                 (size_t)SIZE(best, 1)));
    }
    return finish(&arrays, is_done);
}

static PyObject *py_highest_of_rows(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *columns;
    int is_done =
        wants(given, 2) && (scores = FLOATS(0, 2)) && (columns = NUMBERS_TO_WRITE(1, 2)) &&
        fits(SIZE(scores, 0) == SIZE(columns, 0) && SIZE(columns, 1) > 0 && SIZE(columns, 1) <= SIZE(scores, 1),
             "scores and columns do not fit together");
    if (is_done) {
        WITHOUT_GIL(highest_of_rows(scores->buf, columns->buf, (size_t)SIZE(scores, 0), (size_t)SIZE(scores, 1),
                                    (size_t)SIZE(columns, 1)));
    }
    return finish(&arrays, is_done);
}

static int are_runs_of(const int64_t *slots, Py_ssize_t count, const int64_t *starts, const int64_t *order,
                       Py_ssize_t end, Py_ssize_t units) {
    int is_so = 1;
    for (Py_ssize_t place = 0; is_so && place < count; place++) {
        int64_t start = starts[slots[place]], stop = starts[slots[place] + 1];
        is_so = start >= 0 && start < stop && stop <= end;
        for (; order && is_so && start < stop; start++) is_so = order[start] >= 0 && order[start] < units;
    }
    return fits(is_so, "the runs are not in order");
}

static PyObject *py_score_slots(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *queries, *keys, *order = NULL, *starts, *slots, *best;
    int is_done =
        wants(given, 6) && (queries = FLOATS(0, 2)) && (keys = FLOATS(1, 2)) &&
        (args[2] == Py_None || (order = NUMBERS(2, 1))) && (starts = NUMBERS(3, 1)) && (slots = NUMBERS(4, 1)) &&
        (best = FLOATS_TO_WRITE(5, 2)) &&
        fits(SIZE(queries, 1) == SIZE(keys, 1) && SIZE(best, 0) == SIZE(queries, 0) && SIZE(best, 1) == SIZE(slots, 0),
             "queries, keys, slots and best do not fit together") &&
        all_below(slots->buf, SIZE(slots, 0), SIZE(starts, 0) - 1) &&
        are_runs_of(slots->buf, SIZE(slots, 0), starts->buf, order ? order->buf : NULL,
                    order ? SIZE(order, 0) : SIZE(keys, 0), SIZE(keys, 0));
    if (is_done) {
        size_t shape_QkD[3] = {(size_t)SIZE(queries, 0), (size_t)SIZE(slots, 0), (size_t)SIZE(keys, 1)};
        WITHOUT_GIL(score_slots(queries->buf, keys->buf, order ? order->buf : NULL, starts->buf, slots->buf, best->buf,
                                shape_QkD));
    }
    return finish(&arrays, is_done);
}

static PyObject *py_standardise(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *standard;
    float moments_2[2];
    int is_done = wants(given, 2) && (scores = FLOATS(0, 1)) && (standard = FLOATS_TO_WRITE(1, 1)) &&
                  fits(SIZE(scores, 0) == SIZE(standard, 0), "scores and what they become do not fit together");
    if (is_done) standardise(scores->buf, standard->buf, (size_t)SIZE(scores, 0), moments_2);
    give_back(&arrays);
    return is_done ? Py_BuildValue("dd", (double)moments_2[0], (double)moments_2[1]) : NULL;
}

static PyObject *py_mark_number(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *numbers, *named;
    long number = 0;
    int is_done = wants(given, 3) && (numbers = NUMBERS_32(0, 1)) &&
                  ((number = PyLong_AsLong(args[1])) != -1 || !PyErr_Occurred()) && (named = FLOATS_TO_WRITE(2, 1)) &&
                  fits(number >= 0 && number <= INT32_MAX && SIZE(numbers, 0) == SIZE(named, 0),
                       "numbers and named do not fit together");
    if (is_done) mark_number(numbers->buf, (int32_t)number, named->buf, (size_t)SIZE(numbers, 0));
    return finish(&arrays, is_done);
}

static int are_lengths(const int64_t *lengths, Py_ssize_t count, Py_ssize_t total) {
    int is_so = 1;
    for (Py_ssize_t place = 0; is_so && place < count; place++) {
        is_so = lengths[place] >= 0 && lengths[place] <= total;
        total -= is_so ? (Py_ssize_t)lengths[place] : 0;
    }
    return fits(is_so && !total, "the words do not fit their entries");
}

static PyObject *py_score_postings(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *posted, *lengths, *rarity, *length, *slots, *scores;
    double damp = 0.0, damp_by_length = 0.0;
    int is_done = wants(given, 8) && (posted = NUMBERS(0, 1)) && (lengths = NUMBERS(1, 1)) && (rarity = FLOATS(2, 1)) &&
                  (length = NUMBERS_32(3, 1)) && ((damp = PyFloat_AsDouble(args[4])) != -1.0 || !PyErr_Occurred()) &&
                  ((damp_by_length = PyFloat_AsDouble(args[5])) != -1.0 || !PyErr_Occurred()) &&
                  (slots = NUMBERS_TO_WRITE(6, 1)) && (scores = FLOATS_TO_WRITE(7, 1)) &&
                  fits(SIZE(rarity, 0) == SIZE(lengths, 0) && SIZE(slots, 0) == SIZE(posted, 0) &&
                           SIZE(scores, 0) == SIZE(posted, 0),
                       "postings, words and scores do not fit together") &&
                  are_lengths(lengths->buf, SIZE(lengths, 0), SIZE(posted, 0));
    if (is_done) {
        size_t done = score_postings(posted->buf, lengths->buf, rarity->buf, (size_t)SIZE(lengths, 0), length->buf,
                                     SIZE(length, 0), (float)damp, (float)damp_by_length, slots->buf, scores->buf);
        is_done = fits(done == (size_t)SIZE(posted, 0), "a row lies outside the table");
    }
    return finish(&arrays, is_done);
}

static PyObject *py_add_by_slot(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *slots, *scores, *total;
    int is_done = wants(given, 3) && (slots = NUMBERS(0, 1)) && (scores = FLOATS(1, 1)) &&
                  (total = FLOATS_TO_WRITE(2, 1)) &&
                  fits(SIZE(slots, 0) == SIZE(scores, 0), "slots and scores do not fit together") &&
                  all_below(slots->buf, SIZE(slots, 0), SIZE(total, 0));
    if (is_done) add_by_slot(slots->buf, scores->buf, total->buf, (size_t)SIZE(slots, 0), (size_t)SIZE(total, 0));
    return finish(&arrays, is_done);
}

/* (strongest_k, links_2UL, counts_2UL, fading_S2, lengths_W, slot_E, score_E, precision_n, words_n, context_n) */
static PyObject *py_lend(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *strongest, *links, *counts, *fading, *lengths, *slots, *scores, *precision, *words, *context;
    char *room = NULL;
    int lent = 0;
    int is_done =
        wants(given, 10) && (strongest = NUMBERS(0, 1)) && (links = NUMBERS_32(1, 2)) && (counts = FLOATS(2, 2)) &&
        (fading = FLOATS(3, 2)) && (lengths = NUMBERS(4, 1)) && (slots = NUMBERS(5, 1)) && (scores = FLOATS(6, 1)) &&
        (precision = FLOATS(7, 1)) && (words = FLOATS_TO_WRITE(8, 1)) && (context = FLOATS_TO_WRITE(9, 1)) &&
        fits(SIZE(links, 0) == SIZE(counts, 0) && SIZE(links, 1) == SIZE(counts, 1) && SIZE(links, 0) % 2 == 0 &&
                 SIZE(precision, 0) <= SIZE(links, 0) / 2 && SIZE(precision, 0) <= INT32_MAX &&
                 SIZE(fading, 0) == 2 * STEPS + 1 && SIZE(fading, 1) == 2 && SIZE(scores, 0) == SIZE(slots, 0) &&
                 SIZE(words, 0) == SIZE(precision, 0) && SIZE(context, 0) == SIZE(precision, 0),
             "links, words and patterns do not fit together") &&
        all_below(strongest->buf, SIZE(strongest, 0), SIZE(precision, 0)) &&
        all_below(slots->buf, SIZE(slots, 0), SIZE(precision, 0)) &&
        are_lengths(lengths->buf, SIZE(lengths, 0), SIZE(slots, 0)) &&
        ((room = PyMem_Calloc((size_t)SIZE(precision, 0), 9)) || PyErr_NoMemory());
    if (is_done) {
        links_t table = {links->buf,
                         counts->buf,
                         fading->buf,
                         (size_t)SIZE(links, 0) / 2,
                         (size_t)SIZE(links, 1),
                         (size_t)SIZE(precision, 0)};
        by_word_t by_word = {lengths->buf, slots->buf, scores->buf, (size_t)SIZE(lengths, 0)};
        WITHOUT_GIL(lent = lend(&table, strongest->buf, (size_t)SIZE(strongest, 0), &by_word, precision->buf,
                                words->buf, context->buf, room));
        is_done = fits(lent != 0, "a row lies outside the table") && (lent > 0 || PyErr_NoMemory());
    }
    PyMem_Free(room);
    return finish(&arrays, is_done);
}

static PyObject *py_choose_rows(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *rows, *activations;
    int is_done =
        wants(given, 3) && (scores = FLOATS(0, 4)) && (rows = NUMBERS_TO_WRITE(1, 3)) &&
        (activations = FLOATS_TO_WRITE(2, 3)) &&
        fits(SIZE(scores, 2) == 2 && SIZE(scores, 3) > 0 && SIZE(scores, 0) == SIZE(rows, 0) &&
                 SIZE(scores, 1) == SIZE(rows, 1) && SIZE(activations, 0) == SIZE(rows, 0) &&
                 SIZE(activations, 1) == SIZE(rows, 1) && SIZE(activations, 2) == SIZE(rows, 2) && SIZE(rows, 2) > 0 &&
                 SIZE(rows, 2) <= SIZE(scores, 3) * SIZE(scores, 3) && SIZE(rows, 2) <= CHOSEN_MAX,
             "scores, rows and activations do not fit together");
    if (is_done)
        choose_rows(scores->buf, rows->buf, activations->buf, (size_t)SIZE(rows, 0), (size_t)SIZE(rows, 1),
                    (size_t)SIZE(scores, 3), (size_t)SIZE(rows, 2));
    return finish(&arrays, is_done);
}

static PyObject *py_step_pairs(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *table, *variance, *rows, *activations, *values, *losses, *norms;
    float *scratch = NULL;
    size_t done = 0;
    double step_size = 0.0;
    int is_done = wants(given, 8) && (table = FLOATS_TO_WRITE(0, 2)) && (variance = FLOATS_TO_WRITE(1, 1)) &&
                  (rows = NUMBERS(2, 2)) && (activations = FLOATS(3, 2)) && (values = FLOATS(4, 2)) &&
                  (losses = FLOATS_TO_WRITE(5, 1)) && (norms = FLOATS_TO_WRITE(6, 1)) &&
                  ((step_size = PyFloat_AsDouble(args[7])) != -1.0 || !PyErr_Occurred()) &&
                  fits(SIZE(variance, 0) == SIZE(table, 0) && SIZE(activations, 0) == SIZE(rows, 0) &&
                           SIZE(activations, 1) == SIZE(rows, 1) && SIZE(values, 0) == SIZE(rows, 0) &&
                           SIZE(values, 1) == SIZE(table, 1) && SIZE(losses, 0) == SIZE(rows, 0) &&
                           SIZE(norms, 0) == SIZE(rows, 0),
                       "table, rows, activations and values do not fit together") &&
                  all_below(rows->buf, SIZE(rows, 0) * SIZE(rows, 1), SIZE(table, 0)) &&
                  ((scratch = PyMem_Malloc(2 * sizeof(float) * (size_t)SIZE(table, 1))) || PyErr_NoMemory());
    if (is_done) {
        size_t shape_NKV[3] = {(size_t)SIZE(rows, 0), (size_t)SIZE(rows, 1), (size_t)SIZE(table, 1)};
        WITHOUT_GIL(done = step_pairs(table->buf, variance->buf, rows->buf, activations->buf, values->buf, losses->buf,
                                      norms->buf, shape_NKV, (float)step_size, scratch));
    }
    PyMem_Free(scratch);
    give_back(&arrays);
    return is_done ? PyLong_FromSize_t(done) : NULL;
}

static PyObject *py_read_pairs(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *table, *rows, *activations, *answers;
    int is_done = wants(given, 4) && (table = FLOATS(0, 2)) && (rows = NUMBERS(1, 2)) && (activations = FLOATS(2, 2)) &&
                  (answers = FLOATS_TO_WRITE(3, 2)) &&
                  fits(SIZE(activations, 0) == SIZE(rows, 0) && SIZE(activations, 1) == SIZE(rows, 1) &&
                           SIZE(answers, 0) == SIZE(rows, 0) && SIZE(answers, 1) == SIZE(table, 1),
                       "table, rows, activations and answers do not fit together") &&
                  all_below(rows->buf, SIZE(rows, 0) * SIZE(rows, 1), SIZE(table, 0));
    if (is_done) {
        size_t shape_NKV[3] = {(size_t)SIZE(rows, 0), (size_t)SIZE(rows, 1), (size_t)SIZE(table, 1)};
        WITHOUT_GIL(read_pairs(table->buf, rows->buf, activations->buf, answers->buf, shape_NKV));
    }
    return finish(&arrays, is_done);
}

static PyObject *py_value_codes(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *ids, *codes;
    uint64_t seed = 0;
    int is_done = wants(given, 3) && (ids = NUMBERS(0, 1)) &&
                  ((seed = PyLong_AsUnsignedLongLong(args[1])) || !PyErr_Occurred()) &&
                  (codes = FLOATS_TO_WRITE(2, 2)) &&
                  fits(SIZE(codes, 0) == SIZE(ids, 0), "ids and codes do not fit together");
    if (is_done) value_codes(ids->buf, seed, codes->buf, (size_t)SIZE(codes, 0), (size_t)SIZE(codes, 1));
    return finish(&arrays, is_done);
}

static PyObject *py_code_matches(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *ids, *value, *matches;
    uint64_t seed = 0;
    int is_done = wants(given, 4) && (ids = NUMBERS(0, 1)) &&
                  ((seed = PyLong_AsUnsignedLongLong(args[1])) || !PyErr_Occurred()) && (value = FLOATS(2, 1)) &&
                  (matches = FLOATS_TO_WRITE(3, 1)) &&
                  fits(SIZE(matches, 0) == SIZE(ids, 0), "ids and matches do not fit together");
    if (is_done) code_matches(ids->buf, seed, value->buf, matches->buf, (size_t)SIZE(ids, 0), (size_t)SIZE(value, 0));
    return finish(&arrays, is_done);
}

/* (slots_PC, cosine_PC, passage_E, slot_E, cosine_E, crowding_n) from a place of the arguments on. */
static int take_near(arrays_t *arrays, PyObject *const *args, int place, near_t *near, Py_ssize_t patterns) {
    Py_buffer *slots, *cosine, *passages, *slot, *exceeding, *crowding;
    int is_so = (slots = take(arrays, args[place], 2, sizeof(int64_t), PyBUF_WRITABLE)) &&
                (cosine = take(arrays, args[place + 1], 2, sizeof(float), PyBUF_WRITABLE)) &&
                (passages = take(arrays, args[place + 2], 1, sizeof(int64_t), PyBUF_WRITABLE)) &&
                (slot = take(arrays, args[place + 3], 1, sizeof(int64_t), PyBUF_WRITABLE)) &&
                (exceeding = take(arrays, args[place + 4], 1, sizeof(float), PyBUF_WRITABLE)) &&
                (crowding = take(arrays, args[place + 5], 1, sizeof(float), 0)) &&
                fits(SIZE(slots, 1) == CANDIDATES && SIZE(cosine, 1) == CANDIDATES && SIZE(slots, 0) > 0 &&
                         SIZE(cosine, 0) == SIZE(slots, 0) && SIZE(slot, 0) == SIZE(passages, 0) &&
                         SIZE(exceeding, 0) == SIZE(passages, 0) && SIZE(crowding, 0) >= patterns,
                     "what is near does not fit together");
    if (is_so)
        *near = (near_t){(size_t)SIZE(slots, 0),
                         (size_t)SIZE(passages, 0),
                         slots->buf,
                         passages->buf,
                         slot->buf,
                         cosine->buf,
                         exceeding->buf,
                         crowding->buf};
    return is_so;
}

/* (queries_QD, codes_uD, scale_u, keys_uD, starts_n1, order_w or None, error, near) */
static PyObject *py_near_alone(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *queries, *codes, *scale, *keys, *starts, *order = NULL;
    near_t near;
    float *room = NULL;
    size_t found = 0;
    double error = 0.0;
    int is_done =
        wants(given, 13) && (queries = FLOATS(0, 2)) && (codes = take(&arrays, args[1], 2, 1, 0)) &&
        (scale = FLOATS(2, 1)) && (keys = FLOATS(3, 2)) && (starts = NUMBERS(4, 1)) &&
        (args[5] == Py_None || (order = NUMBERS(5, 1))) &&
        ((error = PyFloat_AsDouble(args[6])) != -1.0 || !PyErr_Occurred()) &&
        fits(SIZE(queries, 0) > 0 && SIZE(queries, 1) == SIZE(codes, 1) && SIZE(keys, 0) == SIZE(codes, 0) &&
                 SIZE(keys, 1) == SIZE(codes, 1) && SIZE(scale, 0) == SIZE(codes, 0) && SIZE(starts, 0) > 1,
             "queries, codes, keys and starts do not fit together") &&
        are_runs(starts->buf, SIZE(starts, 0), order ? SIZE(order, 0) : SIZE(codes, 0)) &&
        (!order || all_below(order->buf, SIZE(order, 0), SIZE(codes, 0))) &&
        take_near(&arrays, args, 7, &near, SIZE(starts, 0) - 1) &&
        ((room = PyMem_Malloc(sizeof(float) * (size_t)(SIZE(queries, 0) * SIZE(codes, 0) + SIZE(starts, 0)))) ||
         PyErr_NoMemory());
    if (is_done) {
        runs_t runs = {keys->buf,
                       scale->buf,
                       codes->buf,
                       starts->buf,
                       order ? order->buf : NULL,
                       (size_t)SIZE(codes, 0),
                       (size_t)SIZE(starts, 0) - 1,
                       (size_t)SIZE(codes, 1)};
        WITHOUT_GIL(found = near_alone(&runs, queries->buf, (size_t)SIZE(queries, 0), (float)error, room,
                                       room + SIZE(queries, 0) * SIZE(codes, 0), &near));
    }
    PyMem_Free(room);
    give_back(&arrays);
    return is_done ? PyLong_FromSize_t(found) : NULL;
}

/* (scores_Qt, starts_p1, queries_P1, first_slot, found, near) */
static PyObject *py_near_among(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *starts, *queries;
    near_t near;
    long long first_slot = 0, found = 0;
    char *room = NULL;
    int is_done =
        wants(given, 11) && (scores = FLOATS(0, 2)) && (starts = NUMBERS(1, 1)) && (queries = NUMBERS(2, 1)) &&
        ((first_slot = PyLong_AsLongLong(args[3])) != -1 || !PyErr_Occurred()) &&
        ((found = PyLong_AsLongLong(args[4])) != -1 || !PyErr_Occurred()) &&
        fits(SIZE(starts, 0) > 1 && SIZE(queries, 0) > 1 && first_slot >= 0 && found >= 0, "there is nothing") &&
        take_near(&arrays, args, 5, &near, first_slot + SIZE(starts, 0) - 1) &&
        are_runs(starts->buf, SIZE(starts, 0), *(const int64_t *)starts->buf + SIZE(scores, 1)) &&
        fits(((const int64_t *)starts->buf)[SIZE(starts, 0) - 1] - *(const int64_t *)starts->buf == SIZE(scores, 1),
             "the runs do not fill the scores") &&
        fits(SIZE(queries, 0) - 1 == (Py_ssize_t)near.passages, "queries and passages do not fit together") &&
        are_runs(queries->buf, SIZE(queries, 0), SIZE(scores, 0)) &&
        ((room = PyMem_Malloc((size_t)SIZE(scores, 1) * (sizeof(float) + sizeof(int32_t)))) || PyErr_NoMemory());
    if (is_done) {
        WITHOUT_GIL(found = (long long)near_among(scores->buf, starts->buf, (size_t)SIZE(starts, 0) - 1,
                                                  (size_t)SIZE(scores, 1), queries->buf, first_slot, (size_t)found,
                                                  (float *)room,
                                                  (int32_t *)(room + (size_t)SIZE(scores, 1) * sizeof(float)), &near));
    }
    PyMem_Free(room);
    give_back(&arrays);
    return is_done ? PyLong_FromLongLong(found) : NULL;
}

/* Every word of a passage is one of L, and the passages lie behind one another. */
static int are_said(const Py_buffer *ends_P1, const Py_buffer *numbers_E, Py_ssize_t passages, Py_ssize_t distinct) {
    const int64_t *ends = ends_P1->buf;
    int is_so = SIZE(ends_P1, 0) == passages + 1 && ends[0] == 0 && ends[passages] == SIZE(numbers_E, 0);
    for (Py_ssize_t place = 0; is_so && place < passages; place++) is_so &= ends[place] <= ends[place + 1];
    return fits(is_so, "the words do not fit the passages") && all_below(numbers_E->buf, SIZE(numbers_E, 0), distinct);
}

/* Passages that became patterns are compared with one another. */
static int any_flag(const Py_buffer *flags) {
    const uint8_t *flag = flags->buf;
    int is_any = 0;
    for (Py_ssize_t place = 0; place < SIZE(flags, 0); place++) is_any |= flag[place];
    return is_any;
}

#define FLAGS(place) take(&arrays, args[place], 1, 1, 0)

/* (slots_PC, cosine_PC, passage_E, slot_E, cosine_E, crowding_n, among_PP or None, segments_P, segments_U, index_UW,
 * frequency_V, is_content_V, slot_count, said_P1, said_E, kept_P1, kept_E, index_L, is_content_L, recruits_P, score_P,
 * nearest_P, similarity_P, crowding_P) */
static PyObject *py_judge_passages(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *among = NULL, *segments_P = NULL, *segments_U = NULL, *index_UW = NULL, *frequency = NULL;
    Py_buffer *is_content_V = NULL, *said = NULL, *said_words = NULL, *kept = NULL, *kept_words = NULL, *index_L = NULL;
    Py_buffer *is_content_L = NULL, *recruits = NULL, *score = NULL, *nearest = NULL, *similarity = NULL,
              *crowding_P = NULL;
    near_t near = {0};
    long long slot_count = 0;
    char *room = NULL;
    int is_done =
        wants(given, 24) && take_near(&arrays, args, 0, &near, 0) && (args[6] == Py_None || (among = FLOATS(6, 2))) &&
        (segments_P = NUMBERS_32(7, 1)) && (segments_U = NUMBERS_32(8, 1)) && (index_UW = NUMBERS_32(9, 2)) &&
        (frequency = NUMBERS_32(10, 1)) && (is_content_V = FLAGS(11)) &&
        ((slot_count = PyLong_AsLongLong(args[12])) != -1 || !PyErr_Occurred()) && (said = NUMBERS(13, 1)) &&
        (said_words = NUMBERS(14, 1)) && (kept = NUMBERS(15, 1)) && (kept_words = NUMBERS(16, 1)) &&
        (index_L = NUMBERS(17, 1)) && (is_content_L = FLAGS(18)) && (recruits = FLAGS(19)) &&
        (score = take(&arrays, args[20], 1, sizeof(double), PyBUF_WRITABLE)) && (nearest = NUMBERS_TO_WRITE(21, 1)) &&
        (similarity = take(&arrays, args[22], 1, sizeof(double), PyBUF_WRITABLE)) &&
        (crowding_P = FLOATS_TO_WRITE(23, 1));
    /* The crowding was taken as the sixth array; it is stepped on from what it was. */
    Py_ssize_t passages = is_done ? (Py_ssize_t)near.passages : 0, patterns = is_done ? SIZE(&arrays.views[5], 0) : 0;
    is_done =
        is_done &&
        fits((among || passages == 1 || !any_flag(recruits)) &&
                 (!among || (SIZE(among, 0) == passages && SIZE(among, 1) == passages)) &&
                 SIZE(segments_P, 0) == passages && SIZE(recruits, 0) == passages && SIZE(score, 0) == passages &&
                 SIZE(nearest, 0) == passages && SIZE(similarity, 0) == passages && SIZE(crowding_P, 0) == passages,
             "the passages do not fit together") &&
        fits(!arrays.views[5].readonly && patterns <= SIZE(segments_U, 0) && SIZE(index_UW, 0) == SIZE(segments_U, 0) &&
                 SIZE(is_content_V, 0) == SIZE(frequency, 0) && slot_count >= 0 &&
                 SIZE(is_content_L, 0) == SIZE(index_L, 0),
             "the patterns and their words do not fit together") &&
        are_slots(near.slots_PC, passages * CANDIDATES, patterns) &&
        all_below(near.slot_E, (Py_ssize_t)near.room, patterns) &&
        all_below(index_L->buf, SIZE(index_L, 0), SIZE(frequency, 0)) &&
        are_said(said, said_words, passages, SIZE(index_L, 0)) &&
        are_said(kept, kept_words, passages, SIZE(index_L, 0)) &&
        ((room = PyMem_Malloc((size_t)SIZE(frequency, 0) * sizeof(int32_t) +
                              (size_t)SIZE(index_L, 0) * (sizeof(int32_t) + sizeof(uint8_t)) + 1)) ||
         PyErr_NoMemory());
    if (is_done) {
        judging_t told = {.passages = near.passages,
                          .exceeding = near.room,
                          .vocabulary = (size_t)SIZE(frequency, 0),
                          .distinct = (size_t)SIZE(index_L, 0),
                          .words_per_slot = (size_t)SIZE(index_UW, 1),
                          .patterns = patterns,
                          .slot_count = slot_count,
                          .cosine_PC = near.cosine_PC,
                          .cosine_E = near.cosine_E,
                          .among_PP = among ? among->buf : NULL,
                          .slots_PC = near.slots_PC,
                          .passage_E = near.passage_E,
                          .slot_E = near.slot_E,
                          .said_P1 = said->buf,
                          .said_E = said_words->buf,
                          .kept_P1 = kept->buf,
                          .kept_E = kept_words->buf,
                          .index_L = index_L->buf,
                          .segments_P = segments_P->buf,
                          .segments_U = segments_U->buf,
                          .index_UW = index_UW->buf,
                          .frequency_V = frequency->buf,
                          .is_content_V = is_content_V->buf,
                          .is_content_L = is_content_L->buf,
                          .recruits_P = recruits->buf,
                          .score_P = score->buf,
                          .similarity_P = similarity->buf,
                          .nearest_P = nearest->buf,
                          .crowding_n = arrays.views[5].buf,
                          .crowding_P = crowding_P->buf};
        int32_t *numbers = (int32_t *)room;
        judging_room_t rooms = {numbers, numbers + told.vocabulary,
                                (uint8_t *)(numbers + told.vocabulary + told.distinct)};
        WITHOUT_GIL(judge_passages(&told, &rooms));
    }
    PyMem_Free(room);
    return finish(&arrays, is_done);
}

static PyObject *py_silu_and_slope(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *z, *active, *slope;
    double offset = 0.0;
    int is_done = wants(given, 4) && (z = FLOATS(0, 2)) &&
                  ((offset = PyFloat_AsDouble(args[1])) != -1.0 || !PyErr_Occurred()) &&
                  (active = FLOATS_TO_WRITE(2, 2)) && (slope = FLOATS_TO_WRITE(3, 2)) &&
                  fits(SIZE(active, 0) == SIZE(z, 0) && SIZE(active, 1) == SIZE(z, 1) && SIZE(slope, 0) == SIZE(z, 0) &&
                           SIZE(slope, 1) == SIZE(z, 1),
                       "inputs, outputs and slopes do not fit together");
    if (is_done) {
        WITHOUT_GIL(silu_and_slope(z->buf, (float)offset, active->buf, slope->buf, (size_t)(SIZE(z, 0) * SIZE(z, 1))));
    }
    return finish(&arrays, is_done);
}

static PyObject *py_squared_lengths(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *rows, *squares;
    int is_done = wants(given, 2) && (rows = FLOATS(0, 2)) && (squares = FLOATS_TO_WRITE(1, 1)) &&
                  fits(SIZE(squares, 0) == SIZE(rows, 0), "rows and squares do not fit together");
    if (is_done) squared_lengths(rows->buf, squares->buf, (size_t)SIZE(rows, 0), (size_t)SIZE(rows, 1));
    return finish(&arrays, is_done);
}

#define FUNCTION(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}

static PyMethodDef functions[] = {
    FUNCTION(scan_codes),     FUNCTION(code_keys),      FUNCTION(near_alone),     FUNCTION(near_among),
    FUNCTION(judge_passages), FUNCTION(best_of_runs),   FUNCTION(choose_rows),    FUNCTION(highest_of_rows),
    FUNCTION(step_pairs),     FUNCTION(read_pairs),     FUNCTION(value_codes),    FUNCTION(code_matches),
    FUNCTION(score_slots),    FUNCTION(score_postings), FUNCTION(add_by_slot),    FUNCTION(standardise),
    FUNCTION(mark_number),    FUNCTION(lend),           FUNCTION(silu_and_slope), FUNCTION(squared_lengths),
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_compiled",
    "Loops of the core; memory_core.kernels says when they are used.",
    0,
    functions,
    slots,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__compiled(void) { return PyModuleDef_Init(&definition); }
