/**
 * Asking by netlink. The kernel carries a request out inside the write, and some take long (deleting a veth:
 * 15 ms, under a lock that most others wait for), so writes go through the thread pool. The answers are then
 * in the socket's queue and are read at once; only of a dump is the rest made while it is being read.
 */
import fs from 'node:fs';
import { promisify } from 'node:util';
import { WeftError } from '../../errors.ts';
import {
  decodeMessages,
  decodeVerdict,
  encodeMessage,
  explainVerdict,
  NLM_F,
  type Request,
  type Verdict,
} from './message.ts';

const write = promisify(fs.write);
const read = promisify(fs.read);

/** A dump comes in datagrams of at most 32 KiB. */
const bufferBytes = 64 * 1024;

/** Keeps the answers to one send well inside the receive buffer, and the main thread's share of it short. */
export const requestsPerSend = 200;

/** Someone changed what was being dumped: a second look will do, but not for ever. */
const dumpAttempts = 5;

export interface Answer extends Verdict {
  /** Bodies of the messages asked for. */
  readonly content: readonly Buffer[];
}

/** Sockets of one namespace, opened as they are needed; each serves one send at a time. */
export class SocketPool {
  readonly #open: () => number;
  readonly #idle: Socket[] = [];
  readonly #waiting: (() => void)[] = [];
  #left: number;
  #closed = false;

  constructor(open: () => number, size: number) {
    this.#open = open;
    this.#left = size;
  }

  /**
   * One answer, in order, for each request that asks for it (`NLM_F.ACK`). Requests are carried out in order, each
   * whatever came of those before, unless they are a batch.
   */
  async ask(requests: readonly Request[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let first = 0; first < requests.length; first += requestsPerSend) {
      const send = requests.slice(first, first + requestsPerSend);
      answers.push(...(await this.#with((socket) => socket.ask(send))));
    }
    return answers;
  }

  /** What `decode` makes of each message of a dump, without those it makes nothing of. */
  async dump<T>(request: Request, decode: (body: Buffer) => T | undefined): Promise<T[]> {
    for (let attempt = 1; attempt < dumpAttempts; attempt++) {
      const { items, consistent } = await this.#with((socket) => socket.dump(request, decode));
      if (consistent) return items;
    }
    // What is read may lack, or have twice, something that was changed meanwhile: the next pass sees it.
    return (await this.#with((socket) => socket.dump(request, decode))).items;
  }

  /** Those in use are closed when they are done. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#idle.splice(0)) socket.close();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** @throws WeftError `kernel` once closed: the descriptor of the namespace may be another's by now */
  assertOpen(): void {
    if (this.#closed) throw new WeftError('kernel', 'the network namespace was removed meanwhile; try again');
  }

  async #with<T>(use: (socket: Socket) => Promise<T>): Promise<T> {
    const socket = await this.#take();
    let reusable = false;
    try {
      const result = await use(socket);
      reusable = !this.#closed;
      return result;
    } finally {
      // After a failure, answers may still be on their way to it.
      if (reusable) {
        this.#idle.push(socket);
      } else {
        socket.close();
        this.#left++;
      }
      this.#waiting.shift()?.();
    }
  }

  async #take(): Promise<Socket> {
    for (;;) {
      this.assertOpen();
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#left > 0) {
        const socket = new Socket(this.#open());
        this.#left--;
        return socket;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

class Socket {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #sequence = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async ask(requests: readonly Request[]): Promise<Answer[]> {
    const first = this.#sequence + 1;
    const awaited = requests.flatMap(({ flags }, position) => (flags & NLM_F.ACK ? [first + position] : []));
    await this.#send(requests);
    const answers: Answer[] = [];
    let content: Buffer[] = [];
    while (answers.length < awaited.length) {
      for (const message of this.#receive()) {
        if (message.sequence !== awaited[answers.length]) throw outOfStep();
        const verdict = decodeVerdict(message);
        if (verdict === undefined) {
          content.push(Buffer.from(message.body));
        } else {
          answers.push({ ...verdict, content });
          content = [];
        }
      }
    }
    return answers;
  }

  async dump<T>(
    request: Request,
    decode: (body: Buffer) => T | undefined,
  ): Promise<{ items: T[]; consistent: boolean }> {
    await this.#send([request]);
    const items: T[] = [];
    let consistent = true;
    for (;;) {
      const { bytesRead } = await read(this.#fd, this.#buffer, 0, bufferBytes, null).catch(lost);
      for (const message of decodeMessages(this.#buffer.subarray(0, bytesRead))) {
        if (message.sequence !== this.#sequence) throw outOfStep();
        if ((message.flags & NLM_F.DUMP_INTERRUPTED) !== 0) consistent = false;
        const verdict = decodeVerdict(message);
        if (verdict === undefined) {
          const item = decode(message.body);
          if (item !== undefined) items.push(item);
        } else if (verdict.errno === 0) {
          return { items, consistent };
        } else {
          throw new WeftError('kernel', `could not read from the kernel: ${explainVerdict(verdict)}`);
        }
      }
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  async #send(requests: readonly Request[]): Promise<void> {
    const bytes = Buffer.concat(requests.map((request) => encodeMessage(request, ++this.#sequence)));
    await write(this.#fd, bytes, 0, bytes.length, null).catch(lost);
  }

  #receive() {
    try {
      return decodeMessages(
        this.#buffer.subarray(0, fs.readSync(this.#fd, this.#buffer, 0, bufferBytes, null)),
      );
    } catch (cause) {
      return lost(cause);
    }
  }
}

function lost(cause: unknown): never {
  throw new WeftError('kernel', 'the kernel did not answer a netlink request', { cause });
}

function outOfStep(): WeftError {
  return new WeftError('kernel', 'the kernel answered a netlink request that was not asked');
}
