#include "app/dlq.hpp"

#include "app/dlq_replay.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <iterator>
#include <ostream>

namespace millrace {

namespace {

namespace json = boost::json;
using clickhouse::stored_letter;
using letter_list = std::vector<stored_letter>;

/// A member that is JSON itself; as text when it cannot be read.
json::value nested(const std::string& text) {
  json::error_code err;
  auto x = json::parse(text, err);
  return err ? json::value{text} : x;
}

json::object to_json(const stored_letter& x, bool whole) {
  const auto& letter = x.letter;
  json::object out{{"table", letter.table},
                   {"operation", to_string(letter.op)},
                   {"position", to_string(lsn{letter.at.major})},
                   {"change", to_string(lsn{letter.at.minor})},
                   {"time", x.time},
                   {"key", nested(letter.key)},
                   {"error", letter.error}};
  if (whole)
    out.emplace("event", nested(letter.event));
  return out;
}

void print(std::ostream& out, const letter_list& letters,
           const dlq_options& how) {
  auto whole = how.what == dlq_action::show;
  if (how.json) {
    json::array all;
    for (const auto& x : letters)
      all.push_back(to_json(x, whole));
    out << json::serialize(all) << '\n';
    return;
  }
  for (const auto& x : letters) {
    const auto& letter = x.letter;
    out << x.time << "  " << letter.table << "  " << to_string(letter.op)
        << "  " << letter.key << "  at " << to_string(lsn{letter.at.major})
        << "\n  " << letter.error << '\n';
    if (whole)
      out << "  " << letter.event << '\n';
  }
  out << letters.size()
      << (letters.size() == 1 ? " dead letter" : " dead letters") << '\n';
}

int report(std::ostream& out, const replay_outcome& x, bool as_json) {
  if (as_json) {
    json::array left;
    for (const auto& [letter, why] : x.left) {
      auto entry = to_json(letter, false);
      entry["error"] = why;
      left.push_back(std::move(entry));
    }
    out << json::serialize(json::object{{"replayed", x.replayed.size()},
                                        {"superseded", x.superseded.size()},
                                        {"left", std::move(left)}})
        << '\n';
  } else {
    for (const auto& [letter, why] : x.left)
      out << letter.letter.table << "  " << letter.letter.key
          << "  stays: " << why << '\n';
    out << x.replayed.size() << " replayed, " << x.superseded.size()
        << " superseded by newer changes, " << x.left.size() << " left\n";
  }
  return x.left.empty() ? 0 : 1;
}

int complain(std::ostream& err, const failure& x) {
  err << "millrace dlq: " << x.text << '\n';
  return 1;
}

int replay_all(const configuration& config, const letter_list& letters,
               clickhouse::letter_store& store, bool as_json, std::ostream& out,
               std::ostream& err) {
  replay_outcome outcome;
  auto played = replay(config, letters, outcome);
  // What was done until a failure is done.
  for (auto& [list, name] : {std::pair{&outcome.replayed, "replayed"},
                             std::pair{&outcome.superseded, "superseded"}})
    if (auto marked = store.resolve(*list, name); !marked)
      return complain(err, marked.error());
  auto code = report(out, outcome, as_json);
  return played ? code : complain(err, played.error());
}

} // namespace

const char* to_string(dlq_action x) {
  constexpr const char* names[] = {"list", "show", "replay", "drop"};
  auto i = static_cast<size_t>(x);
  return i < std::size(names) ? names[i] : "unknown";
}

int dlq(const configuration& config, const dlq_options& options,
        std::ostream& out, std::ostream& err) {
  clickhouse::letter_store store{config.target, config.pipeline};
  auto letters = store.open(options.filter);
  if (!letters)
    return complain(err, letters.error());
  switch (options.what) {
    case dlq_action::replay:
      return replay_all(config, *letters, store, options.json, out, err);
    case dlq_action::drop:
      if (auto marked = store.resolve(*letters, "dropped"); !marked)
        return complain(err, marked.error());
      if (options.json)
        out << json::serialize(json::object{{"dropped", letters->size()}})
            << '\n';
      else
        out << letters->size() << " dropped\n";
      return 0;
    default:
      print(out, *letters, options);
      return 0;
  }
}

} // namespace millrace
