#pragma once

#include "messages/ec.hpp"
#include "messages/lsn.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// Positions below which nothing will be sent again, and since when that is
/// known: what is above a position was not confirmed then, so whoever was
/// frozen after that moment holds nothing below it.
class low_water_marks {
public:
  struct mark {
    lsn position;

    /// Microseconds since 1970 UTC.
    int64_t at = 0;

    friend bool operator==(const mark&, const mark&) = default;
  };

  /// Notes that nothing below `position` will come again; tells whether there
  /// is something new to be stored. Keeps about sixteen marks an age.
  bool add(lsn position, int64_t now, std::chrono::microseconds age);

  /// The highest position that has been known for `age`; 0 when there is none.
  lsn settled(int64_t now, std::chrono::microseconds age) const;

  const std::vector<mark>& all() const {
    return marks_;
  }

private:
  friend result<low_water_marks> parse_low_water_marks(const std::string& json);

  /// Ascending by position.
  std::vector<mark> marks_;
};

/// @relates low_water_marks
std::string to_json(const low_water_marks& x);

/// @relates low_water_marks
result<low_water_marks> parse_low_water_marks(const std::string& json);

} // namespace millrace
