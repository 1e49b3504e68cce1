#pragma once

#include "messages/error.hpp"
#include "messages/failure_point.hpp"

namespace millrace {

/// Ends the actor if a test makes it fail at this place: see `failure_point`.
template <class Self>
bool fails_at(Self self, const char* place) {
  auto passed = failure_point(place, ec::unhandled_exception);
  if (passed)
    return false;
  self->quit(to_error(passed.error()));
  return true;
}

} // namespace millrace
