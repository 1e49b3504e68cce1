#include "olap/engine.hpp"

namespace millrace::olap {

namespace {

/// The parallel arrays that libchdb wants.
struct flat_parameters {
  explicit flat_parameters(const query_parameters& xs) {
    for (auto& [name, value] : xs) {
      names.push_back(name.data());
      name_sizes.push_back(name.size());
      values.push_back(value.data());
      value_sizes.push_back(value.size());
    }
  }

  std::vector<const char*> names;
  std::vector<size_t> name_sizes;
  std::vector<const char*> values;
  std::vector<size_t> value_sizes;
};

template <class F>
auto call(F f, chdb_api::connection c, std::string_view sql,
          std::string_view format, const query_parameters& xs) {
  flat_parameters flat{xs};
  return f(c, sql.data(), sql.size(), format.data(), format.size(),
           flat.names.data(), flat.name_sizes.data(), flat.values.data(),
           flat.value_sizes.data(), xs.size());
}

std::string quote_with(std::string_view text, char mark) {
  std::string result(1, mark);
  for (auto c : text) {
    if (c == mark || c == '\\')
      result += '\\';
    result += c;
  }
  result += mark;
  return result;
}

} // namespace

answer::answer(answer&& other) noexcept
  : api_(other.api_), data_(std::exchange(other.data_, nullptr)) {
  // nop
}

answer& answer::operator=(answer&& other) noexcept {
  std::swap(api_, other.api_);
  std::swap(data_, other.data_);
  return *this;
}

answer::~answer() {
  if (data_ != nullptr)
    api_->destroy_result(data_);
}

db_error answer::error() const {
  if (data_ == nullptr)
    return parse_error("the engine gave no result");
  const char* text = api_->result_error(data_);
  return text != nullptr && *text ? parse_error(text) : db_error{};
}

std::string_view answer::bytes() const {
  if (data_ == nullptr || api_->result_length(data_) == 0)
    return {};
  return {api_->result_buffer(data_), api_->result_length(data_)};
}

void answer::add_to(counters& x) const {
  if (data_ == nullptr)
    return;
  x.read_rows += api_->storage_rows(data_);
  x.read_bytes += api_->storage_bytes(data_);
  x.written_rows += api_->rows_written(data_);
  x.written_bytes += api_->bytes_written(data_);
  x.result_rows += api_->result_rows(data_);
  x.result_bytes += api_->result_bytes(data_);
}

engine_connection::engine_connection(const chdb_api& api,
                                     chdb_api::connection* c)
  : api_(&api), data_(c) {
  // nop
}

engine_connection::engine_connection(engine_connection&& other) noexcept
  : api_(other.api_), data_(std::exchange(other.data_, nullptr)) {
  // nop
}

engine_connection&
engine_connection::operator=(engine_connection&& other) noexcept {
  std::swap(api_, other.api_);
  std::swap(data_, other.data_);
  return *this;
}

engine_connection::~engine_connection() {
  if (data_ != nullptr)
    api_->close_conn(data_);
}

answer engine_connection::query(std::string_view sql, std::string_view format,
                                const query_parameters& xs) {
  return answer{*api_,
                call(api_->query_with_params, handle(), sql, format, xs)};
}

bool engine_connection::is_read_only(std::string_view sql) {
  chdb_query_analysis x{};
  x.struct_size = sizeof(x);
  return api_->classify(handle(), sql.data(), sql.size(), "", 0, &x) == 0
         && x.query_class == 0;
}

insert_stream::insert_stream(engine_connection& c, std::string_view sql,
                             std::string_view format,
                             const query_parameters& xs)
  : api_(*c.api_),
    stream_(call(c.api_->insert_with_params, c.handle(), sql, format, xs)) {
  // nop
}

insert_stream::~insert_stream() {
  if (open_)
    api_.insert_cancel(stream_);
  api_.destroy_insert(stream_);
}

db_error insert_stream::error() const {
  const char* text = api_.insert_error(stream_);
  return text != nullptr && *text ? parse_error(text) : db_error{};
}

bool insert_stream::append(std::string_view bytes) {
  return api_.insert_append(stream_, bytes.data(), bytes.size()) == 0;
}

answer insert_stream::finish() {
  open_ = false;
  return answer{api_, api_.insert_done(stream_)};
}

result<std::unique_ptr<engine>>
engine::open(const std::string& library, const std::string& data_dir,
             const std::vector<std::string>& arguments) {
  auto api = load_chdb(library);
  if (!api)
    return tl::unexpected<failure>{api.error()};
  std::unique_ptr<engine> x{new engine};
  x->api_ = *api;
  x->arguments_ = {"millrace", "--path=" + data_dir};
  x->arguments_.insert(x->arguments_.end(), arguments.begin(), arguments.end());
  x->api_.set_signal_handlers_enabled(0);
  x->keeper_ = x->connect();
  if (!x->keeper_)
    return fail(ec::local_failure,
                "the embedded ClickHouse cannot open the data folder "
                  + data_dir + "; its message stands above");
  auto row = x->keeper_.query(
    "SELECT version(), timezone(), displayName() FORMAT TSVRaw");
  if (auto err = row.error())
    return fail(ec::local_failure,
                "the embedded ClickHouse does not answer: " + err.text);
  std::string_view text = row.bytes();
  for (auto* field : {&x->version_, &x->timezone_, &x->display_name_}) {
    auto end = std::min(text.find_first_of("\t\n"), text.size());
    *field = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return x;
}

engine::~engine() {
  keeper_ = engine_connection{};
  if (api_.shutdown != nullptr)
    api_.shutdown();
}

engine_connection engine::connect() {
  std::vector<char*> argv;
  for (auto& x : arguments_)
    argv.push_back(x.data());
  auto* c = api_.connect(static_cast<int>(argv.size()), argv.data());
  return c != nullptr ? engine_connection{api_, c} : engine_connection{};
}

std::string quote(std::string_view text) {
  return quote_with(text, '\'');
}

std::string quote_name(std::string_view name) {
  return quote_with(name, '`');
}

} // namespace millrace::olap
