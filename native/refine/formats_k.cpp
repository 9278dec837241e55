// Types with super-blocks of 256 weights, whose sub-blocks have integer scales: Q2_K to Q6_K, IQ4_XS.
#include "refine/formats.h"

#define GGML_COMMON_DECL_C
#include "ggml-common.h"

#include <cstring>

namespace edgeq::refine {

namespace {

// `low` with `high` above its first `shift` bits.
uint8_t joined(int low, int high, int shift) {
    return static_cast<uint8_t>(low | high << shift);
}

void put(uint8_t & byte, int bits, int shift) {
    byte = static_cast<uint8_t>(byte | bits << shift);
}

// 32 bytes hold the pairs of bits of 128 weights: byte l those of l, l + 32, l + 64, l + 96.
struct PairAt {
    explicit PairAt(int i) : byte(i / 128 * 32 + i % 32), shift(i % 128 / 32 * 2) {}
    int byte;
    int shift;
};

// 32 bytes hold the nibbles of 64 weights, and one bit of all 256: byte l those of l, l + 32, ...
struct NibbleAt {
    explicit NibbleAt(int i) : byte(i / 64 * 32 + i % 32), shift(i % 64 / 32 * 4) {}
    int byte;
    int shift;
};

struct BitAt {
    explicit BitAt(int i) : byte(i % 32), shift(i / 32) {}
    int byte;
    int shift;
};

void unpack_q2(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_q2_K *>(bytes);
    fields.d = block.d;
    fields.dmin = block.dmin;
    for (int i = 0; i < QK_K / 16; ++i) {
        fields.scales[i] = block.scales[i] & 15;
        fields.minimums[i] = block.scales[i] >> 4;
    }
    for (int i = 0; i < QK_K; ++i) {
        const PairAt at(i);
        fields.codes[i] = block.qs[at.byte] >> at.shift & 3;
    }
}

void pack_q2(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_q2_K *>(bytes);
    std::memset(bytes, 0, sizeof(block));
    block.d = fields.d;
    block.dmin = fields.dmin;
    for (int i = 0; i < QK_K / 16; ++i) {
        block.scales[i] = joined(fields.scales[i], fields.minimums[i], 4);
    }
    for (int i = 0; i < QK_K; ++i) {
        const PairAt at(i);
        put(block.qs[at.byte], fields.codes[i], at.shift);
    }
}

// Scale i of Q3_K: four bits among the first 8 bytes, two among the last 4; 32 is subtracted.
void unpack_q3(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_q3_K *>(bytes);
    fields.d = block.d;
    fields.dmin = 0;
    for (int i = 0; i < QK_K / 16; ++i) {
        const int low = block.scales[i % 8] >> i / 8 * 4 & 15;
        const int high = block.scales[8 + i % 4] >> i / 4 * 2 & 3;
        fields.scales[i] = joined(low, high, 4) - 32;
        fields.minimums[i] = 1;
    }
    for (int i = 0; i < QK_K; ++i) {
        const PairAt at(i);
        const BitAt high(i);
        fields.codes[i] = joined(block.qs[at.byte] >> at.shift & 3, block.hmask[high.byte] >> high.shift & 1, 2);
    }
}

void pack_q3(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_q3_K *>(bytes);
    std::memset(bytes, 0, sizeof(block));
    block.d = fields.d;
    for (int i = 0; i < QK_K / 16; ++i) {
        const int scale = fields.scales[i] + 32;
        put(block.scales[i % 8], scale & 15, i / 8 * 4);
        put(block.scales[8 + i % 4], scale >> 4, i / 4 * 2);
    }
    for (int i = 0; i < QK_K; ++i) {
        const PairAt at(i);
        const BitAt high(i);
        put(block.qs[at.byte], fields.codes[i] & 3, at.shift);
        put(block.hmask[high.byte], fields.codes[i] >> 2, high.shift);
    }
}

// The 6-bit scales and minimums of Q4_K and Q5_K: the first four of each whole in a byte, the others in two parts.
template <typename Block> void unpack_scales_45(const Block & block, Fields & fields) {
    fields.d = block.d;
    fields.dmin = block.dmin;
    const uint8_t * bytes = block.scales;
    for (int i = 0; i < 4; ++i) {
        fields.scales[i] = bytes[i] & 63;
        fields.minimums[i] = bytes[i + 4] & 63;
        fields.scales[i + 4] = joined(bytes[i + 8] & 15, bytes[i] >> 6, 4);
        fields.minimums[i + 4] = joined(bytes[i + 8] >> 4, bytes[i + 4] >> 6, 4);
    }
}

template <typename Block> void pack_scales_45(const Fields & fields, Block & block) {
    block.d = fields.d;
    block.dmin = fields.dmin;
    for (int i = 0; i < 4; ++i) {
        block.scales[i] = joined(fields.scales[i], fields.scales[i + 4] >> 4, 6);
        block.scales[i + 4] = joined(fields.minimums[i], fields.minimums[i + 4] >> 4, 6);
        block.scales[i + 8] = joined(fields.scales[i + 4] & 15, fields.minimums[i + 4] & 15, 4);
    }
}

void unpack_q4(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_q4_K *>(bytes);
    unpack_scales_45(block, fields);
    for (int i = 0; i < QK_K; ++i) {
        const NibbleAt at(i);
        fields.codes[i] = block.qs[at.byte] >> at.shift & 15;
    }
}

void pack_q4(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_q4_K *>(bytes);
    std::memset(bytes, 0, sizeof(block));
    pack_scales_45(fields, block);
    for (int i = 0; i < QK_K; ++i) {
        const NibbleAt at(i);
        put(block.qs[at.byte], fields.codes[i], at.shift);
    }
}

void unpack_q5(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_q5_K *>(bytes);
    unpack_scales_45(block, fields);
    for (int i = 0; i < QK_K; ++i) {
        const NibbleAt at(i);
        const BitAt high(i);
        fields.codes[i] = joined(block.qs[at.byte] >> at.shift & 15, block.qh[high.byte] >> high.shift & 1, 4);
    }
}

void pack_q5(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_q5_K *>(bytes);
    std::memset(bytes, 0, sizeof(block));
    pack_scales_45(fields, block);
    for (int i = 0; i < QK_K; ++i) {
        const NibbleAt at(i);
        const BitAt high(i);
        put(block.qs[at.byte], fields.codes[i] & 15, at.shift);
        put(block.qh[high.byte], fields.codes[i] >> 4, high.shift);
    }
}

// 64 bytes hold the nibbles of 128 weights of Q6_K: byte l those of l and l + 64.
struct WideNibbleAt {
    explicit WideNibbleAt(int i) : byte(i / 128 * 64 + i % 64), shift(i % 128 / 64 * 4) {}
    int byte;
    int shift;
};

void unpack_q6(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_q6_K *>(bytes);
    fields.d = block.d;
    fields.dmin = 0;
    for (int i = 0; i < QK_K / 16; ++i) {
        fields.scales[i] = block.scales[i];
        fields.minimums[i] = 1;
    }
    for (int i = 0; i < QK_K; ++i) {
        const WideNibbleAt at(i);
        const PairAt high(i);
        fields.codes[i] = joined(block.ql[at.byte] >> at.shift & 15, block.qh[high.byte] >> high.shift & 3, 4);
    }
}

void pack_q6(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_q6_K *>(bytes);
    std::memset(bytes, 0, sizeof(block));
    block.d = fields.d;
    for (int i = 0; i < QK_K / 16; ++i) {
        block.scales[i] = static_cast<int8_t>(fields.scales[i]);
    }
    for (int i = 0; i < QK_K; ++i) {
        const WideNibbleAt at(i);
        const PairAt high(i);
        put(block.ql[at.byte], fields.codes[i] & 15, at.shift);
        put(block.qh[high.byte], fields.codes[i] >> 4, high.shift);
    }
}

// Sub-block i of IQ4_XS: byte l of its 16 holds the weights l and l + 16.
struct HalvesAt {
    explicit HalvesAt(int i) : byte(i / 32 * 16 + i % 16), shift(i % 32 / 16 * 4) {}
    int byte;
    int shift;
};

void unpack_iq4(const void * bytes, Fields & fields) {
    const auto & block = *static_cast<const block_iq4_xs *>(bytes);
    fields.d = block.d;
    fields.dmin = 0;
    for (int i = 0; i < QK_K / 32; ++i) {
        fields.scales[i] = joined(block.scales_l[i / 2] >> i % 2 * 4 & 15, block.scales_h >> 2 * i & 3, 4) - 32;
        fields.minimums[i] = 1;
    }
    for (int i = 0; i < QK_K; ++i) {
        const HalvesAt at(i);
        fields.codes[i] = block.qs[at.byte] >> at.shift & 15;
    }
}

void pack_iq4(const Fields & fields, void * bytes) {
    auto & block = *static_cast<block_iq4_xs *>(bytes);
    std::memset(bytes, 0, sizeof(block));
    block.d = fields.d;
    for (int i = 0; i < QK_K / 32; ++i) {
        const int scale = fields.scales[i] + 32;
        put(block.scales_l[i / 2], scale & 15, i % 2 * 4);
        block.scales_h = static_cast<uint16_t>(block.scales_h | (scale >> 4) << 2 * i);
    }
    for (int i = 0; i < QK_K; ++i) {
        const HalvesAt at(i);
        put(block.qs[at.byte], fields.codes[i], at.shift);
    }
}

constexpr Range NONE{1, 1};
constexpr Range FOUR_BITS{0, 15};
constexpr Range SIX_BITS{0, 63};
constexpr Range SIGNED_SIX_BITS{-32, 31};
constexpr Range EIGHT_BITS{-128, 127};

} // namespace

const Format * find_k_format(ggml_type type) {
    static const Format formats[] = {
        {GGML_TYPE_Q2_K, 256, 16, FOUR_BITS, FOUR_BITS, true, {0, 3}, ZERO_LEVEL, true, unpack_q2, pack_q2},
        {GGML_TYPE_Q3_K, 256, 16, SIGNED_SIX_BITS, NONE, false, {0, 7}, ZERO_LEVEL - 4, true, unpack_q3, pack_q3},
        {GGML_TYPE_Q4_K, 256, 32, SIX_BITS, SIX_BITS, true, {0, 15}, ZERO_LEVEL, true, unpack_q4, pack_q4},
        {GGML_TYPE_Q5_K, 256, 32, SIX_BITS, SIX_BITS, true, {0, 31}, ZERO_LEVEL, true, unpack_q5, pack_q5},
        {GGML_TYPE_Q6_K, 256, 16, EIGHT_BITS, NONE, false, {0, 63}, ZERO_LEVEL - 32, true, unpack_q6, pack_q6},
        {GGML_TYPE_IQ4_XS, 256, 32, SIGNED_SIX_BITS, NONE, false, {0, 15}, NONLINEAR_LEVELS, false, unpack_iq4,
         pack_iq4},
    };
    for (const Format & format : formats) {
        if (format.type == type) {
            return &format;
        }
    }
    return nullptr;
}

} // namespace edgeq::refine
