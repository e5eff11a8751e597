/* tests/fuzz/fuzz.h - the one function of a fuzz target: tests/fuzz/fuzz_<parser>.c defines it.
 * libFuzzer calls it with what it invents (make fuzz-run), replay_main.c with files (make fuzz).
 * A finding is an abort: CHECK or a sanitizer. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
