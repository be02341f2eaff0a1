// Threads that sleep between calls: to wake one takes a small part of what it takes to start one.
#pragma once
#include <functional>

namespace gumbelfast {

// Runs work(true) on the calling thread and work(false) on up to `others` more at the same time, and returns when all
// have left it; it must not throw. A thread that wakes when the caller is done stays outside. One call at a time has
// the helpers; another one, meanwhile, works alone. Forked children get helpers of their own.
void run_with_helpers(int others, const std::function<void(bool caller)>& work);

}  // namespace gumbelfast
