// A stand-in for Gloo's header, which libtorch does not ship: ProcessGroupGloo.hpp has it behind pointers only.
#pragma once
#include <chrono>
namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds);
};
} // namespace gloo
