/* The Python module: every array is looked at before a loop sees its address, and the loops run without the GIL. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "kernels.h"

#define ARRAYS_MAX 8

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
        PyErr_Format(PyExc_ValueError, "argument %d has %d dimensions of %zd bytes, wanted are %d of %zd", arrays->count,
                     view->ndim, view->itemsize, dims, item_size);
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

static int wants(Py_ssize_t given, Py_ssize_t wanted) {
    if (given != wanted) PyErr_Format(PyExc_TypeError, "%zd arguments are wanted, %zd were given", wanted, given);
    return given == wanted;
}

#define FLOATS(place, dims) take(&arrays, args[place], dims, sizeof(float), 0)
#define FLOATS_TO_WRITE(place, dims) take(&arrays, args[place], dims, sizeof(float), PyBUF_WRITABLE)
#define NUMBERS(place, dims) take(&arrays, args[place], dims, sizeof(int64_t), 0)
#define NUMBERS_TO_WRITE(place, dims) take(&arrays, args[place], dims, sizeof(int64_t), PyBUF_WRITABLE)
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
        Py_BEGIN_ALLOW_THREADS
        scan_codes(queries->buf, codes->buf, scale->buf, scores->buf, (size_t)SIZE(queries, 0), (size_t)SIZE(codes, 0),
                   (size_t)SIZE(codes, 1));
        Py_END_ALLOW_THREADS
    }
    return finish(&arrays, is_done);
}

static PyObject *py_code_keys(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *keys, *codes, *scale;
    int is_done = wants(given, 3) && (keys = FLOATS(0, 2)) && (codes = take(&arrays, args[1], 2, 1, PyBUF_WRITABLE)) &&
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
        Py_BEGIN_ALLOW_THREADS
        best_of_runs(scores->buf, starts->buf, best->buf, (size_t)SIZE(scores, 0), (size_t)SIZE(scores, 1),
                     (size_t)SIZE(best, 1));
        Py_END_ALLOW_THREADS
    }
    return finish(&arrays, is_done);
}

static PyObject *py_highest_of_rows(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *columns;
    int is_done = wants(given, 2) && (scores = FLOATS(0, 2)) && (columns = NUMBERS_TO_WRITE(1, 2)) &&
                  fits(SIZE(scores, 0) == SIZE(columns, 0) && SIZE(columns, 1) > 0 &&
                           SIZE(columns, 1) <= SIZE(scores, 1),
                       "scores and columns do not fit together");
    if (is_done) {
        Py_BEGIN_ALLOW_THREADS
        highest_of_rows(scores->buf, columns->buf, (size_t)SIZE(scores, 0), (size_t)SIZE(scores, 1),
                        (size_t)SIZE(columns, 1));
        Py_END_ALLOW_THREADS
    }
    return finish(&arrays, is_done);
}

static PyObject *py_choose_rows(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *scores, *rows, *activations;
    int is_done = wants(given, 3) && (scores = FLOATS(0, 4)) && (rows = NUMBERS_TO_WRITE(1, 3)) &&
                  (activations = FLOATS_TO_WRITE(2, 3)) &&
                  fits(SIZE(scores, 2) == 2 && SIZE(scores, 3) > 0 && SIZE(scores, 0) == SIZE(rows, 0) &&
                           SIZE(scores, 1) == SIZE(rows, 1) && SIZE(activations, 0) == SIZE(rows, 0) &&
                           SIZE(activations, 1) == SIZE(rows, 1) && SIZE(activations, 2) == SIZE(rows, 2) &&
                           SIZE(rows, 2) > 0 && SIZE(rows, 2) <= SIZE(scores, 3) * SIZE(scores, 3) &&
                           SIZE(rows, 2) <= CHOSEN_MAX,
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
    int is_done =
        wants(given, 8) && (table = FLOATS_TO_WRITE(0, 2)) && (variance = FLOATS_TO_WRITE(1, 1)) &&
        (rows = NUMBERS(2, 2)) && (activations = FLOATS(3, 2)) && (values = FLOATS(4, 2)) &&
        (losses = FLOATS_TO_WRITE(5, 1)) && (norms = FLOATS_TO_WRITE(6, 1)) &&
        ((step_size = PyFloat_AsDouble(args[7])) != -1.0 || !PyErr_Occurred()) &&
        fits(SIZE(variance, 0) == SIZE(table, 0) && SIZE(activations, 0) == SIZE(rows, 0) &&
                 SIZE(activations, 1) == SIZE(rows, 1) && SIZE(values, 0) == SIZE(rows, 0) &&
                 SIZE(values, 1) == SIZE(table, 1) && SIZE(losses, 0) == SIZE(rows, 0) && SIZE(norms, 0) == SIZE(rows, 0),
             "table, rows, activations and values do not fit together") &&
        all_below(rows->buf, SIZE(rows, 0) * SIZE(rows, 1), SIZE(table, 0)) &&
        ((scratch = PyMem_Malloc(2 * sizeof(float) * (size_t)SIZE(table, 1))) || PyErr_NoMemory());
    if (is_done) {
        size_t shape_NKV[3] = {(size_t)SIZE(rows, 0), (size_t)SIZE(rows, 1), (size_t)SIZE(table, 1)};
        Py_BEGIN_ALLOW_THREADS
        done = step_pairs(table->buf, variance->buf, rows->buf, activations->buf, values->buf, losses->buf, norms->buf,
                          shape_NKV, (float)step_size, scratch);
        Py_END_ALLOW_THREADS
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
        Py_BEGIN_ALLOW_THREADS
        read_pairs(table->buf, rows->buf, activations->buf, answers->buf, shape_NKV);
        Py_END_ALLOW_THREADS
    }
    return finish(&arrays, is_done);
}

static PyObject *py_value_codes(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *ids, *codes;
    uint64_t seed = 0;
    int is_done = wants(given, 3) && (ids = NUMBERS(0, 1)) && ((seed = PyLong_AsUnsignedLongLong(args[1])) || !PyErr_Occurred()) &&
                  (codes = FLOATS_TO_WRITE(2, 2)) && fits(SIZE(codes, 0) == SIZE(ids, 0), "ids and codes do not fit together");
    if (is_done) value_codes(ids->buf, seed, codes->buf, (size_t)SIZE(codes, 0), (size_t)SIZE(codes, 1));
    return finish(&arrays, is_done);
}

static PyObject *py_code_matches(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    arrays_t arrays = {.count = 0};
    Py_buffer *ids, *value, *matches;
    uint64_t seed = 0;
    int is_done = wants(given, 4) && (ids = NUMBERS(0, 1)) && ((seed = PyLong_AsUnsignedLongLong(args[1])) || !PyErr_Occurred()) &&
                  (value = FLOATS(2, 1)) && (matches = FLOATS_TO_WRITE(3, 1)) &&
                  fits(SIZE(matches, 0) == SIZE(ids, 0), "ids and matches do not fit together");
    if (is_done) code_matches(ids->buf, seed, value->buf, matches->buf, (size_t)SIZE(ids, 0), (size_t)SIZE(value, 0));
    return finish(&arrays, is_done);
}

#define FUNCTION(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}

static PyMethodDef functions[] = {
    FUNCTION(scan_codes), FUNCTION(code_keys), FUNCTION(best_of_runs), FUNCTION(highest_of_rows), FUNCTION(choose_rows), FUNCTION(step_pairs),
    FUNCTION(read_pairs), FUNCTION(value_codes),  FUNCTION(code_matches),    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_compiled", "Loops of the core; memory_core.kernels says when they are used.", 0, functions, slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__compiled(void) { return PyModuleDef_Init(&definition); }
