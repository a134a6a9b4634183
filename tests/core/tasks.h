// SPDX-License-Identifier: MIT
// Cooperative tasks for tests: each runs on its own stack and gives way only in yield(), so that calls into a
// unit can be suspended inside Host calls, deterministically and without threads.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

namespace vtd::test {

class Tasks {
 public:
  class Task {
   public:
    [[nodiscard]] bool done() const { return done_; }

   private:
    friend class Tasks;
    std::function<void()> work_;
    std::vector<char> stack_;
    ucontext_t context_{};
    bool done_ = false;
  };

  Tasks() = default;
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  /// Starts a task and runs it up to its first yield().
  std::shared_ptr<Task> spawn(std::function<void()> work) {
    auto task = std::make_shared<Task>();
    task->work_ = std::move(work);
    task->stack_.resize(kStackBytes);
    getcontext(&task->context_);
    task->context_.uc_stack.ss_sp = task->stack_.data();
    task->context_.uc_stack.ss_size = task->stack_.size();
    task->context_.uc_link = &main_;
    starting() = this;
    makecontext(&task->context_, &Tasks::entry, 0);
    tasks_.push_back(task);
    resume(task);
    return task;
  }
  /// True inside a task.
  [[nodiscard]] bool inside() const { return current_ != nullptr; }
  /// Gives way to the test body.
  void yield() {
    if (!inside()) throw std::logic_error("a Host call that waits was made outside a task");
    swapcontext(&current_->context_, &main_);
  }
  /// Resumes every unfinished task often enough for all that can move to have moved.
  void settle() {
    for (int round = 0; round < kRounds; ++round)
      for (std::size_t i = 0; i < tasks_.size(); ++i)
        if (!tasks_[i]->done_) resume(tasks_[i]);
  }

 private:
  static constexpr std::size_t kStackBytes = 256 * 1024;
  static constexpr int kRounds = 40;

  static Tasks*& starting() {
    static Tasks* instance = nullptr;
    return instance;
  }
  static void entry() {
    Task* task = starting()->current_.get();
    task->work_();
    task->done_ = true;
  }
  void resume(const std::shared_ptr<Task>& task) {
    const auto previous = current_;
    if (previous) throw std::logic_error("tasks start and resume tasks only from the test body");
    current_ = task;
    starting() = this;
    swapcontext(&main_, &task->context_);
    current_ = nullptr;
  }

  ucontext_t main_{};
  std::shared_ptr<Task> current_;
  std::vector<std::shared_ptr<Task>> tasks_;
};

}  // namespace vtd::test
