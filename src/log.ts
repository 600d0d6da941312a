/** One line of JSON a record, on standard output: Docker's daemon, and systemd, keep it line by line. */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from './settings.ts';

export type Log = Logger;

/** Bytes kept for a reader that does not read; what comes on top is dropped. */
const backlogBytes = 1024 * 1024;

/**
 * Never waits for the reader: while dockerd is down nobody empties the plugin's pipe, and weft has to go on.
 * What is still unwritten is flushed when the process ends by itself.
 */
export function createLog(level: LogLevel = 'info'): Log {
  const options = {
    level,
    // It is the only process of its kind in its log: neither its number nor the host's name adds anything.
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, pino.destination({ dest: 1, sync: false, maxLength: backlogBytes }));
}
