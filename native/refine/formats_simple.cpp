// Types with blocks of 32 weights and one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL.
#include "refine/formats.h"

#define GGML_COMMON_DECL_C
#include "ggml-common.h"

#include <cstring>
#include <type_traits>

namespace edgeq::refine {

namespace {

constexpr int HALF = 16; // of a block: byte i holds the weights i and i + 16
constexpr ggml_fp16_t SIGN = 0x8000;

void unpack_nibbles(const uint8_t * bytes, Fields & fields) {
    for (int i = 0; i < HALF; ++i) {
        fields.codes[i] = bytes[i] & 15;
        fields.codes[i + HALF] = bytes[i] >> 4;
    }
}

void pack_nibbles(const Fields & fields, uint8_t * bytes) {
    for (int i = 0; i < HALF; ++i) {
        bytes[i] = static_cast<uint8_t>((fields.codes[i] & 15) | (fields.codes[i + HALF] & 15) << 4);
    }
}

// The fifth bits of Q5_0 and Q5_1, one for each weight.
void unpack_fifth_bits(const uint8_t * bytes, Fields & fields) {
    for (int i = 0; i < 2 * HALF; ++i) {
        fields.codes[i] = static_cast<uint8_t>(fields.codes[i] | (bytes[i / 8] >> i % 8 & 1) << 4);
    }
}

void pack_fifth_bits(const Fields & fields, uint8_t * bytes) {
    std::memset(bytes, 0, 4);
    for (int i = 0; i < 2 * HALF; ++i) {
        bytes[i / 8] = static_cast<uint8_t>(bytes[i / 8] | (fields.codes[i] >> 4) << i % 8);
    }
}

template <typename Block>
constexpr bool HAS_MINIMUM = std::is_same_v<Block, block_q4_1> || std::is_same_v<Block, block_q5_1>;

// Q4_1 and Q5_1 add their minimum, the types of 256 subtract it.
template <typename Block> void unpack_scale(const Block & block, Fields & fields) {
    fields.d = block.d;
    fields.scales[0] = fields.minimums[0] = 1;
    if constexpr (HAS_MINIMUM<Block>) {
        fields.dmin = block.m ^ SIGN;
    } else {
        fields.dmin = 0;
    }
}

template <typename Block> void pack_scale(const Fields & fields, Block & block) {
    block.d = fields.d;
    if constexpr (HAS_MINIMUM<Block>) {
        block.m = fields.dmin ^ SIGN;
    }
}

template <typename Block> void unpack_4(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const Block *>(bytes);
    unpack_scale(block, fields);
    unpack_nibbles(block.qs, fields);
}

template <typename Block> void pack_4(const Fields & fields, void * bytes) {
    auto & block = *static_cast<Block *>(bytes);
    pack_scale(fields, block);
    pack_nibbles(fields, block.qs);
}

template <typename Block> void unpack_5(const void * bytes, Fields & fields) {
    unpack_4<Block>(bytes, fields);
    unpack_fifth_bits(static_cast<const Block *>(bytes)->qh, fields);
}

template <typename Block> void pack_5(const Fields & fields, void * bytes) {
    pack_4<Block>(fields, bytes);
    pack_fifth_bits(fields, static_cast<Block *>(bytes)->qh);
}

void unpack_8(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_q8_0 *>(bytes);
    unpack_scale(block, fields);
    for (int i = 0; i < QK8_0; ++i) {
        fields.codes[i] = static_cast<uint8_t>(block.qs[i] + 128);
    }
}

void pack_8(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_q8_0 *>(bytes);
    pack_scale(fields, block);
    for (int i = 0; i < QK8_0; ++i) {
        block.qs[i] = static_cast<int8_t>(fields.codes[i] - 128);
    }
}

constexpr Range ONE{1, 1};

} // namespace

const Format * find_simple_format(ggml_type type) {
    static const Format formats[] = {
        {GGML_TYPE_Q4_0, 32, 32, ONE, ONE, false, {0, 15}, ZERO_LEVEL - 8, true, unpack_4<block_q4_0>,
         pack_4<block_q4_0>},
        {GGML_TYPE_Q4_1, 32, 32, ONE, ONE, true, {0, 15}, ZERO_LEVEL, true, unpack_4<block_q4_1>, pack_4<block_q4_1>},
        {GGML_TYPE_Q5_0, 32, 32, ONE, ONE, false, {0, 31}, ZERO_LEVEL - 16, true, unpack_5<block_q5_0>,
         pack_5<block_q5_0>},
        {GGML_TYPE_Q5_1, 32, 32, ONE, ONE, true, {0, 31}, ZERO_LEVEL, true, unpack_5<block_q5_1>, pack_5<block_q5_1>},
        {GGML_TYPE_Q8_0, 32, 32, ONE, ONE, false, {1, 255}, ZERO_LEVEL - 128, true, unpack_8, pack_8},
        {GGML_TYPE_IQ4_NL, 32, 32, ONE, ONE, false, {0, 15}, NONLINEAR_LEVELS, false, unpack_4<block_iq4_nl>,
         pack_4<block_iq4_nl>},
    };
    for (const Format & format : formats) {
        if (format.type == type) {
            return &format;
        }
    }
    return nullptr;
}

} // namespace edgeq::refine
