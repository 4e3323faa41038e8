#include "ckernels.h"
#include <string.h>

// A multiplication and an addition stay two roundings.
#pragma STDC FP_CONTRACT OFF
// Vectors are passed to functions that are inlined only.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef int whole_lanes __attribute__((vector_size(64)));

#define load_lanes(from) ({ lanes loaded; memcpy(&loaded, from, sizeof loaded); loaded; })
#define store_lanes(to, value) ({ lanes stored = value; memcpy(to, &stored, sizeof stored); })
#define select_lanes(mask, yes, no) ((lanes)(((mask) & (whole_lanes)(yes)) | (~(mask) & (whole_lanes)(no))))

#define NAME(function) function##_portable
#define TARGET
#include "lstm.inc"
#undef NAME
#undef TARGET

typedef void lstm_function(const float *, const float *, long, long, long, const float *, float *, float *);

#if defined(__x86_64__)
#define NAME(function) function##_avx2
#define TARGET __attribute__((target("avx2")))
#include "lstm.inc"
#undef NAME
#undef TARGET
#endif

static const struct level {
    const char *name;
    lstm_function *lstm;
} levels[] = {
#if defined(__x86_64__)
    {"avx2", lstm_avx2},
#endif
    {"portable", lstm_portable},
};
enum { level_count = sizeof levels / sizeof levels[0] };

static int has(const struct level *level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level->lstm == lstm_avx2) return __builtin_cpu_supports("avx2");
#endif
    return 1;
}

static _Atomic(const struct level *) chosen;

static const struct level *level(void) {
    const struct level *now = chosen;
    if (now) return now;
    now = levels;
    while (!has(now)) now++;
    chosen = now;
    return now;
}

void ckernels_lstm(const float *weights, const float *bias, long inputs, long units, long steps, const float *in,
                   float *out, float *state) {
    level()->lstm(weights, bias, inputs, units, steps, in, out, state);
}

void ckernels_dense(const float *weights, const float *bias, long inputs, long units, const float *in, float *out) {
    for (long unit = 0; unit < units; unit++) {
        lanes sum = (lanes){} + bias[unit];
        for (long k = 0; k < inputs; k++) sum += weights[unit * inputs + k] * load_lanes(in + k * ckernels_lanes);
        store_lanes(out + unit * ckernels_lanes, sum);
    }
}

const char *ckernels_level(void) { return level()->name; }

int ckernels_use(const char *name) {
    for (int index = 0; index < level_count; index++) {
        if (strcmp(levels[index].name, name) == 0 && has(&levels[index])) {
            chosen = &levels[index];
            return 1;
        }
    }
    return 0;
}
