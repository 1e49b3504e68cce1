#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <unistd.h>

#include <sys/mman.h>

namespace millrace::transform {

/// Bytes that grow without being zeroed; kept from block to block. Writers
/// reserve, write behind `end()`, then tell with `finish` how far they came.
class byte_buffer {
public:
  /// Room that stays allocated after `clear`; a block with a huge value must
  /// not cost its memory for ever.
  static constexpr size_t keep = size_t{4} << 20;

  size_t size() const {
    return size_;
  }

  std::string_view view() const {
    return {data_.get(), size_};
  }

  char* begin() {
    return data_.get();
  }

  char* end() {
    return data_.get() + size_;
  }

  /// Makes room for `n` bytes behind the end and returns the end.
  char* reserve(size_t n) {
    if (capacity_ - size_ < n)
      grow(n);
    return end();
  }

  /// Ends a write: `at` is where it stopped.
  void finish(const char* at) {
    size_ = at - data_.get();
  }

  /// Appends all of it to `out` and clears it. The memory of a huge value goes
  /// as it is copied, so that it is not there twice.
  void drain(std::string& out) {
    constexpr size_t step = size_t{4} << 20;
    if (size_ <= 2 * step) {
      out += view();
      clear();
      return;
    }
    auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    auto first = reinterpret_cast<uintptr_t>(data_.get());
    auto gone = (first + page - 1) / page * page;
    for (size_t at = 0; at < size_; at += step) {
      auto n = std::min(step, size_ - at);
      out.append(data_.get() + at, n);
      auto end = (first + at + n) / page * page;
      if (end > gone)
        madvise(reinterpret_cast<void*>(gone), end - gone, MADV_DONTNEED);
      gone = std::max(gone, end);
    }
    clear();
  }

  void clear() {
    size_ = 0;
    if (capacity_ > keep) {
      data_.reset();
      capacity_ = 0;
    }
  }

private:
  struct free_memory {
    void operator()(char* x) const {
      std::free(x);
    }
  };

  void grow(size_t n) {
    size_t capacity = capacity_ + capacity_ / 2;
    if (capacity < size_ + n)
      capacity = size_ + n;
    auto* grown = static_cast<char*>(std::realloc(data_.get(), capacity));
    if (grown == nullptr)
      throw std::bad_alloc{};
    (void)data_.release();
    data_.reset(grown);
    capacity_ = capacity;
  }

  std::unique_ptr<char, free_memory> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

} // namespace millrace::transform
