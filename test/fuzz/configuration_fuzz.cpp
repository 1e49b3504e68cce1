// The configuration reader. Input: the text of a file.
#include "app/configuration.hpp"
#include "test/fuzz/target.hpp"

#include <string>

using namespace millrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  const std::string path = "/nowhere/fuzz.conf";
  auto x = parse_configuration(text, path, secrets::skip);
  if (!x) {
    test::demand(!x.error().empty(), "a refusal has a reason");
    for (const auto& line : x.error())
      test::demand(line.starts_with(path + ": "), "problems name the file");
    return 0;
  }
  test::demand(!x->pipeline.empty(), "the pipeline has a name");
  test::demand(x->limits.batch_rows > 0 && x->limits.window_bytes > 0,
               "limits are within their ranges");
  return 0;
}
