#include "refine/formats.h"

#define GGML_COMMON_DECL_C
#define GGML_COMMON_IMPL_CPP
#include "ggml-common.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace edgeq::refine {

namespace {

std::array<float, 256> make_whole_numbers() {
    std::array<float, 256> levels{};
    for (int i = 0; i < 256; ++i) {
        levels[i] = static_cast<float>(i - 128);
    }
    return levels;
}

std::array<float, 16> make_nonlinear() {
    std::array<float, 16> levels{};
    std::copy(std::begin(kvalues_iq4nl), std::end(kvalues_iq4nl), levels.begin());
    return levels;
}

const std::array<float, 256> WHOLE_NUMBERS = make_whole_numbers();
const std::array<float, 16> NONLINEAR = make_nonlinear();

} // namespace

const float * const ZERO_LEVEL = WHOLE_NUMBERS.data() + 128;
const float * const NONLINEAR_LEVELS = NONLINEAR.data();

int Format::nearest(float level) const {
    if (consecutive) {
        const float position = level - levels[0];
        const auto low = static_cast<float>(code.low);
        const auto high = static_cast<float>(code.high);
        return static_cast<int>(std::rint(std::min(std::max(low, position), high)));
    }
    int n_below = 0;
#pragma omp simd reduction(+ : n_below)
    for (int i = code.low; i < code.high; ++i) {
        n_below += level > 0.5f * (levels[i] + levels[i + 1]) ? 1 : 0;
    }
    return code.low + n_below;
}

void decode(const Format & format, const Fields & fields, int sub, int n, float * values) {
    const float d = ggml_fp16_to_fp32(fields.d);
    const float dmin = ggml_fp16_to_fp32(fields.dmin);
    const uint8_t * codes = fields.codes + sub * format.sub_block;
    for (int i = 0; i < n; i += format.sub_block, ++sub) {
        const float scale = d * static_cast<float>(fields.scales[sub]);
        const float minimum = dmin * static_cast<float>(fields.minimums[sub]);
        for (int j = i; j < i + format.sub_block; ++j) {
            values[j] = scale * format.levels[codes[j]] - minimum;
        }
    }
}

void to_floats(ggml_type type, const uint8_t * blocks, float * values, int64_t n) {
    if (type == GGML_TYPE_F32) {
        std::memcpy(values, blocks, n * sizeof(float));
    } else {
        ggml_get_type_traits(type)->to_float(blocks, values, n);
    }
}

bool is_read_as_by_ggml(const Format & format, const uint8_t * blocks, const float * values, int64_t n) {
    Fields fields;
    float ours[MAX_BLOCK];
    uint8_t packed[MAX_BLOCK + 64];
    for (int64_t i = 0; i < n; i += format.block, blocks += format.block_bytes()) {
        format.unpack(blocks, fields);
        decode(format, fields, 0, format.block, ours);
        format.pack(fields, packed);
        if (!std::equal(ours, ours + format.block, values + i) ||
            std::memcmp(packed, blocks, format.block_bytes()) != 0) {
            return false;
        }
    }
    return true;
}

const Format * find_format(ggml_type type) {
    const Format * simple = find_simple_format(type);
    return simple != nullptr ? simple : find_k_format(type);
}

} // namespace edgeq::refine
