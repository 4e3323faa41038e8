// What the C functions and the decoders for the instruction sets share.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "csimdjson.h"

struct mr_decoder {
    int32_t paths = 0;
    size_t record_bytes_max = 0;
    virtual ~mr_decoder() = default;
    // Forgets what tokens of the call before point at.
    virtual void begin() = 0;
    // False if the record is no well-formed object. May throw.
    virtual bool decode(const uint8_t *value, size_t count, mr_token *tokens) = 0;
};

mr_decoder *mr_make_portable(const std::vector<std::vector<std::string>> &paths);
mr_decoder *mr_make_haswell(const std::vector<std::vector<std::string>> &paths);
