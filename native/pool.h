// Threads that wait for work, for loops whose iterations are too short to start threads for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace edgeq {

class ThreadPool {
public:
    // `n_threads` threads work on a loop: n_threads - 1 of the pool and the one that calls run().
    explicit ThreadPool(int n_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool & operator=(const ThreadPool &) = delete;

    // Calls task(i) for i in [0, n), in any order, and returns when all are done. Tasks must not throw.
    void run(int n, const std::function<void(int)> & task);

private:
    void wait_for_work();
    void take_tasks();

    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable work_ready_;
    std::condition_variable work_done_;
    const std::function<void(int)> * task_ = nullptr;
    int n_tasks_ = 0;
    std::atomic<int> next_{0};
    int n_busy_ = 0;
    int generation_ = 0; // counts calls of run(), so that a thread joins each of them once
    bool stopping_ = false;
};

} // namespace edgeq
