// Time in which nothing is done.
#pragma once

namespace edgeq {

// Sleeps, without looking at the clock in between.
void pause(double seconds);

// The loaded model rests in memory, as phase "loaded"; no phase for 0 seconds. There must be no context, and so no
// thread of ggml that polls for work.
void rest(double seconds, int rep);

} // namespace edgeq
