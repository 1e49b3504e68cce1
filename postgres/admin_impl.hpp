#pragma once

#include "postgres/connection.hpp"
#include "postgres/source_admin.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::postgres {

struct source_admin::impl {
  explicit impl(source_options options) : options_(std::move(options)) {
    // nop
  }

  /// The connection, made when there is none that works.
  result<PGconn*> session();

  /// The same with a transaction that reads all as of one moment; ended by
  /// `end_snapshot`, or with the session when something fails.
  result<PGconn*> snapshot_session();
  result<void> end_snapshot();

  /// See `source_admin::describe`; within such a transaction.
  result<table_description_ptr> describe(PGconn* conn, const relation& x);

  /// Runs one statement; a connection that has died meanwhile is replaced.
  result<rows_ptr>
  ask(const std::string& sql, const std::vector<std::string>& params,
      std::string_view what);

  source_options options_;
  conn_ptr conn_;
};

} // namespace millrace::postgres
