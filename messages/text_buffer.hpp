#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace millrace {

/// Text that grows. Unlike std::string it grows without copying where the
/// system can move pages, and takes over memory of `malloc` as it is: a huge
/// message of a server is not there twice.
class text_buffer {
public:
  text_buffer() = default;

  text_buffer(const text_buffer& x) {
    append(x);
  }

  text_buffer(text_buffer&& x) noexcept
    : data_(std::move(x.data_)), size_(std::exchange(x.size_, 0)),
      capacity_(std::exchange(x.capacity_, 0)) {
    // nop
  }

  text_buffer& operator=(text_buffer x) noexcept {
    data_.swap(x.data_);
    std::swap(size_, x.size_);
    std::swap(capacity_, x.capacity_);
    return *this;
  }

  text_buffer& operator=(std::string_view x) {
    size_ = 0;
    return append(x);
  }

  const char* data() const {
    return data_.get();
  }

  char* data() {
    return data_.get();
  }

  size_t size() const {
    return size_;
  }

  size_t capacity() const {
    return capacity_;
  }

  bool empty() const {
    return size_ == 0;
  }

  operator std::string_view() const {
    return {data_.get(), size_};
  }

  void reserve(size_t n) {
    if (n > capacity_)
      allocate(n);
  }

  void shrink_to_fit() {
    if (size_ == 0)
      *this = text_buffer{};
    else if (size_ < capacity_)
      allocate(size_);
  }

  text_buffer& append(std::string_view x) {
    if (x.empty())
      return *this;
    if (capacity_ - size_ < x.size())
      allocate(size_ + x.size() > 2 * capacity_ ? size_ + x.size()
                                                : 2 * capacity_);
    std::memcpy(data_.get() + size_, x.data(), x.size());
    size_ += x.size();
    return *this;
  }

  text_buffer& operator+=(std::string_view x) {
    return append(x);
  }

  /// Takes over `n` bytes that `malloc` gave, in place of what is there.
  void adopt(char* x, size_t n) {
    data_.reset(x);
    size_ = capacity_ = n;
  }

  friend bool operator==(const text_buffer& a, std::string_view b) {
    return std::string_view{a} == b;
  }

private:
  struct free_memory {
    void operator()(char* x) const {
      std::free(x);
    }
  };

  void allocate(size_t n) {
    auto* x = static_cast<char*>(std::realloc(data_.get(), n));
    if (x == nullptr)
      throw std::bad_alloc{};
    (void)data_.release();
    data_.reset(x);
    capacity_ = n;
  }

  std::unique_ptr<char, free_memory> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

} // namespace millrace
