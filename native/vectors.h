// Vectors as wide as the processor's, by GCC's and Clang's extension: with plain arrays GCC 12 keeps sums in memory.
#pragma once

namespace edgeq {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif
constexpr int LANES = VECTOR_BYTES / sizeof(float);

// May lie anywhere in an array of floats.
typedef float Vector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

} // namespace edgeq
