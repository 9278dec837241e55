#include "events.h"

#include "failure.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace edgeq {

namespace {

int g_fd = -1;
std::string g_path;

// One write(2) per line: an interrupted run leaves whole lines, and no buffer is lost with the process.
bool write_line(const std::string & line) {
    size_t done = 0;
    while (done < line.size()) {
        const ssize_t n = ::write(g_fd, line.data() + done, line.size() - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        done += static_cast<size_t>(n);
    }
    return true;
}

// Length of the well-formed UTF-8 sequence at `s` (Unicode 15, table 3-7), 0 if there is none.
size_t utf8_length(const unsigned char * s, size_t n) {
    const auto is_tail = [&](size_t i) { return i < n && (s[i] & 0xC0) == 0x80; };
    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xC2 && s[0] <= 0xDF) {
        return is_tail(1) ? 2 : 0;
    }
    if (s[0] >= 0xE0 && s[0] <= 0xEF && is_tail(1) && is_tail(2)) {
        const bool overlong = s[0] == 0xE0 && s[1] < 0xA0;
        const bool surrogate = s[0] == 0xED && s[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4 && is_tail(1) && is_tail(2) && is_tail(3)) {
        const bool overlong = s[0] == 0xF0 && s[1] < 0x90;
        const bool too_large = s[0] == 0xF4 && s[1] > 0x8F;
        return overlong || too_large ? 0 : 4;
    }
    return 0;
}

} // namespace

std::string json_string(const std::string & text) {
    std::string out = "\"";
    const auto * s = reinterpret_cast<const unsigned char *>(text.data());
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(s + i, text.size() - i);
        if (length == 0) {
            out += "\\ufffd";
            i += 1;
        } else if (s[i] == '"' || s[i] == '\\') {
            out += '\\';
            out += text[i++];
        } else if (s[i] < 0x20 || s[i] == 0x7F) {
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", s[i++]);
            out += escape;
        } else {
            out.append(text, i, length);
            i += length;
        }
    }
    return out + "\"";
}

Json::Json(const std::string & event) { add("event", event); }

Json & Json::add_raw(const std::string & key, const std::string & json) {
    body_ += (body_.empty() ? "" : ",") + json_string(key) + ":" + json;
    return *this;
}

Json & Json::add(const std::string & key, const std::string & value) { return add_raw(key, json_string(value)); }
Json & Json::add(const std::string & key, const char * value) { return add_raw(key, json_string(value)); }
Json & Json::add(const std::string & key, int64_t value) { return add_raw(key, std::to_string(value)); }
Json & Json::add(const std::string & key, int value) { return add_raw(key, std::to_string(value)); }
Json & Json::add(const std::string & key, bool value) { return add_raw(key, value ? "true" : "false"); }
Json & Json::add(const std::string & key, const Json & value) { return add_raw(key, value.text()); }
Json & Json::add_null(const std::string & key) { return add_raw(key, "null"); }

Json & Json::add(const std::string & key, const std::vector<int64_t> & values) {
    std::string list;
    for (const int64_t value : values) {
        list += (list.empty() ? "" : ",") + std::to_string(value);
    }
    return add_raw(key, "[" + list + "]");
}

Json & Json::add(const std::string & key, const std::vector<double> & values) {
    std::string list;
    for (const double value : values) {
        char text[32] = "null";
        if (std::isfinite(value)) {
            std::snprintf(text, sizeof(text), "%.17g", value);
        }
        list += (list.empty() ? "" : ",") + std::string(text);
    }
    return add_raw(key, "[" + list + "]");
}

Json & Json::add(const std::string & key, const std::vector<Json> & values) {
    std::string list;
    for (const Json & value : values) {
        list += (list.empty() ? "" : ",") + value.text();
    }
    return add_raw(key, "[" + list + "]");
}

std::string Json::text() const { return "{" + body_ + "}"; }

void open_events(const std::string & path) {
    g_path = path;
    g_fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (g_fd < 0) {
        throw Failure("output", "can't write " + path + ": " + std::strerror(errno));
    }
}

void emit(const Json & event) {
    if (!write_line(event.text() + "\n")) {
        throw Failure("output", "can't write " + g_path + ": " + std::strerror(errno));
    }
}

bool emit_error(const std::string & code, const std::string & text) {
    if (g_fd < 0) {
        return false;
    }
    const bool written = write_line(Json("error").add("code", code).add("text", text).text() + "\n");
    ::fsync(g_fd);
    return written;
}

int events_fd() { return g_fd; }

} // namespace edgeq
