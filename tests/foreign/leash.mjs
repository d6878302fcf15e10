// Ends a browser and its script with whoever started the script: stdin is a pipe to which nobody writes, and which ends
// with that process, however that has ended. A browser that does not close in time is left to its own leash.

const PATIENCE_MS = 3000;

export function leash(browser) {
  process.stdin.on("end", () => {
    setTimeout(() => process.exit(1), PATIENCE_MS);
    browser.close().finally(() => process.exit(1));
  });
  process.stdin.resume().unref();
}
