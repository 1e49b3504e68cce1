#include "postgres/known_source.hpp"

#include "postgres/advice.hpp"

namespace millrace::postgres {

namespace {

tl::unexpected<failure> another_source(const std::string& why) {
  return fail(ec::source_changed,
              why
                + "; rows of the target may never have been in this source, "
                  "and changes of it would lose against them. If this is the "
                  "source you want, empty the target database (or name another "
                  "one) and start anew");
}

} // namespace

result<void>
judge_identity(const source_state& known, const source_identity& now) {
  if (now.system_identifier != known.system_identifier)
    return another_source("the source has the system identifier "
                          + now.system_identifier + ", not "
                          + known.system_identifier + " as before");
  if (now.database != known.database)
    return another_source("the source's database is \"" + now.database
                          + "\", not \"" + known.database + "\" as before");
  return {};
}

result<void> judge_log_end(const source_identity& now, lsn highest) {
  if (now.position >= highest)
    return {};
  return another_source("the source's log ends at " + to_string(now.position)
                        + ", but commits up to " + to_string(highest)
                        + " have been received from it");
}

result<void>
judge_switch_point(const source_state& known, const source_identity& now,
                   lsn end, lsn highest) {
  if (end.value == 0 || end >= highest)
    return {};
  return another_source(
    "the source is on timeline " + std::to_string(now.timeline)
    + ", which left timeline " + std::to_string(known.timeline) + " at "
    + to_string(end) + ", but commits up to " + to_string(highest)
    + " have been received");
}

result<void>
judge_slot(const std::string& slot, bool exists, lsn confirmed, lsn highest) {
  if (highest.value == 0)
    return {};
  if (!exists)
    return fail(ec::slot_lost,
                "slot \"" + slot
                  + "\" does not exist any more: changes since it was dropped "
                    "are lost; "
                  + take_all_again(slot));
  if (confirmed <= highest)
    return {};
  return fail(ec::slot_lost,
              "slot \"" + slot + "\" is at " + to_string(confirmed)
                + ", but millrace never moved it beyond " + to_string(highest)
                + ": somebody made it anew or advanced it, or the target is an "
                  "older copy; the changes in between are lost; "
                + take_all_again(slot));
}

} // namespace millrace::postgres
