// What the blocks of each type consist of. A weight is d * scale * level(code) - dmin * minimum.
#pragma once

#include "ggml.h"

#include <cstddef>
#include <cstdint>

namespace edgeq::refine {

constexpr int MAX_BLOCK = 256;
constexpr int MAX_SUB_BLOCKS = 16;

// A block, unpacked. Scales and minimums of types that have none per sub-block are 1, dmin of those without is 0.
struct Fields {
    ggml_fp16_t d;
    ggml_fp16_t dmin;
    int scales[MAX_SUB_BLOCKS];
    int minimums[MAX_SUB_BLOCKS];
    uint8_t codes[MAX_BLOCK];
};

// What an integer field can hold; one value alone: the type does not store it.
struct Range {
    int low;
    int high;
    bool stored() const { return low < high; }
};

struct Format {
    ggml_type type;
    int block;            // weights of a block
    int sub_block;        // weights that share a scale
    Range scale;
    Range minimum;
    bool has_dmin;
    Range code;           // the codes that llama.cpp's encoder uses
    const float * levels; // of code 0, 1, ...: rising
    bool consecutive;     // the levels are whole numbers without gaps
    void (*unpack)(const void * block, Fields & fields);
    void (*pack)(const Fields & fields, void * block);

    size_t block_bytes() const { return ggml_type_size(type); }

    // The code whose level is nearest to `level`, which may be infinite.
    int nearest(float level) const;
};

// The values of `n` weights of a block from sub-block `sub` on: what ggml's dequantization gives, bit for bit. The product
// of d, scale and level has at most 23 bits (11 + 7 + 5 of Q6_K), so that only the difference is rounded.
void decode(const Format & format, const Fields & fields, int sub, int n, float * values);

// The values of `n` weights of any type that has values, by ggml.
void to_floats(ggml_type type, const uint8_t * blocks, float * values, int64_t n);

// Whether a row of `n` weights is read here as ggml reads it and written as it was: not so where a llama.cpp stores the
// type in another way.
bool is_read_as_by_ggml(const Format & format, const uint8_t * blocks, const float * values, int64_t n);

// nullptr for a type that has no refiner.
const Format * find_format(ggml_type type);

// Formats of 32 weights and of 256, each in its own file.
const Format * find_simple_format(ggml_type type);
const Format * find_k_format(ggml_type type);

// -128 to 127: the levels of a type whose code 0 is the level -n begin n before the 0.
extern const float * const ZERO_LEVEL;
// The 16 levels of IQ4_NL and IQ4_XS.
extern const float * const NONLINEAR_LEVELS;

} // namespace edgeq::refine
