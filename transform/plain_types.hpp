#pragma once

#include "transform/clickhouse_type.hpp"

#include <string_view>

namespace millrace::transform {

struct named_type {
  std::string_view name;
  type_family family;
  int bits;
};

/// Types without arguments.
inline constexpr named_type plain_types[] = {
  {"Bool", type_family::boolean, 0},
  {"Int8", type_family::signed_integer, 8},
  {"Int16", type_family::signed_integer, 16},
  {"Int32", type_family::signed_integer, 32},
  {"Int64", type_family::signed_integer, 64},
  {"Int128", type_family::signed_integer, 128},
  {"Int256", type_family::signed_integer, 256},
  {"UInt8", type_family::unsigned_integer, 8},
  {"UInt16", type_family::unsigned_integer, 16},
  {"UInt32", type_family::unsigned_integer, 32},
  {"UInt64", type_family::unsigned_integer, 64},
  {"UInt128", type_family::unsigned_integer, 128},
  {"UInt256", type_family::unsigned_integer, 256},
  {"Float32", type_family::floating, 32},
  {"Float64", type_family::floating, 64},
  {"String", type_family::string, 0},
  {"Date", type_family::date, 0},
  {"Date32", type_family::date32, 0},
  {"DateTime", type_family::datetime, 0},
  {"UUID", type_family::uuid, 0},
  {"JSON", type_family::json, 0},
};

} // namespace millrace::transform
