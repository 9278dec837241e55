#include "types_rows.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <random>

namespace edgeq {

namespace {

constexpr float WEIGHT_SCALE = 0.02f; // as in trained models
constexpr uint32_t WEIGHT_SEED = 1;
// The largest group of values to which any backend gives one scale (Q8_K), and the largest code in it.
constexpr int32_t GROUP = 256;
constexpr double LARGEST_CODE = 127.0;

// Variance of each value's error, uniform over one step, where the input is rounded to 8 bits in groups.
std::vector<double> rounding_variances(const std::vector<float> & input) {
    std::vector<double> variances(input.size());
    for (size_t start = 0; start < input.size(); start += GROUP) {
        double largest = 0.0;
        for (size_t i = start; i < start + GROUP; ++i) {
            largest = std::max(largest, std::fabs(static_cast<double>(input[i])));
        }
        const double step = largest / LARGEST_CODE;
        std::fill_n(variances.begin() + static_cast<std::ptrdiff_t>(start), GROUP, step * step / 12.0);
    }
    return variances;
}

std::vector<float> decode_row(ggml_type type, const uint8_t * row, size_t n) {
    std::vector<float> values(n);
    ggml_get_type_traits(type)->to_float(row, values.data(), static_cast<int64_t>(n));
    return values;
}

} // namespace

std::string type_name(ggml_type type) {
    std::string name = ggml_type_name(type);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    return name;
}

std::vector<float> random_vector(size_t n, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(n);
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
    return values;
}

Rows::Rows(ggml_type type, const std::vector<float> & input)
    : type_(type), n_columns_(static_cast<int32_t>(input.size())), bytes_(COUNT * ggml_row_size(type, n_columns_)) {
    auto weights = random_vector(COUNT * input.size(), WEIGHT_SEED);
    for (float & weight : weights) {
        weight *= WEIGHT_SCALE;
    }
    const std::vector<float> importance(input.size(), 1.0f); // some types can't be encoded without
    ggml_quantize_chunk(type, weights.data(), bytes_.data(), 0, COUNT, n_columns_, importance.data());
    const auto variances = rounding_variances(input);
    for (int32_t row = 0; row < COUNT; ++row) {
        const auto decoded = decode_row(type, bytes_.data() + row * ggml_row_size(type, n_columns_), input.size());
        double product = 0.0;
        double variance = 0.0;
        for (size_t i = 0; i < input.size(); ++i) {
            const double weight = decoded[i];
            product += weight * input[i];
            variance += weight * weight * variances[i];
        }
        products_.push_back(product);
        deviations_.push_back(std::sqrt(variance));
    }
}

std::vector<uint8_t> Rows::matrix(int32_t n_rows, int32_t first) const {
    const size_t n_bytes = ggml_row_size(type_, n_columns_);
    std::vector<uint8_t> matrix(n_rows * n_bytes);
    for (int32_t r = 0; r < n_rows; ++r) {
        std::memcpy(matrix.data() + r * n_bytes, bytes_.data() + (first + r) % COUNT * n_bytes, n_bytes);
    }
    return matrix;
}

double Rows::largest_error(const std::vector<float> & product, int32_t first) const {
    double largest = 0.0;
    for (size_t r = 0; r < product.size(); ++r) {
        const size_t row = (first + r) % COUNT;
        const double error = std::fabs(product[r] - products_[row]) / deviations_[row];
        largest = error <= largest ? largest : error; // not a number is the largest
    }
    return largest;
}

} // namespace edgeq
