// A stand-in for Gloo's header, which libtorch does not ship: ProcessGroupGloo.hpp has it behind pointers only.
#pragma once
namespace gloo {
namespace transport {
class Device;
class UnboundBuffer {
 public:
  virtual ~UnboundBuffer();
};
} // namespace transport
} // namespace gloo
