#include "olap/result_writer.hpp"

#include "olap/native_lz4.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <unistd.h>

namespace millrace::olap {

namespace {

constexpr size_t hold_back = 1 << 20;
constexpr size_t hold_in_memory = 4 << 20;

/// Pieces in which large results go through the encoders.
constexpr size_t slice = 256 << 10;

constexpr std::string_view marker = "__exception__";

/// More than that is cut off: clients look for the marker in the last 16 KB.
constexpr size_t max_exception = 15 << 10;

std::string random_tag() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string tag;
  for (int i = 0; i < 16; ++i)
    tag += static_cast<char>('a' + random() % 26);
  return tag;
}

} // namespace

std::string summary_json(const counters& x, std::chrono::nanoseconds elapsed) {
  std::string result = "{";
  auto add = [&](std::string_view name, uint64_t value) {
    if (result.size() > 1)
      result += ',';
    result.append("\"").append(name).append("\":\"");
    result.append(std::to_string(value)).append("\"");
  };
  add("read_rows", x.read_rows);
  add("read_bytes", x.read_bytes);
  add("written_rows", x.written_rows);
  add("written_bytes", x.written_bytes);
  add("total_rows_to_read", x.read_rows);
  add("result_rows", x.result_rows > 0 ? x.result_rows : x.written_rows);
  add("result_bytes", x.result_bytes > 0 ? x.result_bytes : x.written_bytes);
  add("elapsed_ns", static_cast<uint64_t>(elapsed.count()));
  result += '}';
  return result;
}

void send_error(http::response_writer& out, const db_error& error,
                std::string_view version, bool blocks) {
  out.status(http_status(error.code));
  out.header("Content-Type", "text/plain; charset=UTF-8");
  out.header("X-ClickHouse-Exception-Code", std::to_string(error.code));
  if (error.code == 194)
    out.header("WWW-Authenticate", "Basic realm=\"millrace olap\"");
  auto text = render(error, version);
  if (blocks) {
    std::string packed;
    auto coder = make_block_encoder();
    coder->put(text, packed);
    coder->finish(packed);
    text = std::move(packed);
  }
  out.send(text);
}

result_writer::result_writer(http::response_writer& out, result_options options)
  : out_(out), options_(std::move(options)),
    begun_at_(std::chrono::steady_clock::now()), tag_(random_tag()) {
  if (options_.blocks)
    blocks_ = make_block_encoder();
  content_ = make_encoder(options_.encoding, options_.level);
}

result_writer::~result_writer() {
  if (file_ >= 0)
    ::close(file_);
}

void result_writer::begin(const counters& x) {
  begun_ = true;
  auto elapsed = std::chrono::steady_clock::now() - begun_at_;
  out_.header("X-ClickHouse-Summary", summary_json(x, elapsed));
  out_.header("X-ClickHouse-Exception-Tag", tag_);
  if (content_)
    out_.header("Content-Encoding", options_.encoding);
}

bool result_writer::flush(bool all) {
  auto& ready = content_ ? packed_ : framed_;
  if (ready.empty() || (!all && ready.size() < slice))
    return true;
  auto sent = out_.write(ready);
  ready.clear();
  return sent;
}

bool result_writer::encode(std::string_view bytes) {
  if (!blocks_ && !content_)
    return bytes.empty() || out_.write(bytes);
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, blocks_ ? native_block::chunk_size : slice);
    bytes.remove_prefix(piece.size());
    if (blocks_) {
      blocks_->put(piece, framed_);
      piece = framed_;
    }
    if (content_) {
      content_->put(piece, packed_);
      framed_.clear();
    }
    if (!flush(false))
      return false;
  }
  return true;
}

bool result_writer::spill(std::string_view bytes) {
  if (file_ < 0)
    file_
      = ::open(options_.folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  while (!bytes.empty()) {
    auto n = ::write(file_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      fail(make_error(75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
                      "Cannot keep the result in " + options_.folder
                        + " until the query ends (wait_end_of_query): "
                        + std::strerror(errno)));
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool result_writer::send_spilled() {
  if (file_ < 0)
    return true;
  std::unique_ptr<char[]> buffer{new char[slice]};
  off_t offset = 0;
  for (;;) {
    auto n = ::pread(file_, buffer.get(), slice, offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0;
    offset += n;
    if (!encode({buffer.get(), static_cast<size_t>(n)}))
      return false;
  }
}

bool result_writer::write(std::string_view bytes) {
  if (begun_)
    return encode(bytes);
  if (options_.wait_end) {
    if (file_ < 0 && held_.size() + bytes.size() <= hold_in_memory) {
      held_.append(bytes);
      return true;
    }
    if (!spill(held_) || !spill(bytes))
      return false;
    held_.clear();
    return true;
  }
  if (held_.size() + bytes.size() <= hold_back) {
    held_.append(bytes);
    return true;
  }
  begin({});
  auto sent = encode(held_) && encode(bytes);
  held_ = std::string{};
  return sent;
}

bool result_writer::finish(const counters& x) {
  if (!begun_)
    begin(x);
  // What is complete already goes with its length, in one packet.
  if (file_ < 0 && !blocks_ && !content_ && !out_.started())
    return out_.send(held_);
  if (!send_spilled() || !encode(held_))
    return false;
  if (blocks_) {
    blocks_->finish(framed_);
    if (content_) {
      content_->put(framed_, packed_);
      framed_.clear();
    }
  }
  if (content_)
    content_->finish(packed_);
  if (!out_.started()) {
    if (blocks_ || content_)
      return out_.send(content_ ? packed_ : framed_);
    return out_.send({});
  }
  return flush(true) && out_.finish();
}

void result_writer::fail(const db_error& error) {
  if (!begun_) {
    begun_ = true;
    held_.clear();
    send_error(out_, error, options_.version, options_.blocks);
    return;
  }
  auto text = render(error, options_.version);
  if (text.size() > max_exception)
    text.replace(max_exception, text.npos, "\n");
  std::string note = "\r\n";
  note.append(marker).append("\r\n").append(tag_).append("\r\n");
  note.append(text).append(std::to_string(text.size())).append(" ");
  note.append(tag_).append("\r\n").append(marker).append("\r\n");
  if (encode(note)) {
    if (blocks_) {
      blocks_->finish(framed_);
      if (content_)
        content_->put(framed_, packed_);
    }
    if (content_)
      content_->finish(packed_);
    flush(true);
  }
  // No end of the chunks: the answer must not look complete.
  out_.abort();
}

} // namespace millrace::olap
