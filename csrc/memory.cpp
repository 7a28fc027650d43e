#include "memory.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace splatmem {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{1} << 21;
constexpr size_t kSmall = size_t{1} << 16;       // smaller blocks are left to the allocator
constexpr size_t kMaxKept = size_t{1} << 30;     // bytes that wait for their next use at most
constexpr size_t kMaxWaste = 2;                  // a block is lent to requests of at least this part of its size

struct Block {
    void* memory;
    size_t size;
};

struct Loan {
    size_t size, asked;
};

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

size_t alignment_of(size_t size) { return size >= kHugePage ? kHugePage : kAlignment; }

void* allocate(size_t size) {
    void* memory = ::operator new(size, std::align_val_t{alignment_of(size)});
#if defined(__linux__)
    if (size >= kHugePage) madvise(memory, size, MADV_HUGEPAGE);  // advice: nothing depends on its success
#endif
    return memory;
}

void free_block(Block block) noexcept { ::operator delete(block.memory, std::align_val_t{alignment_of(block.size)}); }

class Store {
  public:
    void* acquire(size_t bytes) {
        const size_t size = round_up(std::max<size_t>(bytes, 1), bytes >= kHugePage ? kHugePage : kAlignment);
        std::lock_guard lock(mutex_);
        const auto best = std::min_element(kept_.begin(), kept_.end(), [=](Block a, Block b) { return waste(a, size) < waste(b, size); });
        Block block{nullptr, size};
        if (best != kept_.end() && waste(*best, size) != kUnfit) {
            block = *best;
            kept_bytes_ -= block.size;
            kept_.erase(best);
        } else {
            block.memory = allocate(size);
        }
        lent_.emplace(block.memory, Loan{block.size, bytes});
        use_.lent += bytes;
        use_.most_lent = std::max(use_.most_lent, use_.lent);
        return block.memory;
    }

    void release(void* memory) noexcept {
        std::lock_guard lock(mutex_);
        const auto found = lent_.find(memory);
        const Block block{memory, found->second.size};
        use_.lent -= found->second.asked;
        lent_.erase(found);
        if (block.size < kSmall || block.size > kMaxKept) return free_block(block);
        kept_.push_back(block);
        kept_bytes_ += block.size;
        while (kept_bytes_ > kMaxKept) {  // the one that has waited longest
            kept_bytes_ -= kept_.front().size;
            free_block(kept_.front());
            kept_.erase(kept_.begin());
        }
    }

    MemoryUse use() {
        std::lock_guard lock(mutex_);
        return use_;
    }
    void forget_most_lent() {
        std::lock_guard lock(mutex_);
        use_.most_lent = use_.lent;
    }

  private:
    static constexpr size_t kUnfit = SIZE_MAX;
    static size_t waste(Block block, size_t size) {
        return block.size >= size && block.size / kMaxWaste <= size ? block.size - size : kUnfit;
    }

    std::mutex mutex_;
    std::vector<Block> kept_;
    size_t kept_bytes_ = 0;
    MemoryUse use_{};
    std::unordered_map<void*, Loan> lent_;
};

Store& store() {
    static auto* blocks = new Store();  // outlives whatever Python still holds at exit
    return *blocks;
}

}  // namespace

void* acquire_memory(size_t bytes) { return store().acquire(bytes); }

MemoryUse memory_use() { return store().use(); }

void forget_most_lent() { store().forget_most_lent(); }

void release_memory(void* memory) noexcept {
    if (memory != nullptr) store().release(memory);
}

}  // namespace splatmem
