// A library with libchdb's functions and no engine behind them: what it answers
// is made from the statement, so that a run can be repeated.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

using text_list = const char* const*;
using size_list = const size_t*;

constexpr size_t large_result = 3 << 20;

struct fake_result {
  std::string text;
  std::string error;
};

struct fake_connection {
  fake_connection* self = this;
};

struct fake_insert {
  std::string error;
  size_t bytes = 0;
};

/// Descriptors of this process only: the statement is anybody's.
constexpr std::string_view outfile = "INTO OUTFILE '/proc/self/fd/";

/// Until nobody reads any more.
void write_to(int fd, std::string_view text) {
  while (!text.empty()) {
    auto n = ::write(fd, text.data(), text.size());
    if (n <= 0)
      return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

/// What the engine says about a statement; reads all that it is given.
fake_result* answer(const char* sql, size_t sql_size, const char* format,
                    size_t format_size, text_list names, size_list name_sizes,
                    text_list values, size_list value_sizes, size_t n) {
  auto* x = new fake_result;
  std::string_view statement{sql, sql_size};
  if (statement.starts_with("SELECT version()")) {
    x->text = "26.7.3.1\tUTC\tfake\n";
    return x;
  }
  x->text.append(statement).append("\t").append(format, format_size);
  for (size_t i = 0; i < n; ++i)
    x->text.append("\t")
      .append(names[i], name_sizes[i])
      .append("=")
      .append(values[i], value_sizes[i]);
  if (statement.find("wrong") != statement.npos)
    x->error = "Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)";
  else if (statement.find("nothing") != statement.npos)
    x->text.clear();
  else if (statement.find("large") != statement.npos)
    x->text.resize(large_result, 'x');
  // The last one: others are in strings.
  if (auto at = statement.rfind(outfile); at != statement.npos) {
    write_to(std::atoi(statement.data() + at + outfile.size()), x->text);
    x->text.clear();
  }
  return x;
}

} // namespace

extern "C" {

void chdb_set_signal_handlers_enabled(int) {
  // nop
}

fake_connection** chdb_connect(int, char**) {
  return &(new fake_connection)->self;
}

void chdb_close_conn(fake_connection** x) {
  delete *x;
}

int chdb_shutdown() {
  return 0;
}

fake_result*
chdb_query_with_params_n(fake_connection*, const char* sql, size_t sql_size,
                         const char* format, size_t format_size,
                         text_list names, size_list name_sizes,
                         text_list values, size_list value_sizes, size_t n) {
  return answer(sql, sql_size, format, format_size, names, name_sizes, values,
                value_sizes, n);
}

fake_insert*
chdb_stream_insert_with_params_n(fake_connection*, const char* sql,
                                 size_t sql_size, const char* format,
                                 size_t format_size, text_list names,
                                 size_list name_sizes, text_list values,
                                 size_list value_sizes, size_t n) {
  auto* x = new fake_insert;
  auto* first = answer(sql, sql_size, format, format_size, names, name_sizes,
                       values, value_sizes, n);
  x->error = first->error;
  delete first;
  return x;
}

int chdb_stream_append(fake_insert* x, const void* data, size_t size) {
  std::string copy(static_cast<const char*>(data), size);
  x->bytes += copy.size();
  return copy.find("broken") == copy.npos ? 0 : 1;
}

fake_result* chdb_stream_done(fake_insert*) {
  return new fake_result;
}

void chdb_stream_cancel_insert(fake_insert*) {
  // nop
}

const char* chdb_stream_insert_error(fake_insert* x) {
  return x->error.empty() ? nullptr : x->error.c_str();
}

void chdb_destroy_insert_stream(fake_insert* x) {
  delete x;
}

char* chdb_result_buffer(fake_result* x) {
  return x->text.data();
}

size_t chdb_result_length(fake_result* x) {
  return x->text.size();
}

const char* chdb_result_error(fake_result* x) {
  return x->error.empty() ? nullptr : x->error.c_str();
}

uint64_t chdb_result_rows_read(fake_result*) {
  return 1;
}

uint64_t chdb_result_bytes_read(fake_result* x) {
  return x->text.size();
}

uint64_t chdb_result_storage_rows_read(fake_result*) {
  return 1;
}

uint64_t chdb_result_storage_bytes_read(fake_result*) {
  return 1;
}

uint64_t chdb_result_rows_written(fake_result*) {
  return 1;
}

uint64_t chdb_result_bytes_written(fake_result*) {
  return 1;
}

void chdb_destroy_query_result(fake_result* x) {
  delete x;
}

/// Everything that begins with an S only reads. `out` begins with the size of
/// the struct; the class is its fourth number.
int chdb_classify_query_n(fake_connection*, const char* sql, size_t size,
                          const char*, size_t, uint32_t* out) {
  out[3] = size > 0 && (*sql | 0x20) == 's' ? 0 : 1;
  return 0;
}
}
