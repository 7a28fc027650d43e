#include "threads.h"

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace splatmem {
namespace {

constexpr int kSpins = 500;  // a few microseconds: stages follow each other closely, and then no thread need fall asleep

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

int process_id() {
#if defined(_WIN32)
    return 0;  // no fork there: a pool never finds itself in another process
#else
    return getpid();
#endif
}

class Pool {
  public:
    // Starts up to `workers` threads. Where no more can be had (a limit on memory or on processes), it does with those that it
    // has, or with none: an exception here would leave the others waiting for a pool that is gone.
    explicit Pool(int workers) : process_(process_id()), asked_(workers) {
        threads_.reserve(workers);
        try {
            for (int i = 0; i < workers; i++) threads_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
        } catch (const std::bad_alloc&) {
        }
    }
    ~Pool() {
        announce(nullptr, nullptr, 0);
        for (std::thread& thread : threads_) thread.join();
    }
    int asked() const { return asked_; }
    bool of_this_process() const { return process_ == process_id(); }

    void run(int tasks, void (*task)(void*, int), void* context) {
        announce(task, context, tasks);
        take_tasks();
        {
            std::lock_guard lock(mutex_);
            open_ = false;  // a thread that has not woken by now is not waited for
        }
        for (int i = 0; i < kSpins && busy_.load(std::memory_order_acquire); i++) relax();
        if (busy_.load(std::memory_order_acquire)) {
            std::unique_lock lock(mutex_);
            done_.wait(lock, [this] { return busy_.load(std::memory_order_acquire) == 0; });
        }
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    }

  private:
    void announce(void (*task)(void*, int), void* context, int tasks) {
        {
            std::lock_guard lock(mutex_);
            task_ = task;
            context_ = context;
            tasks_ = tasks;
            open_ = true;
            next_.store(0, std::memory_order_relaxed);
            job_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
    }

    void take_tasks() {
        try {
            for (int i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) task_(context_, i);
        } catch (...) {
            next_.store(tasks_, std::memory_order_relaxed);
            std::lock_guard lock(mutex_);
            if (!thrown_) thrown_ = std::current_exception();
        }
    }

    void work() {
        for (unsigned seen = 0;;) {
            for (int i = 0; i < kSpins && job_.load(std::memory_order_acquire) == seen; i++) relax();
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [&] { return job_.load(std::memory_order_relaxed) != seen; });
                seen = job_.load(std::memory_order_relaxed);
                if (!open_) continue;
                if (task_ == nullptr) return;
                busy_.fetch_add(1, std::memory_order_relaxed);
            }
            take_tasks();
            if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                std::lock_guard lock(mutex_);
                done_.notify_one();
            }
        }
    }

    const int process_;
    const int asked_;  // how many threads it was to have
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    void (*task_)(void*, int) = nullptr;
    void* context_ = nullptr;
    int tasks_ = 0;
    bool open_ = false;  // whether threads may still join the job
    std::exception_ptr thrown_;
    // Each on a cache line of its own: all threads write to them.
    alignas(64) std::atomic<int> next_{0};
    alignas(64) std::atomic<int> busy_{0};
    alignas(64) std::atomic<unsigned> job_{0};
};

}  // namespace

void run_tasks(int tasks, int threads, void (*task)(void*, int), void* context) {
    if (threads <= 1 || tasks <= 1) {
        for (int i = 0; i < tasks; i++) task(context, i);
        return;
    }
    // Never destroyed at exit, when the threads may be gone already; given up, not joined, in a forked child, which has none.
    static std::mutex mutex;
    static Pool* pool = nullptr;
    std::lock_guard lock(mutex);
    if (pool != nullptr && !pool->of_this_process()) pool = nullptr;
    if (pool != nullptr && pool->asked() != threads - 1) {
        delete pool;
        pool = nullptr;
    }
    if (pool == nullptr) pool = new Pool(threads - 1);
    pool->run(tasks, task, context);
}

}  // namespace splatmem
