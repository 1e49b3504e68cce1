#include "olap/query_run.hpp"

#include "olap/decoder.hpp"
#include "olap/formats.hpp"

#include <algorithm>
#include <cctype>
#include <random>

namespace millrace::olap {

namespace {

/// Larger statements without data of an INSERT are refused.
constexpr size_t max_statement = 64 << 20;

class http_source : public byte_source {
public:
  explicit http_source(http::request& in) : in_(in) {
    // nop
  }

  std::optional<std::string_view> next() override {
    return in_.read();
  }

  db_error error() const override {
    return {};
  }

private:
  http::request& in_;
};

std::string random_id() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  auto a = random();
  auto b = random();
  char text[40];
  snprintf(text, sizeof(text), "%08x-%04x-4%03x-%04x-%012llx",
           static_cast<unsigned>(a >> 32),
           static_cast<unsigned>(a >> 16 & 0xffff),
           static_cast<unsigned>(a & 0xfff),
           static_cast<unsigned>(0x8000 | (b >> 48 & 0x3fff)),
           static_cast<unsigned long long>(b & 0xffffffffffff));
  return text;
}

db_error cancelled() {
  return make_error(394, "QUERY_WAS_CANCELLED", "Query was cancelled");
}

std::string lower(std::string_view text) {
  std::string result{text};
  for (auto& c : result)
    c = static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
  return result;
}

} // namespace

query_run::query_run(query_context context, const http::call& call,
                     const http::target& target, std::string user,
                     bool readonly)
  : context_(context), call_(call), target_(target), user_(std::move(user)),
    readonly_user_(readonly) {
  // nop
}

query_run::~query_run() {
  clean_up();
}

void query_run::run() {
  auto err = execute();
  clean_up();
  if (gone_) {
    call_.out.abort();
  } else if (!err) {
    if (writer_)
      writer_->finish(counters_);
  } else if (writer_) {
    writer_->fail(err);
  } else {
    send_error(call_.out, err, context_.db.version());
  }
}

db_error query_run::execute() {
  auto boundary = multipart_boundary(call_.in.header("Content-Type"));
  auto err = sort_parameters(target_.parameters, !boundary.empty(), request_);
  if (auto x = call_.in.header("X-ClickHouse-Database"); !x.empty())
    request_.database = x;
  if (auto x = call_.in.header("X-ClickHouse-Format"); !x.empty())
    request_.default_format = x;
  if (request_.query_id.empty())
    request_.query_id = random_id();
  call_.out.header("X-ClickHouse-Query-Id", request_.query_id);
  if (!err)
    err = open_body();
  if (!err)
    err = enlist();
  if (!err)
    err = open_connection();
  if (!err && !boundary.empty()) {
    multipart_reader in{*body_, boundary};
    err = read_multipart(in);
    body_ = nullptr;
  }
  statement st;
  if (!err)
    err = read_statement(st);
  if (!err)
    err = st.error;
  if (err || gone_)
    return err;
  if (request_.has_protocol_version && is_revision_question(st.sql)) {
    format_ = "Native";
    open_writer(st);
    auto& db = context_.db;
    writer_->write(
      revision_answer(db.display_name(), db.version(), db.timezone()));
    return {};
  }
  if (auto failed = prepare(st))
    return failed;
  switch (st.kind) {
    case statement_kind::insert_data:
      return insert(st);
    case statement_kind::stream:
      return stream(st);
    case statement_kind::kill_query:
      return kill(st);
    default:
      return query(st);
  }
}

db_error query_run::open_body() {
  if (call_.in.method() == "POST" && !call_.in.has_body()
      && request_.query.empty() && !call_.in.has_header("Content-Length"))
    return make_error(381, "HTTP_LENGTH_REQUIRED",
                      "The Transfer-Encoding is not chunked and there is no "
                      "Content-Length header for POST request");
  raw_ = std::make_unique<http_source>(call_.in);
  body_ = raw_.get();
  auto encoding = lower(call_.in.header("Content-Encoding"));
  if (!encoding.empty() && encoding != "identity") {
    decoded_ = make_decoder(encoding, *body_);
    if (!decoded_)
      return make_error(48, "NOT_IMPLEMENTED",
                        "Unknown compression method " + encoding
                          + ". Only 'gzip', 'deflate', 'lz4' and 'zstd' are "
                            "supported as compression methods");
    body_ = decoded_.get();
  }
  if (request_.decompress) {
    blocks_ = make_block_decoder(*body_);
    body_ = blocks_.get();
  }
  return {};
}

db_error query_run::enlist() {
  entry_ = context_.running.add(request_.query_id, user_, call_.wake);
  if (!entry_)
    return make_error(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                      "Query with id = " + request_.query_id
                        + " is already running.");
  return {};
}

db_error query_run::open_connection() {
  if (request_.session_id.empty()) {
    own_connection_ = context_.db.connect();
    if (!own_connection_)
      return parse_error("the engine refuses another connection");
    connection_ = &own_connection_;
    return {};
  }
  auto err = context_.sessions.acquire(user_, request_.session_id,
                                       request_.session_check, readonly_user_,
                                       session_);
  if (err) {
    session_ = nullptr;
    return err;
  }
  connection_ = &session_->connection;
  return {};
}

db_error query_run::body_error() const {
  auto err = body_ != nullptr ? body_->error() : db_error{};
  return !err && entry_ && entry_->cancelled ? cancelled() : err;
}

db_error query_run::read_multipart(multipart_reader& in) {
  http::parameter_list fields;
  size_t size = 0;
  for (multipart_reader::part part; in.next_part(part);) {
    if (part.is_file) {
      if (auto err = load_external(in, part.name))
        return err;
      continue;
    }
    std::string value;
    for (auto x = in.read(); !x.empty(); x = in.read()) {
      value.append(x);
      if ((size += x.size()) > max_statement)
        return make_error(229, "QUERY_IS_TOO_LARGE",
                          "The form fields are larger than 64 MB");
    }
    // What describes external tables must be known before their data come.
    if (auto err = sort_parameters({{part.name, value}}, true, request_))
      return err;
  }
  if (in.broken()) {
    gone_ = !in.error() && !entry_->cancelled;
    return in.error() ? in.error() : cancelled();
  }
  return {};
}

db_error
query_run::load_external(multipart_reader& in, const std::string& name) {
  auto* structure = request_.find_external(name + "_structure");
  auto* types = request_.find_external(name + "_types");
  auto* format = request_.find_external(name + "_format");
  std::string columns;
  if (structure != nullptr) {
    columns = *structure;
  } else if (types != nullptr) {
    // `UInt8,Array(String)` names columns _1, _2: commas outside of brackets.
    size_t depth = 0;
    size_t number = 1;
    columns = "_1 ";
    for (auto c : *types) {
      depth += c == '(' ? 1 : 0;
      depth -= c == ')' && depth > 0 ? 1 : 0;
      if (c == ',' && depth == 0)
        columns += ", _" + std::to_string(++number) + " ";
      else
        columns += c;
    }
  } else {
    return make_error(36, "BAD_ARGUMENTS",
                      "External table " + name + " needs a parameter " + name
                        + "_structure or " + name + "_types");
  }
  auto table = quote_name(name);
  auto err = connection_->query("SET log_comment = " + quote(request_.query_id))
               .error();
  if (!err)
    err = connection_
            ->query("CREATE TEMPORARY TABLE " + table + " (" + columns
                    + ") ENGINE = Memory")
            .error();
  if (err)
    return err;
  external_tables_.push_back(table);
  insert_stream s{*connection_,
                  "INSERT INTO " + table,
                  format != nullptr ? *format : "TabSeparated",
                  {}};
  if (auto failed = s.error())
    return failed;
  auto ok = true;
  for (auto x = in.read(); !x.empty() && ok; x = in.read())
    ok = s.append(x);
  if (in.broken())
    return {}; // the caller sees it too
  return s.finish().error();
}

db_error query_run::read_statement(statement& st) {
  text_ = request_.query;
  auto has_body = body_ != nullptr && call_.in.has_body();
  if (!text_.empty()) {
    st = parse_statement(text_, true);
    auto data_follow
      = st.kind == statement_kind::insert_data
        && (!st.format.empty() || !request_.default_format.empty());
    if (!has_body || data_follow)
      return {};
    text_ += '\n';
  }
  while (has_body) {
    auto piece = body_->next();
    if (!piece) {
      auto err = body_error();
      gone_ = !err;
      return err;
    }
    if (piece->empty())
      break;
    text_.append(*piece);
    st = parse_statement(text_, false);
    if (st.kind != statement_kind::incomplete || st.error)
      return {};
    if (text_.size() > max_statement)
      return make_error(229, "QUERY_IS_TOO_LARGE",
                        "The statement is larger than 64 MB");
  }
  st = parse_statement(text_, true);
  return {};
}

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
      || !connection_->is_read_only(st.sql))
    return refused();
  return {};
}

db_error query_run::prepare(const statement& st) {
  auto method = call_.in.method();
  readonly_ = readonly_user_ || request_.readonly > 0 || method == "GET"
              || method == "HEAD";
  if (auto err = check_readonly(st))
    return err;
  if (!request_.database.empty()) {
    if (auto err
        = connection_->query("USE " + quote_name(request_.database)).error())
      return err;
    if (session_)
      restore_database_ = session_->database;
  }
  return apply_settings(st);
}

db_error query_run::remember_settings(const http::parameter_list& settings) {
  std::string names;
  for (auto& [name, value] : settings)
    names += (names.empty() ? "" : ", ") + quote(name);
  http::parameter_list own;
  if (session_->has_own_settings && !names.empty()) {
    // Names and values as literals, so that they can be written back.
    auto old = connection_->query(
      "SELECT name, substring(toString(tuple(value)), 2, "
      "length(toString(tuple(value))) - 2) FROM system.settings "
      "WHERE changed AND name IN ("
      + names + ") FORMAT TSVRaw");
    if (auto err = old.error())
      return err;
    for (auto rest = old.bytes(); !rest.empty();) {
      auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      auto tab = std::min(line.find('\t'), line.size() - 1);
      own.emplace_back(line.substr(0, tab), line.substr(tab + 1));
    }
  }
  for (auto& [name, value] : settings) {
    auto same = [n = &name](auto& x) { return x.first == *n; };
    auto i = std::find_if(own.begin(), own.end(), same);
    restore_sql_.append(restore_sql_.empty() ? "" : ", ").append(name);
    restore_sql_.append(" = ").append(i != own.end() ? i->second : "DEFAULT");
  }
  return {};
}

db_error query_run::apply_settings(const statement& st) {
  auto settings = request_.settings;
  auto own_blocks = session_ && session_->has_own_block_size;
  // Blocks of the default size (65,409 rows) make wide rows take a gigabyte;
  // smaller ones than these begin to cost narrow rows time.
  if (st.kind == statement_kind::stream && !own_blocks
      && !request_.has_setting("max_block_size"))
    settings.emplace_back("max_block_size", "2048");
  settings.emplace_back("log_comment", request_.query_id);
  // Of a fresh connection only: it cannot be taken back.
  if (readonly_ && !session_)
    settings.emplace_back("readonly", request_.readonly == 1 ? "1" : "2");
  std::string sql;
  auto err = render_settings(settings, sql);
  if (!err && session_)
    err = remember_settings(settings);
  if (!err)
    err = connection_->query("SET " + sql).error();
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
    options.blocks = request_.compress;
  }
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
  insert_stream s{*connection_, st.sql, format, request_.parameters};
  if (auto err = s.error())
    return err;
  std::string_view first{text_};
  first.remove_prefix(std::min(st.data_offset, first.size()));
  auto ok = first.empty() || s.append(first);
  while (ok && body_ != nullptr) {
    auto piece = body_->next();
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
    return cancelled();
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
  watch_client();
  open_writer(st);
  auto joins = joint_of(format_);
  if (joins == joint::whole)
    return query(st);
  result_stream s{*connection_, st.sql, format_, request_.parameters};
  for (auto first = true;; first = false) {
    if (entry_->cancelled)
      return cancelled();
    auto piece = s.fetch();
    if (auto err = piece.error()) {
      auto unsupported
        = err.text.find("Streaming query is not supported") != err.text.npos
          || err.text.find("No active streaming query") != err.text.npos;
      return unsupported ? query(st) : err;
    }
    piece.add_to(counters_);
    auto bytes = piece.bytes();
    // Without rows there is no block, and so no header.
    if (bytes.empty())
      return first && joins == joint::drop_header ? query(st) : db_error{};
    if (!first && joins == joint::drop_header)
      bytes.remove_prefix(header_size(format_, bytes));
    if (!writer_->write(bytes)) {
      gone_ = true;
      return {};
    }
  }
}

db_error query_run::query(const statement& st) {
  if (st.kind == statement_kind::other && connection_->is_read_only(st.sql))
    watch_client();
  if (!writer_)
    open_writer(st);
  auto x = connection_->query(st.sql, format_, request_.parameters);
  if (auto err = x.error())
    return err;
  x.add_to(counters_);
  if (session_ && st.kind == statement_kind::set) {
    session_->has_own_settings = true;
    if (lower(st.sql).find("max_block_size") != std::string::npos)
      session_->has_own_block_size = true;
  }
  if (session_ && st.kind == statement_kind::use) {
    restore_database_.clear();
    auto name = connection_->query("SELECT currentDatabase()");
    auto text = name.bytes();
    while (!text.empty() && text.back() == '\n')
      text.remove_suffix(1);
    if (!text.empty())
      session_->database = text;
  }
  if (!x.bytes().empty() && !writer_->write(x.bytes()))
    gone_ = true;
  return {};
}

void query_run::restore_session() {
  for (auto& table : external_tables_)
    connection_->query("DROP TEMPORARY TABLE IF EXISTS " + table);
  if (!restore_database_.empty())
    connection_->query("USE " + quote_name(restore_database_));
  if (!restore_sql_.empty())
    connection_->query("SET " + restore_sql_);
}

void query_run::clean_up() {
  if (session_) {
    restore_session();
    connection_ = nullptr;
    session_ = nullptr;
    context_.sessions.release(user_, request_.session_id,
                              request_.session_timeout, request_.close_session);
  }
  connection_ = nullptr;
  own_connection_ = engine_connection{};
  if (entry_)
    context_.running.remove(entry_);
  entry_ = nullptr;
}

} // namespace millrace::olap
