// How functions report exceptions to Rust: they return an error, and `pipe_error` has the text.

#pragma once
#include <c10/util/Exception.h>
#include <exception>
#include <string>

inline thread_local std::string last_error;

// Runs `work`; returns `failed` if it throws.
template <typename R, typename F>
R guarded(R failed, F work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    last_error = error.what_without_backtrace();
  } catch (const std::exception& error) {
    last_error = error.what();
  } catch (...) {
    last_error = "an unknown error";
  }
  return failed;
}
