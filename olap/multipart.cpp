#include "olap/multipart.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace millrace::olap {

namespace {

constexpr size_t max_line = 64 << 10;

bool starts_with_lower(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size()
         && std::equal(lower.begin(), lower.end(), text.begin(),
                       [](char a, char b) {
                         return a == std::tolower(static_cast<uint8_t>(b));
                       });
}

/// Value of `; name=value` or `; name="value"` in a header field.
bool parameter(std::string_view text, std::string_view name,
               std::string& value) {
  for (size_t pos = 0; pos < text.size();) {
    pos = text.find(';', pos);
    if (pos == text.npos)
      return false;
    pos = text.find_first_not_of(" \t", pos + 1);
    if (pos == text.npos)
      return false;
    auto rest = text.substr(pos);
    auto found = starts_with_lower(rest, name) && rest.size() > name.size()
                 && rest[name.size()] == '=';
    auto quote = rest.find_first_of("=;");
    // Step over a quoted value: it may contain semicolons.
    std::string content;
    if (quote != rest.npos && rest[quote] == '=' && quote + 1 < rest.size()
        && rest[quote + 1] == '"') {
      auto i = quote + 2;
      for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size()
            && (rest[i + 1] == '"' || rest[i + 1] == '\\'))
          ++i;
        content += rest[i];
      }
      pos += i;
    } else if (quote != rest.npos && rest[quote] == '=') {
      auto end = std::min(rest.find_first_of("; \t", quote + 1), rest.size());
      content = rest.substr(quote + 1, end - quote - 1);
      pos += end;
    }
    if (found) {
      value = std::move(content);
      return true;
    }
  }
  return false;
}

} // namespace

multipart_reader::multipart_reader(byte_source& in, std::string_view boundary)
  : in_(in), delimiter_("\r\n--" + std::string{boundary}) {
  // The first delimiter has no line end before it: as if there were one.
  window_ = "\r\n";
}

bool multipart_reader::more() {
  if (broken_)
    return false;
  if (begin_ > 0) {
    window_.erase(0, begin_);
    begin_ = 0;
  }
  auto piece = in_.next();
  if (!piece || piece->empty()) {
    broken_ = true;
    error_ = in_.error();
    if (piece)
      fail("the body ends inside a part");
    return false;
  }
  window_.append(*piece);
  return true;
}

bool multipart_reader::fail(std::string_view text) {
  broken_ = true;
  if (!error_)
    error_ = make_error(36, "BAD_ARGUMENTS",
                        "Invalid multipart/form-data: " + std::string{text});
  return false;
}

bool multipart_reader::read_line(std::string& line) {
  for (;;) {
    auto end = window_.find("\r\n", begin_);
    if (end != window_.npos) {
      line = window_.substr(begin_, end - begin_);
      begin_ = end + 2;
      return true;
    }
    if (window_.size() - begin_ > max_line)
      return fail("a header line is too long");
    if (!more())
      return false;
  }
}

std::string_view multipart_reader::read() {
  if (!in_part_)
    return {};
  if (at_start_) {
    while (window_.size() - begin_ < delimiter_.size())
      if (!more()) {
        in_part_ = false;
        return {};
      }
    at_start_ = false;
    if (window_.compare(begin_, delimiter_.size(), delimiter_) != 0)
      begin_ += 2;
  }
  for (;;) {
    auto rest = std::string_view{window_}.substr(begin_);
    auto end = rest.find(delimiter_);
    if (end == 0) {
      begin_ += delimiter_.size();
      in_part_ = false;
      return {};
    }
    // What may be the beginning of a delimiter stays.
    auto safe = end != rest.npos ? end
                : rest.size() >= delimiter_.size()
                  ? rest.size() - delimiter_.size() + 1
                  : 0;
    if (safe > 0) {
      begin_ += safe;
      return rest.substr(0, safe);
    }
    if (!more()) {
      in_part_ = false;
      return {};
    }
  }
}

bool multipart_reader::next_part(part& x) {
  if (last_ || broken_)
    return false;
  if (window_ == "\r\n" && begin_ == 0)
    in_part_ = true; // what stands before the first delimiter
  while (in_part_)
    read();
  if (broken_)
    return false;
  // Behind a delimiter: `--` ends the body, a line end begins a part.
  while (window_.size() - begin_ < 2)
    if (!more())
      return false;
  if (window_.compare(begin_, 2, "--") == 0) {
    last_ = true;
    return false;
  }
  std::string line;
  if (!read_line(line))
    return false;
  x = {};
  auto named = false;
  for (;;) {
    if (!read_line(line))
      return false;
    if (line.empty())
      break;
    if (starts_with_lower(line, "content-disposition:")) {
      named = parameter(line, "name", x.name);
      x.is_file = parameter(line, "filename", x.file_name);
    }
  }
  if (!named)
    return fail("a part has no name");
  // The line end that ended the head begins the delimiter of an empty part.
  begin_ -= 2;
  at_start_ = true;
  in_part_ = true;
  return true;
}

std::string multipart_boundary(std::string_view content_type) {
  std::string boundary;
  if (!starts_with_lower(content_type, "multipart/form-data")
      || !parameter(content_type, "boundary", boundary))
    return {};
  return boundary;
}

} // namespace millrace::olap
