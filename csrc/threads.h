// A small pool of threads that sleep between jobs.
//
// Not OpenMP: its threads spin while they wait, which on a busy machine made two threads four times slower, and a process that
// has loaded torch already has another copy of it.
#pragma once

namespace splatmem {

// Calls task(context, i) for every i in [0, tasks), on up to `threads` threads including the caller's. Tasks are handed out in
// order but finish in any order; what one of them throws is thrown again here when all have ended. One job runs at a time; a
// task must not start another on more than one thread.
void run_tasks(int tasks, int threads, void (*task)(void*, int), void* context);

// run_tasks for a callable. Static, because each instruction set needs its own copy.
template <class Task>
static inline void parallel_for(int tasks, int threads, Task task) {
    run_tasks(tasks, threads, [](void* context, int i) { (*static_cast<Task*>(context))(i); }, &task);
}

}  // namespace splatmem
