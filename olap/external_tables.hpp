#pragma once

#include "olap/multipart.hpp"
#include "olap/query_connection.hpp"
#include "olap/query_request.hpp"

namespace millrace::olap {

/// Reads a `multipart/form-data` body: fields are further parameters of
/// `request`, files become temporary tables of `connection`, with the structure
/// and format that fields or parameters before them name. Without an error
/// `in.broken()` tells that the client has gone or the request was interrupted.
db_error read_form(multipart_reader& in, query_request& request,
                   query_connection& connection);

} // namespace millrace::olap
