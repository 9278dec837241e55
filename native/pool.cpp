#include "pool.h"

#include "failure.h"

#include <system_error>

namespace edgeq {

ThreadPool::ThreadPool(int n_threads) {
    try {
        for (int i = 1; i < n_threads; ++i) {
            threads_.emplace_back([this] { wait_for_work(); });
        }
    } catch (const std::system_error & error) {
        // The threads that did start run until the process ends, which is now.
        for (auto & thread : threads_) {
            thread.detach();
        }
        throw Failure("memory", "can't start " + std::to_string(n_threads) + " threads: " + error.what());
    }
}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    work_ready_.notify_all();
    for (auto & thread : threads_) {
        thread.join();
    }
}

void ThreadPool::run(int n, const std::function<void(int)> & task) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        task_ = &task;
        n_tasks_ = n;
        next_ = 0;
        n_busy_ = static_cast<int>(threads_.size());
        ++generation_;
    }
    work_ready_.notify_all();
    take_tasks();
    std::unique_lock<std::mutex> lock(mutex_);
    work_done_.wait(lock, [this] { return n_busy_ == 0; });
}

void ThreadPool::take_tasks() {
    for (int i; (i = next_++) < n_tasks_;) {
        (*task_)(i);
    }
}

void ThreadPool::wait_for_work() {
    int seen = 0;
    for (;;) {
        {
            std::unique_lock<std::mutex> lock(mutex_);
            work_ready_.wait(lock, [&] { return stopping_ || generation_ != seen; });
            if (stopping_) {
                return;
            }
            seen = generation_;
        }
        take_tasks();
        const std::lock_guard<std::mutex> lock(mutex_);
        if (--n_busy_ == 0) {
            work_done_.notify_one();
        }
    }
}

} // namespace edgeq
