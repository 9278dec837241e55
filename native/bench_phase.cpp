#include "bench_phase.h"

#include "clock.h"
#include "events.h"

#include <utility>

namespace edgeq {

Phase::Phase(std::string kind, int rep) : kind_(std::move(kind)), rep_(rep), t0_ns_(now_ns()) {}

void Phase::token_ready() { token_ns_.push_back(now_ns() - t0_ns_); }

int64_t Phase::finish(const std::string & test, int32_t n_tokens) {
    const int64_t t1_ns = now_ns();
    Json event("phase");
    event.add("kind", kind_);
    test.empty() ? event.add_null("test") : event.add("test", test);
    event.add("rep", rep_).add("n_tokens", n_tokens).add("t0_ns", t0_ns_).add("t1_ns", t1_ns);
    if (kind_ == "decode") {
        event.add("token_ns", token_ns_);
    }
    emit(event);
    return t1_ns - t0_ns_;
}

} // namespace edgeq
