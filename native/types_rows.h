// Rows of weights in one ggml type, and what they must give when they are multiplied.
#pragma once

#include "ggml.h"

#include <cstdint>
#include <string>
#include <vector>

namespace edgeq {

// As it is called in files: Q4_K, IQ4_NL, F16.
std::string type_name(ggml_type type);

// A vector of random values from a normal distribution, the same for each seed.
std::vector<float> random_vector(size_t n, uint32_t seed);

class Rows {
public:
    // Random rows, encoded; `input` is what they are multiplied with.
    Rows(ggml_type type, const std::vector<float> & input);

    ggml_type type() const { return type_; }
    std::string name() const { return type_name(type_); }
    int32_t n_columns() const { return n_columns_; }

    // A matrix of n_rows rows: row r has the content of row (first + r) mod COUNT.
    std::vector<uint8_t> matrix(int32_t n_rows, int32_t first) const;

    // How far the product of such a matrix and the input is from that of the decoded weights in double precision:
    // of its rows the largest error, in standard deviations of the error that rounding the input to 8 bits brings.
    double largest_error(const std::vector<float> & product, int32_t first) const;

    // A prime number of different rows, so that no kernel that works on groups of rows meets the same group again.
    static constexpr int32_t COUNT = 61;

private:
    ggml_type type_;
    int32_t n_columns_;
    std::vector<uint8_t> bytes_;
    std::vector<double> products_;
    std::vector<double> deviations_;
};

} // namespace edgeq
