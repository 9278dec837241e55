// What a program tells its caller: one JSON object per line, appended to a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgeq {

// A JSON object under construction: Json("phase").add("rep", 0).text()
class Json {
public:
    Json() = default;
    // Starts an object with {"event": event}.
    explicit Json(const std::string & event);

    Json & add(const std::string & key, const std::string & value);
    Json & add(const std::string & key, const char * value);
    Json & add(const std::string & key, int64_t value);
    Json & add(const std::string & key, int value);
    Json & add(const std::string & key, bool value);
    Json & add(const std::string & key, const std::vector<int64_t> & values);
    Json & add(const std::string & key, const std::vector<double> & values); // not a number: null
    Json & add(const std::string & key, const std::vector<Json> & values);
    Json & add(const std::string & key, const Json & value);
    Json & add_null(const std::string & key);

    std::string text() const;

private:
    Json & add_raw(const std::string & key, const std::string & json);
    std::string body_;
};

// A JSON string with its quotes. Control characters are escaped, bytes that are not UTF-8 become U+FFFD.
std::string json_string(const std::string & text);

// Opens the file that all events go to. Throws Failure "output" when that is impossible.
void open_events(const std::string & path);

// Appends one line; when this returns, the line has left the process. Throws Failure "output".
void emit(const Json & event);

// Appends the error event and syncs the file; never throws. Returns false if there is no file to write to.
bool emit_error(const std::string & code, const std::string & text);

// For signal handlers: the descriptor of the event file, -1 if none.
int events_fd();

} // namespace edgeq
