// Resident memory of this process, as the system counts it.
#pragma once

#include "events.h"

#include "llama.h"

#include <string>
#include <vector>

namespace edgeq {

// The files that a loaded model may be mapped from: one, or all parts of a split model.
std::vector<std::string> model_files(const llama_model * model, const std::string & path);

// {"event":"memory","at":at,"rss_peak_bytes":...,"rss_bytes":...}; null where the system gives no value.
Json memory_event(const std::string & at);

// The same with "model_mapped_bytes": resident pages of these files. Walks them: not for a time that is measured.
Json memory_event(const std::string & at, const std::vector<std::string> & files);

} // namespace edgeq
