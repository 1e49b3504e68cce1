#include "postgres/advice.hpp"

#include "postgres/connection.hpp"

namespace millrace::postgres {

std::string take_all_again(const std::string& slot) {
  return "take everything again: with the node stopped, SELECT "
         "pg_drop_replication_slot("
         + quote_text(slot)
         + ") in the source if it is there, DROP DATABASE in the target; then "
           "start. Do not make the slot yourself: that would leave a gap";
}

} // namespace millrace::postgres
