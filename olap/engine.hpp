#pragma once

#include "messages/ec.hpp"
#include "olap/chdb_api.hpp"
#include "olap/db_error.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::olap {

class engine;

/// Names and values of `{name:Type}` in a statement.
using query_parameters = std::vector<std::pair<std::string, std::string>>;

/// What a statement read and wrote.
struct counters {
  uint64_t read_rows = 0;
  uint64_t read_bytes = 0;
  uint64_t written_rows = 0;
  uint64_t written_bytes = 0;
  uint64_t result_rows = 0;
  uint64_t result_bytes = 0;
};

/// A result, or a piece of one; owns its memory.
class answer {
public:
  answer() = default;
  answer(const chdb_api& api, chdb_result* data) : api_(&api), data_(data) {
    // nop
  }
  answer(answer&& other) noexcept;
  answer& operator=(answer&& other) noexcept;
  ~answer();

  /// The engine's error; code 0 when there is none.
  db_error error() const;
  std::string_view bytes() const;
  void add_to(counters& x) const;
  chdb_result* get() const {
    return data_;
  }

private:
  const chdb_api* api_ = nullptr;
  chdb_result* data_ = nullptr;
};

/// A connection to the embedded engine: own settings, current database and
/// temporary tables; one statement at a time. Its calls block.
class engine_connection {
public:
  engine_connection() = default;
  engine_connection(const chdb_api& api, chdb_api::connection* c);
  engine_connection(engine_connection&& other) noexcept;
  engine_connection& operator=(engine_connection&& other) noexcept;
  ~engine_connection();

  explicit operator bool() const {
    return data_ != nullptr;
  }

  /// Runs any statement and gives the whole result.
  answer query(std::string_view sql, std::string_view format = "TSVRaw",
               const query_parameters& xs = {});

  /// Class 0 of the engine's classification: reads only.
  bool is_read_only(std::string_view sql);

private:
  friend class insert_stream;

  chdb_api::connection handle() const {
    return *data_;
  }

  const chdb_api* api_ = nullptr;
  chdb_api::connection* data_ = nullptr;
};

/// An INSERT that takes its data in pieces. The connection must outlive it.
class insert_stream {
public:
  /// `sql` has no FORMAT and no data.
  insert_stream(engine_connection& c, std::string_view sql,
                std::string_view format, const query_parameters& xs);
  insert_stream(const insert_stream&) = delete;

  /// Cancels unless `finish` was called. Blocks written before stay written.
  ~insert_stream();

  db_error error() const;

  /// Copies `bytes` into the engine's queue; blocks while that is full. False
  /// once the insert has failed: `finish` then says why.
  bool append(std::string_view bytes);

  /// Ends the data, waits until everything is in the table.
  answer finish();

private:
  const chdb_api& api_;
  chdb_api::insert_stream stream_;
  bool open_ = true;
};

/// libchdb over one data folder.
class engine {
public:
  /// Opens `data_dir`. `settings` are names and values for all connections.
  static result<std::unique_ptr<engine>>
  open(const std::string& library, const std::string& data_dir,
       const std::vector<std::string>& arguments);

  engine(const engine&) = delete;

  /// Closes the data folder; all connections must be closed before.
  ~engine();

  /// A fresh connection (0.2 ms). Empty if the engine refuses.
  engine_connection connect();

  const std::string& version() const {
    return version_;
  }
  const std::string& timezone() const {
    return timezone_;
  }
  const std::string& display_name() const {
    return display_name_;
  }

private:
  engine() = default;

  chdb_api api_{};
  std::vector<std::string> arguments_;

  /// Keeps the data folder open while no request runs.
  engine_connection keeper_;
  std::string version_;
  std::string timezone_;
  std::string display_name_;
};

/// `text` as a string literal of SQL.
std::string quote(std::string_view text);

/// `name` as an identifier of SQL.
std::string quote_name(std::string_view name);

} // namespace millrace::olap
