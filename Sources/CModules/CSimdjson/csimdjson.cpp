#include "decoder.h"

#include <simdjson.h>

mr_decoder *mr_decoder_new(const char *paths, int32_t count, size_t record_bytes_max) {
    try {
        std::vector<std::vector<std::string>> split;
        for (int32_t token = 0; token < count; token++) {
            std::vector<std::string> path;
            while (*paths) {
                path.emplace_back(paths);
                paths += path.back().size() + 1;
            }
            paths++;
            split.push_back(std::move(path));
        }
#if defined(__x86_64__)
        bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("pclmul");
        mr_decoder *decoder = wide ? mr_make_haswell(split) : mr_make_portable(split);
#else
        mr_decoder *decoder = mr_make_portable(split);
#endif
        decoder->paths = count;
        decoder->record_bytes_max = record_bytes_max;
        return decoder;
    } catch (...) {
        return nullptr;
    }
}

void mr_decoder_free(mr_decoder *decoder) { delete decoder; }

int32_t mr_is_utf8(const uint8_t *bytes, size_t count) {
    return simdjson::validate_utf8(reinterpret_cast<const char *>(bytes), count);
}

void mr_decode(mr_decoder *decoder, const uint8_t *const *values, const int32_t *counts, int32_t rows,
               mr_token *tokens, uint8_t *status) {
    decoder->begin();
    const size_t paths = size_t(decoder->paths);
    memset(tokens, 0, sizeof(mr_token) * paths * size_t(rows));
    for (int32_t row = 0; row < rows; row++) {
        if (!values[row] || counts[row] < 0) {
            status[row] = MR_NULL_VALUE;
            continue;
        }
        if (size_t(counts[row]) > decoder->record_bytes_max) {
            status[row] = MR_OVERSIZED;
            continue;
        }
        bool good = false;
        try {
            good = counts[row] > 0 && decoder->decode(values[row], size_t(counts[row]), tokens + paths * size_t(row));
        } catch (...) {
        }
        status[row] = good ? MR_GOOD : MR_MALFORMED;
    }
}
