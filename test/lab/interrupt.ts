const cleanups = new Set<() => Promise<void>>();
let isInterrupted = false;

async function interrupted(signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
  // A Ctrl-C under npm comes twice: from the terminal, and from npm.
  if (isInterrupted) return;
  isInterrupted = true;
  for (const cleanup of [...cleanups].reverse()) {
    await cleanup().catch((error) => process.stderr.write(`${error}\n`));
  }
  process.exit(signal === 'SIGINT' ? 130 : 143);
}

/** Has the clean-up run also when the process is interrupted or terminated. Answers what takes it back. */
export function onInterrupt(cleanup: () => Promise<void>): () => void {
  if (cleanups.size === 0) process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
  cleanups.add(cleanup);
  return () => {
    cleanups.delete(cleanup);
    if (cleanups.size === 0) process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  };
}
