// A loop over independent tasks in a few threads.
#pragma once

#include <functional>

namespace edgeq::refine {

// Calls task(i, worker) for i in [0, n_tasks), in any order; worker < n_threads, and each is one thread. Where the system
// starts fewer threads the others do the work. Tasks must not throw.
void for_each(int n_tasks, int n_threads, const std::function<void(int, int)> & task);

} // namespace edgeq::refine
