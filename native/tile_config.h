// GCC's _tile_loadconfig (amxtileintrin.h of 12.2) names 8 of the 64 bytes that the instruction reads, so what sets the
// others is optimized away. The processor refuses what lies there instead, and every matrix product of quantized weights
// ends in SIGSEGV on a processor with AMX.
#pragma once

#if defined(__GNUC__) && !defined(__clang__) && defined(__AMX_TILE__)
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" ::"m"(*reinterpret_cast<const char(*)[64]>(config)))
#endif
