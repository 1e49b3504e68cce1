#pragma once

#include "messages/ec.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace::olap {

extern "C" {
struct chdb_result;
struct chdb_connection_data;
struct chdb_insert_stream_data;

/// What chdb_classify_query_n fills in; the caller sets struct_size.
struct chdb_query_analysis {
  uint32_t struct_size;
  uint32_t statement_count;
  uint32_t flags;
  uint32_t query_class;
};
}

/// The functions of libchdb's C interface that are used here. Handles and
/// results are the library's; who gets one frees it with the function named.
struct chdb_api {
  using connection = chdb_connection_data*;
  using insert_stream = chdb_insert_stream_data*;
  using text_list = const char* const*;
  using size_list = const size_t*;

  void (*set_signal_handlers_enabled)(int);
  connection* (*connect)(int, char**);
  void (*close_conn)(connection*);
  int (*shutdown)();

  chdb_result* (*query_with_params)(connection, const char*, size_t,
                                    const char*, size_t, text_list, size_list,
                                    text_list, size_list, size_t);

  insert_stream (*insert_with_params)(connection, const char*, size_t,
                                      const char*, size_t, text_list, size_list,
                                      text_list, size_list, size_t);
  int (*insert_append)(insert_stream, const void*, size_t);
  chdb_result* (*insert_done)(insert_stream);
  void (*insert_cancel)(insert_stream);
  const char* (*insert_error)(insert_stream);
  void (*destroy_insert)(insert_stream);

  char* (*result_buffer)(chdb_result*);
  size_t (*result_length)(chdb_result*);
  const char* (*result_error)(chdb_result*);
  uint64_t (*result_rows)(chdb_result*);
  uint64_t (*result_bytes)(chdb_result*);
  uint64_t (*storage_rows)(chdb_result*);
  uint64_t (*storage_bytes)(chdb_result*);
  uint64_t (*rows_written)(chdb_result*);
  uint64_t (*bytes_written)(chdb_result*);
  void (*destroy_result)(chdb_result*);

  int (*classify)(connection, const char*, size_t, const char*, size_t,
                  chdb_query_analysis*);
};

/// Loads libchdb. It stays loaded until the process ends. Fails with
/// local_failure when the file is missing, is no library for this machine, or
/// lacks a function (as the library of the PyPI wheel does).
result<chdb_api> load_chdb(const std::string& path);

/// Where libchdb is looked for, in this order: `option`, the environment's
/// MILLRACE_LIBCHDB, beside the executable, ../lib/millrace, the user's cache
/// folder. The first two are the only candidate when they are set.
std::vector<std::string> chdb_candidates(const std::string& option);

/// The first candidate that exists; fails with a text that names all of them.
result<std::string> find_chdb(const std::string& option);

} // namespace millrace::olap
