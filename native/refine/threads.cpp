#include "refine/threads.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace edgeq::refine {

void for_each(int n_tasks, int n_threads, const std::function<void(int, int)> & task) {
    std::atomic<int> next{0};
    const auto work = [&](int worker) {
        for (int i; (i = next++) < n_tasks;) {
            task(i, worker);
        }
    };
    std::vector<std::thread> threads;
    threads.reserve(n_threads);
    try {
        for (int i = 1; i < n_threads; ++i) {
            threads.emplace_back(work, i);
        }
    } catch (const std::system_error &) {
        // The results are the same with fewer.
    }
    work(0);
    for (auto & thread : threads) {
        thread.join();
    }
}

} // namespace edgeq::refine
