#include "app/config_entries.hpp"

#include <algorithm>
#include <cctype>

namespace millrace {

namespace {

class scanner {
public:
  explicit scanner(std::string_view text) : text_(text) {
    frames_.push_back({'[', {}, 1});
  }

  config_entries run() {
    while (pos_ < text_.size())
      step();
    for (size_t i = 1; i < frames_.size(); ++i) {
      auto bracket = frames_[i].bracket == '(' ? '[' : '{';
      out_.problems.push_back(std::string{"line "}
                              + std::to_string(frames_[i].line) + ": the "
                              + bracket + " is never closed");
    }
    return std::move(out_);
  }

private:
  /// `bracket` is `(` for a list: `[` at the bottom stands for a section.
  struct frame {
    char bracket;
    std::string path;
    int line;
    int index = 0;
  };

  void step() {
    auto c = text_[pos_];
    if (c == '\n') {
      ++line_;
      ++pos_;
    } else if (c == ';') {
      pos_ = std::min(text_.find('\n', pos_), text_.size());
    } else if (c == '"' || c == '\'') {
      skip_quoted(c);
      value_ends();
    } else if (c == '[') {
      open_bracket();
    } else if (c == '{') {
      open('{', place());
    } else if (c == ']' || c == '}') {
      ++pos_;
      if (frames_.size() > 1)
        frames_.pop_back();
      value_ends();
    } else if (c == ',') {
      ++pos_;
      ++frames_.back().index;
    } else if (c == '=' || std::isspace(static_cast<unsigned char>(c))) {
      ++pos_;
    } else {
      word();
    }
  }

  /// A name where a name may stand, else a number, boolean, time span or URI.
  void word() {
    auto begin = pos_;
    if (text_[pos_] == '<')
      pos_ = std::min(text_.find('>', pos_), text_.size() - 1) + 1;
    else
      while (pos_ < text_.size()
             && std::string_view{" \t\r\n;,=[]{}\"'"}.find(text_[pos_])
                  == std::string_view::npos)
        ++pos_;
    if (frames_.back().bracket == '(' || !key_.empty()) {
      value_ends();
      return;
    }
    key_ = text_.substr(begin, pos_ - begin);
    auto [i, added] = out_.lines.emplace(place(), line_);
    if (!added)
      out_.problems.push_back(i->first + ": given twice, in line "
                              + std::to_string(i->second) + " and in line "
                              + std::to_string(line_));
  }

  void open_bracket() {
    if (frames_.size() > 1 || !key_.empty()) {
      open('(', place());
      return;
    }
    auto end = std::min(text_.find_first_of("]\n", pos_), text_.size());
    auto name = text_.substr(pos_ + 1, end - pos_ - 1);
    while (!name.empty() && name.front() == ' ')
      name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ')
      name.remove_suffix(1);
    frames_.front().path = name;
    pos_ = end < text_.size() && text_[end] == ']' ? end + 1 : end;
  }

  void open(char bracket, std::string path) {
    frames_.push_back({bracket, std::move(path), line_});
    key_.clear();
    ++pos_;
  }

  /// Path of the entry or element that comes.
  std::string place() const {
    const auto& top = frames_.back();
    if (top.bracket == '(')
      return top.path + "[" + std::to_string(top.index) + "]";
    return top.path.empty() ? key_ : top.path + "." + key_;
  }

  void value_ends() {
    key_.clear();
  }

  void skip_quoted(char quote) {
    for (++pos_; pos_ < text_.size() && text_[pos_] != quote; ++pos_)
      if (text_[pos_] == '\\')
        ++pos_;
    ++pos_;
  }

  std::string_view text_;
  size_t pos_ = 0;
  int line_ = 1;
  std::string key_;
  std::vector<frame> frames_;
  config_entries out_;
};

} // namespace

config_entries scan_config(std::string_view text) {
  return scanner{text}.run();
}

} // namespace millrace
