// Resident memory of this process, as the system counts it.
#pragma once

#include "events.h"

namespace edgeq {

// {"event":"memory","at":at,"rss_peak_bytes":...,"rss_bytes":...}; null where the system gives no value.
Json memory_event(const std::string & at);

} // namespace edgeq
