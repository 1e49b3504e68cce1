#pragma once

#include "http/socket.hpp"
#include "messages/ec.hpp"

#include <string>

namespace millrace::olap {

/// The data folder, locked for this process.
struct data_folder {
  std::string path;

  /// An empty folder in it: the process's working directory, because files of
  /// the working directory hide tables of the database `default`.
  std::string working;

  /// For results that wait; cleared at start.
  std::string scratch;
  http::unique_fd lock;
};

/// Makes the folder if needed, checks that it can be written and that no other
/// process uses it.
result<data_folder> open_data_folder(const std::string& path);

} // namespace millrace::olap
