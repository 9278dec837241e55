// From logits to what is recorded per token: negative log-likelihood, KL divergence, agreement on the top token.
#pragma once

#include <cstdint>

namespace edgeq {

// What one row of logits needs to become probabilities: p_i = exp(logits_i - max) / exp(log_sum).
struct Softmax {
    float max;
    int32_t top;    // the first token that has the largest logit
    double log_sum; // ln of the sum over i of exp(logits_i - max)

    // -ln p of a token, in nats.
    float nll(const float * logits, int32_t token) const {
        return static_cast<float>(log_sum - (static_cast<double>(logits[token]) - max));
    }
};

struct Score {
    float nll;
    float kld; // KL(reference || candidate) in nats, over the whole vocabulary
    uint8_t same_top;
};

// Softmax of a row of n logits. Logits that are not numbers make log_sum NaN.
Softmax softmax(const float * logits, int32_t n);

// Scores a candidate's row of n logits against the reference's row and the softmax of it. NaN stays NaN.
Score score(const float * reference_logits, const Softmax & reference, const float * logits, int32_t n, int32_t token);

} // namespace edgeq
