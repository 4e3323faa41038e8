// Finds the wanted members of a batch of JSON objects with simdjson's On-Demand parser. It locates and
// unescapes; what the members mean is decided in Swift.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MR_MISSING = 0,
    MR_NULL = 1,
    MR_FALSE = 2,
    MR_TRUE = 3,
    MR_NUMBER = 4,
    MR_STRING = 5,
    MR_OBJECT = 6,
    MR_ARRAY = 7,
    // The path leads on from an array, or from a text, a number or a boolean; `count` tells how many of its
    // names led there.
    MR_THROUGH_ARRAY = 8,
    MR_THROUGH_VALUE = 9,
};

enum {
    MR_GOOD = 0,
    MR_MALFORMED = 1,
    MR_NULL_VALUE = 2,
    MR_OVERSIZED = 3,
};

// A member's value. Numbers: their text. Strings: unescaped. Both point into the record, or into the
// decoder's scratch memory until the next call.
typedef struct {
    const uint8_t *_Nullable start;
    uint32_t count;
    uint32_t kind;
} mr_token;

typedef struct mr_decoder mr_decoder;

// `paths` holds `count` member paths, each a list of names separated and ended by '\0' and closed by
// another '\0'. NULL when memory is short.
mr_decoder *_Nullable mr_decoder_new(const char *_Nonnull paths, int32_t count, size_t record_bytes_max);
void mr_decoder_free(mr_decoder *_Nonnull decoder);

// 1 if the bytes are UTF-8.
int32_t mr_is_utf8(const uint8_t *_Nonnull bytes, size_t count);

// Decodes `rows` records. `tokens` has rows x paths entries, row by row. `status` gets one MR_ value a row.
void mr_decode(mr_decoder *_Nonnull decoder, const uint8_t *_Nullable const *_Nonnull values,
               const int32_t *_Nonnull counts, int32_t rows, mr_token *_Nonnull tokens, uint8_t *_Nonnull status);

#ifdef __cplusplus
}
#endif
