#include "olap/formats.hpp"
#include "olap/query_run.hpp"
#include "olap/result_pipe.hpp"

#include <algorithm>

// A query from its settings to its result.
namespace millrace::olap {

namespace {

constexpr int syntax_error_code = 62;

/// Rows of a block of a result. With the engine's default (65,409) rows that a
/// function makes wide would take gigabytes; smaller ones than this begin to
/// cost narrow rows time. Tables are read by granules of 10 MB or 8,192 rows.
constexpr const char* block_rows = "1024";

} // namespace

db_error query_run::check_readonly(const statement& st) {
  auto refused = [&] {
    std::string text = user_ + ": Cannot execute query in readonly mode.";
    if (!readonly_user_)
      text += " For queries over HTTP, method GET implies readonly. You should "
              "use method POST for modifying queries.";
    return make_error(164, "READONLY", text);
  };
  if (!readonly_ || st.kind == statement_kind::stream
      || st.kind == statement_kind::set || st.kind == statement_kind::use)
    return {};
  if (st.kind == statement_kind::insert_data
      || st.kind == statement_kind::kill_query
      || !connection_.handle().is_read_only(st.sql))
    return refused();
  return {};
}

db_error query_run::prepare(const statement& st) {
  auto method = call_.in.method();
  readonly_ = readonly_user_ || request_.readonly > 0 || method == "GET"
              || method == "HEAD";
  if (auto err = check_readonly(st))
    return err;
  if (!request_.database.empty())
    if (auto err = connection_.use(request_.database))
      return err;
  return apply_settings(st);
}

db_error query_run::apply_settings(const statement& st) {
  auto settings = request_.settings;
  auto choose = [&](const char* name, const char* value) {
    if (!request_.has_setting(name) && !connection_.has_own(name))
      settings.emplace_back(name, value);
  };
  if (st.kind == statement_kind::stream) {
    choose("max_block_size", block_rows);
    // Formatting in parallel holds eight blocks, and costs more.
    choose("output_format_parallel_formatting", "0");
  }
  settings.emplace_back("log_comment", request_.query_id);
  // Of a fresh connection only: it cannot be taken back.
  if (readonly_ && !connection_.in_session())
    settings.emplace_back("readonly", request_.readonly == 1 ? "1" : "2");
  auto err = connection_.set(settings);
  if (!err)
    for (auto& [name, value] : settings)
      if (name == "session_timezone" && !value.empty())
        call_.out.header("X-ClickHouse-Timezone", value);
  return err;
}

const std::string& query_run::output_format(const statement& st) {
  if (!st.format.empty())
    format_ = st.format;
  else if (!request_.default_format.empty())
    format_ = request_.default_format;
  else
    format_ = "TabSeparated";
  return format_;
}

void query_run::open_writer(const statement& st) {
  result_options options;
  if (st.kind != statement_kind::insert_data) {
    if (format_.empty())
      output_format(st);
    call_.out.header("X-ClickHouse-Format", format_);
    call_.out.header("Content-Type", content_type_of(format_));
    if (request_.enable_compression)
      options.encoding = choose_encoding(call_.in.header("Accept-Encoding"));
  }
  options.blocks = request_.compress; // of an INSERT its error
  options.level = std::clamp(request_.compression_level, 1, 9);
  options.wait_end = request_.wait_end_of_query;
  options.folder = context_.scratch;
  options.version = context_.db.version();
  writer_ = std::make_unique<result_writer>(call_.out, std::move(options));
}

void query_run::watch_client() {
  for (auto& [name, value] : request_.settings)
    if (name == "cancel_http_readonly_queries_on_client_close" && value == "0")
      return;
  call_.wake.on_client_gone(
    [&running = context_.running, x = entry_] { running.cancel(x); });
}

db_error query_run::insert(const statement& st) {
  std::string format{st.format};
  if (format.empty())
    format
      = request_.default_format.empty() ? "Values" : request_.default_format;
  open_writer(st);
  insert_stream s{connection_.handle(), st.sql, format, request_.parameters};
  if (auto err = s.error())
    return err;
  std::string_view first{text_};
  first.remove_prefix(std::min(st.data_offset, first.size()));
  auto ok = first.empty() || s.append(first);
  while (ok && !form_) {
    auto piece = body_.source()->next();
    if (!piece) {
      // The body is not complete: nothing more of it may become rows.
      auto err = body_error();
      gone_ = !err;
      return err;
    }
    if (piece->empty())
      break;
    ok = s.append(*piece);
  }
  if (ok && entry_->cancelled)
    return query_cancelled();
  // Nobody will hear that it was done; a repeated insert must not meet it.
  if (ok && call_.in.client_gone()) {
    gone_ = true;
    return {};
  }
  auto done = s.finish();
  done.add_to(counters_);
  return done.error();
}

db_error query_run::stream(const statement& st) {
  if (!result_pipe::is_format_name(output_format(st)))
    return query(st); // which refuses it
  watch_client();
  open_writer(st);
  result_pipe pipe{connection_.handle(), st, format_, request_.parameters,
                   [&] { context_.running.cancel(entry_); }};
  auto empty = true;
  for (auto piece = pipe.read(); !piece.empty(); piece = pipe.read()) {
    empty = false;
    if (!writer_->write(piece)) {
      gone_ = true;
      return {};
    }
  }
  auto end = pipe.finish();
  end.add_to(counters_);
  auto err = end.error();
  // Again, to be told about the client's text only.
  if (empty && err.code == syntax_error_code && !entry_->cancelled)
    return query(st);
  return err && entry_->cancelled ? query_cancelled() : err;
}

db_error query_run::query(const statement& st) {
  auto& engine = connection_.handle();
  if (st.kind == statement_kind::other && engine.is_read_only(st.sql))
    watch_client();
  if (!writer_)
    open_writer(st);
  auto x = engine.query(st.sql, format_, request_.parameters);
  if (auto err = x.error())
    return err;
  x.add_to(counters_);
  if (st.kind == statement_kind::set)
    connection_.has_set(st.sql);
  if (st.kind == statement_kind::use)
    connection_.has_used();
  if (!x.bytes().empty() && !writer_->write(x.bytes()))
    gone_ = true;
  return {};
}

} // namespace millrace::olap
