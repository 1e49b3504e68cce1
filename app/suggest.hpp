#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// `; did you mean "x"?` for the known word that a typing error away from
/// `word` is; empty when there is none.
std::string
suggest(std::string_view word, const std::vector<std::string>& known);

} // namespace millrace
