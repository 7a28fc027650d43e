// Memory that outlives its use: what is given back is lent again before the system is asked for more.
//
// The system clears every fresh page, which takes about as long as the kernels take to fill it; and records are visited at
// random, so large blocks ask for huge pages, whose addresses the processor keeps at hand.
#pragma once

#include <cstddef>

namespace splatmem {

// At least `bytes` bytes, aligned to 64 and not cleared; throws std::bad_alloc.
void* acquire_memory(size_t bytes);

// Takes back what acquire_memory gave; null is nothing.
void release_memory(void* memory) noexcept;

// Bytes that were asked for and are lent now, and that were at most since the last call of forget_most_lent.
struct MemoryUse {
    size_t lent, most_lent;
};
MemoryUse memory_use();
void forget_most_lent();

// Memory that grows, keeps no contents when it does, and is not cleared.
template <class T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { release_memory(data_); }

    T* reserve(size_t count) {
        if (count > capacity_ || data_ == nullptr) {
            release_memory(data_);
            data_ = nullptr;
            const size_t capacity = count + count / 4 + 64;
            data_ = static_cast<T*>(acquire_memory(capacity * sizeof(T)));
            capacity_ = capacity;
        }
        return data_;
    }
    T* data() { return data_; }
    const T* data() const { return data_; }

  private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

}  // namespace splatmem
