"""Medical tasks on starter towers: one module a task, run by `benchmarks.medical_tasks`."""
