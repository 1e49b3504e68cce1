// Feeds files to a fuzz target: corpus_TARGET FILE-OR-FOLDER ...
#include "test/fuzz/target.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_of(const fs::path& x) {
  std::vector<fs::path> result;
  if (!fs::is_directory(x))
    return {x};
  for (const auto& entry : fs::directory_iterator{x})
    if (entry.is_regular_file())
      result.push_back(entry.path());
  return result;
}

void feed(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  // A copy of exact size, so that a sanitizer sees a read beyond its end.
  std::vector<uint8_t> bytes(text.begin(), text.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

} // namespace

int main(int argc, char** argv) {
  size_t count = 0;
  for (int i = 1; i < argc; ++i)
    for (const auto& file : files_of(argv[i])) {
      std::fprintf(stderr, "%s\n", file.c_str()); // the last one crashed
      feed(file);
      ++count;
    }
  std::printf("%zu inputs\n", count);
  return count > 0 ? 0 : 1;
}
