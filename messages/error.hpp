#pragma once

#include "messages/ec.hpp"

#include <caf/error.hpp>
#include <caf/make_message.hpp>

#include <string>

namespace millrace {

/// Renders any error as one line for logs and for stderr.
std::string render(const caf::error& err);

/// What a person needs of millrace's own errors: their text without the code.
std::string text_of(const caf::error& err);

/// Turns the failure of a room without actors into an error of actors.
caf::error to_error(const failure& x);

/// Whether the error has a code of `ec`: CAF has errors of its own.
bool is_ours(const caf::error& err);

/// Whether the supervisor should start the pipeline again. Errors that are not
/// millrace's own (an exception, a lost actor) are retriable.
bool is_retriable(const caf::error& err);

} // namespace millrace

CAF_ERROR_CODE_ENUM(millrace::ec, "millrace")
