#pragma once

#include <cstddef>
#include <cstdint>

/// What a fuzz target is: takes any bytes, and aborts when the code under test
/// does what it must not. libFuzzer calls it with inputs that it invents;
/// `corpus_main.cpp` with those of the repository. Always returns 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace millrace::test {

/// Aborts with `what` unless `ok`; libFuzzer then keeps the input.
void demand(bool ok, const char* what);

} // namespace millrace::test
