#include "failure.h"

#include "args.h"
#include "events.h"

#include "ggml.h"
#include "llama.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <unistd.h>

namespace edgeq {

namespace {

constexpr int FAILED = 5;
constexpr int WRONG_USAGE = 2;

std::mutex g_log_mutex;
std::string g_logged_error;
volatile std::sig_atomic_t g_finished = 0; // the last event has been written

void on_log(ggml_log_level level, const char * text, void *) {
    std::fputs(text, stderr);
    if (level != GGML_LOG_LEVEL_ERROR) {
        return;
    }
    const std::lock_guard<std::mutex> lock(g_log_mutex);
    if (g_logged_error.empty()) {
        g_logged_error = text;
        while (!g_logged_error.empty() && g_logged_error.back() == '\n') {
            g_logged_error.pop_back();
        }
    }
}

void on_ggml_abort(const char * message) {
    std::fprintf(stderr, "%s\n", message);
    g_finished = 1;
    emit_error("abort", std::string("llama.cpp gave up: ") + message);
}

struct FatalSignal {
    int number;
    const char * line; // built beforehand: a handler may only call async-signal-safe functions
};

#define ABORT_LINE(text) "{\"event\":\"error\",\"code\":\"abort\",\"text\":\"" text "\"}\n"
const FatalSignal FATAL_SIGNALS[] = {
    {SIGBUS, ABORT_LINE("the system could not read a mapped part of a file (SIGBUS): the model file is shorter than "
                        "when it was opened, or its disk failed")},
    {SIGSEGV, ABORT_LINE("the program crashed (SIGSEGV: bad memory access)")},
    {SIGFPE, ABORT_LINE("the program crashed (SIGFPE: arithmetic error)")},
    {SIGILL, ABORT_LINE("the program crashed (SIGILL): it was built for another processor")},
    {SIGABRT, ABORT_LINE("the program aborted (SIGABRT); its log says why")},
};

void on_fatal_signal(int number) {
    for (const auto & fatal : FATAL_SIGNALS) {
        if (fatal.number == number && g_finished == 0 && events_fd() >= 0) {
            g_finished = 1;
            if (::write(events_fd(), fatal.line, std::strlen(fatal.line)) > 0) {
                ::fsync(events_fd());
            }
        }
    }
    ::raise(number); // SA_RESETHAND has restored the default action
}

// libgomp and parts of ggml call exit(1) when, for example, a thread can't be created.
void on_exit() {
    if (g_finished == 0) {
        g_finished = 1;
        const std::string cause = logged_error();
        emit_error("abort", "a library ended the program early: " + (cause.empty() ? "its log says why" : cause));
        std::fflush(nullptr);
        ::_exit(FAILED);
    }
}

void install_handlers() {
    llama_log_set(on_log, nullptr);
    ggml_set_abort_callback(on_ggml_abort);
    std::atexit(on_exit);
    // A stack of its own, since running out of stack is also a SIGSEGV.
    static char stack[64 * 1024];
    stack_t alternative{};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof(stack);
    ::sigaltstack(&alternative, nullptr);
    for (const auto & fatal : FATAL_SIGNALS) {
        struct sigaction action{};
        action.sa_handler = on_fatal_signal;
        action.sa_flags = SA_RESETHAND | SA_ONSTACK | SA_NODEFER;
        ::sigaction(fatal.number, &action, nullptr);
    }
}

int fail(const std::string & name, const std::string & code, const std::string & text) {
    emit_error(code, text);
    g_finished = 1;
    std::fprintf(stderr, "%s: error: %s\n", name.c_str(), text.c_str());
    return FAILED;
}

} // namespace

std::string logged_error() {
    const std::lock_guard<std::mutex> lock(g_log_mutex);
    return g_logged_error;
}

void forget_logged_error() {
    const std::lock_guard<std::mutex> lock(g_log_mutex);
    g_logged_error.clear();
}

int run_program(const std::string & name, const std::function<void()> & body) {
    install_handlers();
    try {
        body();
        g_finished = 1;
        return 0;
    } catch (const UsageError & error) {
        emit_error("usage", error.what());
        g_finished = 1;
        std::fprintf(stderr, "%s: error: %s\n", name.c_str(), error.what());
        return WRONG_USAGE;
    } catch (const Failure & failure) {
        return fail(name, failure.code, failure.what());
    } catch (const std::bad_alloc &) {
        return fail(name, "memory", "not enough memory");
    } catch (const std::exception & error) {
        return fail(name, "abort", error.what());
    }
}

} // namespace edgeq
