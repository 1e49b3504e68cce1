#include "app/check.hpp"
#include "app/version.hpp"

#include <algorithm>
#include <ostream>

namespace millrace {

namespace {

std::string count_of(size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

/// A statement of several lines, all but the first further to the right.
std::string indented(std::string text) {
  for (auto i = text.find('\n'); i != std::string::npos;
       i = text.find('\n', i + 1))
    text.insert(i + 1, "    ");
  return text;
}

void print_table(std::ostream& out, const configuration& config,
                 const target_table& x, const std::vector<std::string>& notes) {
  out << "  " << x.source->full_name() << " -> " << config.target.database
      << "." << x.name << ", key ";
  if (x.order_by.empty())
    out << "none: " << to_string(x.source->identity);
  for (size_t i = 0; i < x.order_by.size(); ++i)
    out << (i == 0 ? "" : ", ") << x.columns[x.order_by[i]].name;
  out << "\n";
  size_t width = 0;
  for (const auto& column : x.columns)
    width = std::max(width, column.name.size());
  for (const auto& column : x.columns) {
    const auto& from = x.source->columns[column.source];
    out << "    " << column.name
        << std::string(width - column.name.size() + 2, ' ') << from.type.name
        << (from.nullable ? "" : " not null") << " -> " << column.type;
    if (from.name != column.name)
      out << " (source column \"" << from.name << "\")";
    out << "\n";
  }
  for (const auto& note : notes)
    out << "    note: " << note << "\n";
}

} // namespace

size_t preflight::errors() const {
  return findings.size() - warnings();
}

size_t preflight::warnings() const {
  return static_cast<size_t>(
    std::count_if(findings.begin(), findings.end(),
                  [](const finding& x) { return x.warning; }));
}

void print(std::ostream& out, const configuration& config, const preflight& x) {
  out << "millrace " << version_text() << ", pipeline " << config.pipeline
      << ", " << config.file << "\n";
  for (const auto& fact : x.facts)
    out << fact << "\n";
  out << "\n" << count_of(x.tables.size(), "table") << "\n";
  for (size_t i = 0; i < x.tables.size(); ++i)
    print_table(out, config, *x.tables[i],
                i < x.remarks.size() ? x.remarks[i]
                                     : std::vector<std::string>{});
  out << "\nplan of millrace run\n";
  for (const auto& step : x.plan)
    out << "  " << indented(step) << "\n";
  if (!x.source_answers || !x.target_answers)
    out << "  not known, because a server does not answer\n";
  else if (x.plan.empty())
    out << "  everything is there\n";
  if (!x.findings.empty())
    out << "\nproblems\n";
  for (auto warning : {false, true})
    for (const auto& f : x.findings)
      if (f.warning == warning) {
        out << "  " << (warning ? "warning" : "error") << ": " << f.subject
            << ": " << f.text << "\n";
        if (!f.remedy.empty())
          out << "    do: " << f.remedy << "\n";
      }
  out << "\n";
  if (x.errors() == 0)
    out << "ready";
  else
    out << "not ready: " << count_of(x.errors(), "error");
  if (x.warnings() != 0)
    out << ", " << count_of(x.warnings(), "warning");
  out << "\n";
}

} // namespace millrace
