import type { Fiber, Scheduler } from "effect"

/** A scheduler that does one step of a fiber at a time. */
export class Stepper implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly #tasks: Array<() => void> = []
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    // To yield takes two.
    return fiber.currentOpCount >= 3
  }
  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => this.#tasks.push(task), flush: () => {} }
  }
  /** False when there was nothing left to do. */
  run(steps: number): boolean {
    for (let i = 0; i < steps; i++) {
      const task = this.#tasks.shift()
      if (task === undefined) return false
      task()
    }
    return true
  }
}
