// Every way a program can end badly, and the one sentence about it that reaches the caller.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace edgeq {

// A failure with a sentence for the user. Codes: load, memory, decode, input, output; abort is written by the handlers.
struct Failure : std::runtime_error {
    Failure(std::string code_, const std::string & text) : std::runtime_error(text), code(std::move(code_)) {}
    std::string code;
};

// Runs a program's body and returns its exit status: 0, 2 for a wrong command line, 5 for any failure, which is then
// the last event. Aborts inside ggml, fatal signals and exit() from a library write their event too.
// llama.cpp's log goes to stderr.
int run_program(const std::string & name, const std::function<void()> & body);

// First error that llama.cpp logged since forget_logged_error(), without its line break; "" if none. The first one
// names the cause, those that follow it only say that the caller gave up too.
std::string logged_error();
void forget_logged_error();

} // namespace edgeq
