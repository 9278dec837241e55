#include "scoring.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace edgeq {

namespace {

// Sums of floats run over blocks, and blocks add up in double. A block of 1024 leaves 64 to 256 additions per vector
// lane: a relative error of typically 1e-6, and of less over the dozens of blocks, whose roundings are independent.
constexpr int32_t BLOCK = 1024;

// exp underflows below this. Log-probabilities so small change no sum, and the bound keeps -inf out of products.
constexpr float LOWEST = -87.0f;

// Difference to the largest logit, within the domain of exp_nonpositive. NaN stays NaN.
inline float below(float logit, float max) {
    const float x = logit - max;
    return x < LOWEST ? LOWEST : x;
}

// exp(x) for x in [-87, 0] without branches, so that loops over it become vector code. Relative error below 2e-7.
// Polynomial and reduction: expf of Arm Optimized Routines (math/aarch64/advsimd/expf.c, MIT), also in ggml's vec.h.
inline float exp_nonpositive(float x) {
    const float rounding = 0x1.8p23f; // adding it leaves the nearest whole number in the low bits
    const float shifted = x * 0x1.715476p+0f + rounding;
    const float n = shifted - rounding;
    const float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f; // x - n ln 2, ln 2 in two parts
    const float r2 = r * r;
    const float low = 0x1.573e2ep-5f + 0x1.0e4020p-7f * r;
    const float high = 0x1.fffdb6p-2f + 0x1.555e66p-3f * r;
    const float polynomial = 0x1.ffffecp-1f * r + (high + low * r2) * r2;
    uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits << 23) + 0x3f800000u; // 2^n
    float scale;
    std::memcpy(&scale, &bits, sizeof(scale));
    return scale + scale * polynomial;
}

float largest(const float * logits, int32_t n) {
    float max = logits[0];
#pragma omp simd reduction(max : max)
    for (int32_t i = 0; i < n; ++i) {
        max = logits[i] > max ? logits[i] : max;
    }
    return max;
}

// True if `token` is the first one whose logit is `max`.
bool is_first(const float * logits, int32_t token, float max) {
    int earlier = 0;
#pragma omp simd reduction(| : earlier)
    for (int32_t i = 0; i < token; ++i) {
        earlier |= logits[i] == max ? 1 : 0;
    }
    return logits[token] == max && earlier == 0;
}

} // namespace

Softmax softmax(const float * logits, int32_t n) {
    const float max = largest(logits, n);
    double total = 0.0;
    for (int32_t start = 0; start < n; start += BLOCK) {
        const int32_t end = std::min(start + BLOCK, n);
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int32_t i = start; i < end; ++i) {
            sum += exp_nonpositive(below(logits[i], max));
        }
        total += sum;
    }
    const float * found = std::find(logits, logits + n, max);
    const auto top = static_cast<int32_t>(found == logits + n ? 0 : found - logits);
    return {max, top, std::log(total)};
}

// KLD = sum of p_i (ln p_i - ln q_i) = (sum of p_i (x_i - y_i)) - ln sum exp(x) + ln sum exp(y), x and y being the
// logits below their largest one. The reference's exp(x) is computed again for every candidate: keeping it would double
// the memory for logits, and scoring is a fraction of a percent of an evaluation.
Score score(const float * reference_logits, const Softmax & reference, const float * logits, int32_t n, int32_t token) {
    const float max = largest(logits, n);
    double total = 0.0;
    double weighted = 0.0;
    for (int32_t start = 0; start < n; start += BLOCK) {
        const int32_t end = std::min(start + BLOCK, n);
        float sum = 0.0f;
        float difference = 0.0f;
#pragma omp simd reduction(+ : sum, difference)
        for (int32_t i = start; i < end; ++i) {
            const float x = below(reference_logits[i], reference.max);
            const float y = below(logits[i], max);
            sum += exp_nonpositive(y);
            difference += exp_nonpositive(x) * (x - y);
        }
        total += sum;
        weighted += difference;
    }
    const Softmax candidate{max, 0, std::log(total)};
    const double kld = weighted / std::exp(reference.log_sum) - reference.log_sum + candidate.log_sum;
    const bool same_top = is_first(logits, reference.top, max);
    return {candidate.nll(logits, token), static_cast<float>(kld), static_cast<uint8_t>(same_top)};
}

} // namespace edgeq
