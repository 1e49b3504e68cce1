#include "olap/query_run.hpp"

#include "olap/external_tables.hpp"
#include "olap/formats.hpp"

#include <cstdio>
#include <random>

// A query from its request to the call of what executes it.
namespace millrace::olap {

namespace {

/// Larger statements without data of an INSERT are refused.
constexpr size_t max_statement = 64 << 20;

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

} // namespace

query_run::query_run(query_context context, const http::call& call,
                     const http::target& target, std::string user,
                     bool readonly)
  : context_(context), call_(call), target_(target), user_(std::move(user)),
    readonly_user_(readonly), connection_(context.db, context.sessions) {
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
    send_error(call_.out, err, context_.db.version(), request_.compress);
  }
}

db_error query_run::execute() {
  statement st;
  auto err = read_request(st);
  if (!err)
    err = st.error;
  if (err || gone_)
    return err;
  if (request_.has_protocol_version && is_revision_question(st.sql))
    return answer_revision(st);
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

db_error query_run::read_request(statement& st) {
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
    err = connection_.open(user_, readonly_user_, request_);
  if (!err && !boundary.empty())
    err = read_form(boundary);
  if (!err && !gone_)
    err = read_statement(st);
  return err;
}

db_error query_run::open_body() {
  if (call_.in.method() == "POST" && !call_.in.has_body()
      && request_.query.empty() && !call_.in.has_header("Content-Length"))
    return make_error(381, "HTTP_LENGTH_REQUIRED",
                      "The Transfer-Encoding is not chunked and there is no "
                      "Content-Length header for POST request");
  return body_.open(call_.in, request_.decompress);
}

db_error query_run::enlist() {
  entry_ = context_.running.add(request_.query_id, user_, call_.wake);
  if (!entry_)
    return make_error(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                      "Query with id = " + request_.query_id
                        + " is already running.");
  return {};
}

db_error query_run::body_error() const {
  auto* body = body_.source();
  auto err = body != nullptr ? body->error() : db_error{};
  return !err && entry_ && entry_->cancelled ? query_cancelled() : err;
}

db_error query_run::read_form(const std::string& boundary) {
  multipart_reader in{*body_.source(), boundary};
  auto err = olap::read_form(in, request_, connection_);
  if (!err && in.broken()) {
    gone_ = !entry_->cancelled;
    err = gone_ ? db_error{} : query_cancelled();
  }
  form_ = true;
  return err;
}

db_error query_run::read_statement(statement& st) {
  text_ = request_.query;
  auto has_body = !form_ && call_.in.has_body();
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
    auto piece = body_.source()->next();
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

db_error query_run::answer_revision(const statement& st) {
  format_ = "Native";
  open_writer(st);
  auto& db = context_.db;
  writer_->write(
    revision_answer(db.display_name(), db.version(), db.timezone()));
  return {};
}

void query_run::clean_up() {
  connection_.close();
  if (entry_)
    context_.running.remove(entry_);
  entry_ = nullptr;
}

} // namespace millrace::olap
