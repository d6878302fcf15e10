// Calls of what users gave. What they throw is theirs: it is reported like any error of the page, and changes nothing
// here.

export function tell<E>(handler: ((event: E) => void) | undefined, event: E): void {
  try {
    handler?.(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
